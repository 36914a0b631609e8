"""openai-python, unchanged, against a real gateway."""

from __future__ import annotations

import base64
import json
import time

import httpx
import openai
import pytest

from shared.store import keys
from tests.support.documents.page_kinds import as_base64, pages
from tests.support.harness import eventually
from tests.support.images.image_bytes import plain_png


def data_url(colour: str = "teal", *size: int) -> str:
    return "data:image/png;base64," + base64.b64encode(plain_png(colour, *size)).decode()


def question(text: str, *urls: str) -> dict:
    parts = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    return {"role": "user", "content": [*parts, {"type": "text", "text": text}]}


@pytest.fixture
def client(served):
    url = f"{served.http.base_url}/v1"
    with openai.OpenAI(base_url=url, api_key="none", max_retries=0) as made:
        yield made


def ask(client, *messages, **options):
    options = {"max_tokens": 2, "model": "sightline", **options}
    return client.chat.completions.create(messages=list(messages), **options)


def job_of(served, answer_id):
    return served.job(answer_id)


def test_a_question_about_an_image_is_answered(served, client):
    answer = ask(client, question("what?", data_url()))
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].finish_reason == "length"
    assert answer.model == "simulated"
    job = served.job(answer.id)
    assert answer.choices[0].message.content == job["output"]["text"] != ""
    assert answer.usage.prompt_tokens == job["usage"]["prompt_tokens"] > 0
    assert answer.usage.completion_tokens == 2
    assert answer.usage.prompt_tokens_details.cached_tokens == 0


def test_images_may_be_named_by_id_and_keep_their_order_over_the_turns(served, client):
    first, second = (
        served.http.post("/v1/images", files={"image": plain_png(c)}).json()["id"]
        for c in ("red", "blue")
    )
    answer = ask(
        client,
        {"role": "system", "content": "be short"},
        question("what?", first),
        {"role": "assistant", "content": "a square"},
        question("and now?", second, first),
    )
    job = served.job(answer.id)
    assert [image["id"] for image in job["input"]["images"]] == [first, second, first]
    # 5 messages' words and 3 images of 4 tokens each
    assert job["usage"]["image_tokens"] == 12
    assert job["usage"]["prompt_tokens"] == 12 + 2 + 1 + 2 + 2


def test_a_chat_that_sends_all_of_its_past_goes_on_beyond_the_limits_of_one_job(served, client):
    past = []
    for number in range(40):
        past += [question("x" * 5000, data_url(f"#{number:06x}", 64, 32))]
        past += [{"role": "assistant", "content": "seen"}]
    answer = ask(client, {"role": "system", "content": "be short"}, *past, question("and now?"))
    job = served.job(answer.id)
    # of 40 questions of 5,000 characters 26 fit into four times the 32,768 tokens of the context
    assert len(job["input"]["images"]) == 26
    assert job["warnings"][0]["code"] == "history_dropped"
    assert "28 messages" in job["warnings"][0]["detail"]
    assert answer.model_extra["warnings"] == job["warnings"]
    short = [question("?", data_url(f"#0000{n:02x}", 64, 32)) for n in range(20)]
    job = served.job(ask(client, *short, question("and now?")).id)
    assert len(job["input"]["images"]) == 20
    assert "history_dropped" not in {warning["code"] for warning in job["warnings"]}


def test_penalties_and_top_k_are_taken_under_their_usual_names(served, client):
    names = {"top_k": 20, "repetition_penalty": 1.05}
    answer = ask(
        client, question("?"), presence_penalty=1.5, frequency_penalty=0.5, extra_body=names
    )
    row = json.loads(served.redis.client().hget(keys.job(answer.id), "input"))
    assert names | {"presence_penalty": 1.5, "frequency_penalty": 0.5} == {
        name: row["params"][name]
        for name in ("top_k", "repetition_penalty", "presence_penalty", "frequency_penalty")
    }
    for name, value in (("presence_penalty", 3), ("top_k", -2), ("repetition_penalty", 0)):
        with pytest.raises(openai.UnprocessableEntityError) as refused:
            ask(client, question("?"), extra_body={name: value})
        assert refused.value.param == f"/{name}"


def stored(served, answer):
    return json.loads(served.redis.client().hget(keys.job(answer.id), "input"))


def test_texts_and_images_keep_their_order(served, client):
    ids = [
        served.http.post("/v1/images", files={"image": plain_png(c)}).json()["id"]
        for c in ("red", "blue")
    ]
    parts = [
        {"type": "text", "text": "Before:"},
        {"type": "image_url", "image_url": {"url": ids[0]}},
        {"type": "text", "text": "After:"},
        {"type": "image_url", "image_url": {"url": ids[1], "detail": None}},
    ]
    turned = [parts[1], parts[0], parts[3], parts[2]]
    kept = stored(
        served,
        ask(
            client,
            {"role": "user", "content": parts},
            {"role": "assistant", "content": None},
            {"role": "user", "content": turned},
        ),
    )
    assert kept["before"][0]["text"] == kept["prompt"].replace("x", "") == "Before:\nAfter:"
    assert kept["before"][0]["image_places"] == [7, 14]
    assert kept["image_places"] == [0, 7]
    # so that an older worker still reads the usual order
    assert "image_places" not in stored(served, ask(client, question("what?", *ids)))


def test_an_image_may_be_all_that_a_message_says(served, client):
    answer = ask(client, {"role": "user", "content": [question("", data_url())["content"][0]]})
    assert stored(served, answer)["prompt"] == ""
    assert answer.usage.prompt_tokens == 4
    assert answer.choices[0].message.content
    with pytest.raises(openai.UnprocessableEntityError, match="neither text nor images"):
        ask(client, {"role": "user", "content": ""})


@pytest.mark.parametrize("detail", [None, "original", 7, "low"])
def test_an_unknown_detail_is_left_to_the_service(served, client, detail):
    image = {"type": "image_url", "image_url": {"url": data_url(), "detail": detail}}
    answer = ask(client, {"role": "user", "content": [image, {"type": "text", "text": "?"}]})
    assert stored(served, answer)["max_pixels"] == (262_144 if detail == "low" else 1_048_576)


def test_a_message_of_the_system_may_come_anywhere(served, client):
    system = {"role": "system", "content": "be short"}
    answer = ask(
        client, question("a"), {"role": "assistant", "content": "b"}, system, question("c")
    )
    assert [m["role"] for m in stored(served, answer)["before"]] == ["user", "assistant", "system"]
    assert answer.model_extra["warnings"] == []
    answer = ask(client, question("a"), system)
    kept = stored(served, answer)
    assert (kept["before"][0]["text"], kept["prompt"]) == ("be short", "a")
    assert [w["code"] for w in answer.model_extra["warnings"]] == ["message_moved"]
    with pytest.raises(openai.UnprocessableEntityError, match="role user"):
        ask(client, system)


NEUTRAL = {
    "n": 1,
    "logprobs": False,
    "top_logprobs": 0,
    "logit_bias": {},
    "tools": [],
    "best_of": 1,
    "functions": None,
    "audio": None,
    "top_k": 0,
    "min_p": 0,
    "repetition_penalty": 1,
    "presence_penalty": 0,
    "frequency_penalty": 0,
    "stop": None,
    "seed": None,
    "user": "u",
    "temperature": None,
    "top_p": None,
    "metadata": None,
    "response_format": None,
    "preset": None,
    "priority": None,
    "whatever": None,
    "stream_options": None,
}


def test_neutral_values_and_nulls_are_taken_without_a_word(served, client):
    answer = ask(client, question("neutral"), extra_body=NEUTRAL)
    assert answer.model_extra["warnings"] == []
    assert stored(served, answer)["params"]["do_sample"] is False


def test_what_is_unknown_is_ignored_and_told(served, client):
    extra = {"nonsense": 1, "thinking": {"type": "enabled"}}
    raw = client.chat.completions.with_raw_response.create(
        model="sightline", messages=[question("?")], max_tokens=2, extra_body=extra
    )
    warning = raw.parse().model_extra["warnings"][0]
    assert warning["code"] == "parameter_ignored"
    assert "nonsense, thinking" in warning["detail"]
    assert raw.headers["X-Sightline-Warnings"] == "parameter_ignored"
    chunks = list(ask(client, question("?"), stream=True, extra_body=extra))
    assert chunks[-1].model_extra["warnings"] == [warning]


def test_an_answer_is_as_long_as_the_service_allows(served, client):
    most = served.http.get("/v1/limits").json()["job"]["max_new_tokens"]
    assert most == 8192
    answer = ask(client, question("?"), max_tokens=most)
    assert answer.model_extra["warnings"] == []
    assert stored(served, answer)["params"]["max_new_tokens"] == most
    answer = ask(client, question("?"), max_tokens=32_000)
    assert stored(served, answer)["params"]["max_new_tokens"] == most
    assert answer.model_extra["warnings"][0]["code"] == "max_tokens_lowered"
    refused = served.http.post("/v1/jobs", json={"prompt": "?", "max_new_tokens": most + 1})
    assert (refused.status_code, refused.json()["pointer"]) == (422, "/max_new_tokens")


def test_a_chat_of_many_short_messages_is_taken(served, client):
    past = [question("a"), {"role": "assistant", "content": "b"}] * 700
    assert ask(client, *past, question("and now?")).choices[0].message.content


def test_what_a_chat_leaves_open_is_left_to_the_model(served, client):
    def params(**options):
        job_id = ask(client, question("?"), **options).id
        return json.loads(served.redis.client().hget(keys.job(job_id), "input"))["params"]

    sampled = params(temperature=0.7)
    assert sampled["from_model"] == [
        *("top_p", "top_k", "min_p", "presence_penalty", "frequency_penalty", "repetition_penalty"),
    ]
    # OpenAI's own defaults, where the model recommends nothing
    assert (sampled["temperature"], sampled["top_p"]) == (0.7, 1.0)
    assert params(top_p=0.5)["temperature"] == 1.0
    assert "from_model" not in params()


def test_a_long_image_is_read_in_tiles_unless_a_detail_is_chosen(served, client):
    long = plain_png("white", 300, 9000)
    image = {"url": "data:image/png;base64," + base64.b64encode(long).decode()}
    tiles = []
    for detail in ({}, {"detail": "low"}):
        shown = {"type": "image_url", "image_url": image | detail}
        message = {"role": "user", "content": [shown, {"type": "text", "text": "read"}]}
        job = served.job(ask(client, message).id)
        tiles.append(job["input"]["images"][0].get("tiles") or 1)
    assert tiles[0] > 1
    assert tiles[1] == 1


def test_several_texts_of_a_message_are_all_asked(served, client):
    parts = [{"type": "text", "text": text} for text in ("one two", "three")]
    answer = ask(client, {"role": "user", "content": parts})
    assert answer.usage.prompt_tokens == 3


def test_a_stream_spells_the_answer_and_ends_with_its_usage(served, client):
    stream = ask(
        client,
        question("tell me", data_url()),
        max_tokens=6,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == served.job(chunks[0].id)["output"]["text"] != ""
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-2].choices[0].finish_reason == "length"
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens == 6
    assert sum(1 for c in chunks if c.choices and c.choices[0].delta.content) > 1


def test_sampling_is_asked_for_as_openai_does(served, client):
    answers = {
        ask(client, question("draw"), seed=seed, temperature=0.7, max_tokens=5)
        .choices[0]
        .message.content
        for seed in (1, 1, -5)
    }
    assert len(answers) == 2


def test_a_stop_string_ends_the_answer(served, client):
    whole = ask(client, question("stop here"), max_tokens=8).choices[0].message.content
    stop = whole.split()[2]
    cut = ask(client, question("stop here"), max_tokens=8, stop=stop)
    assert cut.choices[0].finish_reason == "stop"
    assert cut.choices[0].message.content == whole[: whole.index(stop)]


def test_a_preset_may_be_named_beside_openais_parameters(served, client):
    answer = ask(client, question("", data_url()), extra_body={"preset": "count"})
    assert served.job(answer.id)["input"]["preset"] == "count"


@pytest.mark.parametrize(
    ("options", "pointer"),
    [
        ({"n": 2}, "/n"),
        ({"temperature": 3}, "/temperature"),
        ({"max_tokens": 0}, "/max_tokens"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "/tools"),
        ({"response_format": {"type": "nonsense"}}, "/response_format"),
        ({"extra_body": {"nonsense": 1, "strict": True}}, "/nonsense"),
        ({"max_tokens": 10_000, "extra_body": {"strict": True}}, "/max_tokens"),
        ({"extra_body": {"images": ["img"]}}, "/images"),
        ({"extra_body": {"session_id": "s"}}, "/session_id"),
    ],
)
def test_what_cannot_be_done_is_refused_by_its_name(client, options, pointer):
    with pytest.raises(openai.UnprocessableEntityError) as refused:
        ask(client, question("?"), **options)
    assert refused.value.param.startswith(pointer)
    assert refused.value.code in ("bad_parameters", "bad_constraint")
    assert refused.value.type == "invalid_request_error"


@pytest.mark.parametrize(
    ("message", "kind", "code", "pointer"),
    [
        (question("?", "https://127.0.0.1/a.png"), openai.PermissionDeniedError,
         "url_not_allowed", "/messages/0/content/0/image_url/url"),
        (question("?", "data:image/png;base64,%%%"), openai.BadRequestError,
         "invalid_base64", "/messages/0/content/0/image_url/url"),
        (question("?", "img_" + "0" * 64), openai.UnprocessableEntityError,
         "image_not_found", "/messages/0/content/0/image_url/url"),
        ({"role": "assistant", "content": "I"}, openai.UnprocessableEntityError,
         "bad_parameters", "/messages/0/role"),
        ({"role": "user", "content": [{"type": "image_url"}]}, openai.UnprocessableEntityError,
         "bad_parameters", "/messages/0/content/0"),
        ({"role": "user", "content": "?", "images": ["iVBORw0KGgo"]},
         openai.UnprocessableEntityError, "bad_parameters", "/messages/0"),
        ({"role": "user", "content": [{"type": "text", "text": "?", "image_url": {"url": "x"}}]},
         openai.UnprocessableEntityError, "bad_parameters", "/messages/0/content/0"),
        ({"role": "user", "content": "x" * 40_000}, openai.UnprocessableEntityError,
         "context_length_exceeded", "/messages"),
    ],
)  # fmt: skip
def test_a_bad_message_is_a_typed_error_that_points_to_it(client, message, kind, code, pointer):
    with pytest.raises(kind) as refused:
        ask(client, message)
    assert (refused.value.code, refused.value.param) == (code, pointer)


def test_models_are_listed_and_an_unknown_one_is_not_found(client):
    assert [model.id for model in client.models.list()] == ["simulated"]
    assert client.models.retrieve("sightline").id == "simulated"
    with pytest.raises(openai.NotFoundError) as missing:
        client.models.retrieve("gpt/none")
    assert missing.value.code == "model_not_found"
    with pytest.raises(openai.NotFoundError) as missing:
        ask(client, question("?"), model="gpt-none")
    assert "simulated" in missing.value.message


def test_an_api_that_is_not_served_names_what_is(client):
    with pytest.raises(openai.NotFoundError) as missing:
        client.embeddings.create(model="sightline", input="a")
    assert missing.value.code == "not_found"
    assert "/v1/chat/completions" in missing.value.message


def test_an_impatient_client_is_kept_alive_until_the_answer(served, client):
    # 20 steps of 0.15 s are longer than the client's read timeout
    answer = ask(client, question("long", data_url()), max_tokens=20, timeout=1.0)
    assert answer.usage.completion_tokens > 10


def jobs(served, status):
    return served.http.get("/v1/jobs", params={"status": status, "limit": 100}).json()["data"]


def test_closing_a_stream_cancels_its_job(served, client):
    stream = ask(client, question("close me"), max_tokens=30, stream=True)
    job = next(iter(stream)).id
    stream.close()
    eventually(lambda: served.job(job)["status"] == "canceled")


def post(served, body, **headers):
    return served.http.post("/v1/chat/completions", json=body, headers=headers, timeout=0.4)


def test_a_client_that_hangs_up_for_good_cancels_its_job(served):
    body = {"messages": [question("hang up")], "max_tokens": 30}
    before = {job["id"] for job in jobs(served, "canceled")}
    with pytest.raises(httpx.ReadTimeout):
        post(served, body)
    eventually(lambda: {job["id"] for job in jobs(served, "canceled")} - before)


def test_a_client_that_repeats_itself_meets_the_job_that_it_left(served):
    body = {"messages": [question(f"come back {time.time()}")], "max_tokens": 30}
    with pytest.raises(httpx.ReadTimeout):
        post(served, body, **{"X-Stainless-Retry-Count": "0"})
    left = jobs(served, "running")[0]["id"]
    again = served.http.post(
        "/v1/chat/completions", json=body, headers={"X-Stainless-Retry-Count": "1"}
    )
    assert again.json()["id"] == left
    anew = served.http.post(
        "/v1/chat/completions",
        json=body | {"max_tokens": 1},
        headers={"X-Stainless-Retry-Count": "0"},
    )
    assert anew.json()["id"] != left


def test_a_prediction_is_a_reference_that_changes_no_answer(served, client):
    asked = {"messages": [question("what?", data_url())], "max_tokens": 40}
    plain = ask(client, *asked["messages"], max_tokens=40)
    text = plain.choices[0].message.content
    for content in (text, [{"type": "text", "text": text}]):
        predicted = ask(
            client,
            *asked["messages"],
            max_tokens=40,
            prediction={"type": "content", "content": content},
        )
        assert predicted.choices[0].message.content == text
        details = predicted.usage.completion_tokens_details
        assert details.accepted_prediction_tokens > 0
        job = served.job(predicted.id)
        assert job["usage"]["accepted_tokens"] == details.accepted_prediction_tokens
    assert plain.usage.completion_tokens_details.accepted_prediction_tokens == 0


@pytest.mark.parametrize(
    ("extra", "pointer"),
    [
        ({"prediction": {"type": "content"}}, "/prediction"),
        ({"prediction": "text"}, "/prediction"),
        ({"prediction": {"type": "content", "content": "x"}, "reference": "x"}, "/reference"),
        ({"reference": "x" * 65_537}, "/reference"),
        ({"prediction": {"type": "content", "content": "x" * 65_537}}, "/reference"),
    ],
)
def test_a_malformed_prediction_is_refused_by_its_name(client, extra, pointer):
    with pytest.raises(openai.UnprocessableEntityError) as refused:
        ask(client, question("what?", data_url()), extra_body=extra)
    assert refused.value.response.json()["pointer"] == pointer


def test_a_job_takes_a_reference(served):
    asked = {"images": [data_url()], "max_new_tokens": 40}
    text = served.ended(**asked)["output"]["text"]
    job = served.ended(**asked, reference=text)
    assert job["output"]["text"] == text
    assert job["usage"]["accepted_tokens"] > 0


def file_part(**file: str) -> dict:
    return {"type": "file", "file": file}


def about(text: str, part: dict) -> dict:
    return {"role": "user", "content": [part, {"type": "text", "text": text}]}


def test_a_file_part_is_a_document_by_its_data_and_by_its_id(served, client):
    data = "data:application/pdf;base64," + as_base64(pages("ts"))
    sent = ask(client, about("what?", file_part(filename="a.pdf", file_data=data)))
    job = served.job(sent.id)
    assert sent.choices[0].message.content == job["output"]["text"] != ""
    assert [page["source"] for page in job["output"]["pages"]] == ["text_layer", "model"]
    named = ask(client, about("what?", file_part(file_id=job["input"]["document"]["id"])))
    assert named.choices[0].message.content == sent.choices[0].message.content


def test_a_document_of_an_earlier_message_is_what_the_chat_is_about(served, client):
    data = as_base64(pages("ts"))
    first = about("what?", file_part(filename="a.pdf", file_data=data))
    said = {"role": "assistant", "content": "a list"}
    answer = ask(client, first, said, {"role": "user", "content": "and the date?"})
    assert served.job(answer.id)["input"]["document"]["page_count"] == 2


def test_the_text_of_a_document_is_streamed(served, client):
    data = as_base64(pages("tst"))
    message = about("read it", file_part(file_data=data))
    extra = {"preset": "ocr", "postprocess": []}
    stream = ask(client, message, stream=True, extra_body=extra)
    chunks = list(stream)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == served.job(chunks[0].id)["output"]["text"]
    assert "\n\n" in text
