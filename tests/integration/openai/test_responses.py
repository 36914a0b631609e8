"""OpenAI's Responses API through openai-python, unchanged, against real gateways."""

from __future__ import annotations

import base64
import json

import httpx
import openai
import pytest
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from shared.jobs.response_api import job_id_of
from shared.store import keys
from tests.support.harness import eventually
from tests.support.images.image_bytes import plain_png

EVENT = TypeAdapter(ResponseStreamEvent)


def data_url(colour: str = "teal", *size: int) -> str:
    return "data:image/png;base64," + base64.b64encode(plain_png(colour, *size)).decode()


def shown(text: str, *urls: str) -> dict:
    images = [{"type": "input_image", "image_url": url, "detail": "auto"} for url in urls]
    return {"role": "user", "content": [*images, {"type": "input_text", "text": text}]}


def client_of(http: httpx.Client) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{http.base_url}/v1", api_key="none", max_retries=0)


@pytest.fixture
def client(served):
    with client_of(served.http) as made:
        yield made


@pytest.fixture
def elsewhere(other_gateway):
    with client_of(other_gateway) as made:
        yield made


def create(client, content="what?", **options):
    return client.responses.create(**{"model": "sightline", "input": content, **options})


def row_of(served, response) -> dict:
    fields = served.redis.client().hgetall(keys.job(job_id_of(response.id)))
    return fields | {"input": json.loads(fields["input"])}


def ended(client, response):
    def look():
        now = client.responses.retrieve(response.id)
        return now if now.status not in ("queued", "in_progress") else None

    return eventually(look)


def text_of(events) -> str:
    return "".join(e.delta for e in events if e.type == "response.output_text.delta")


def test_a_question_about_an_image_is_answered(served, client):
    response = create(client, [shown("what?", data_url())], metadata={"a": "b"})
    assert (response.status, response.object) == ("completed", "response")
    job = served.job(job_id_of(response.id))
    assert response.output_text == job["output"]["text"] != ""
    assert response.usage.input_tokens == job["usage"]["prompt_tokens"] > 0
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens
    assert response.metadata == {"a": "b"}
    # the published shape, strictly
    Response.model_validate(client.responses.retrieve(response.id).to_dict())
    assert client.responses.retrieve(response.id).output_text == response.output_text
    included = ["message.output_text.logprobs", "file_search_call.results"]
    assert client.responses.retrieve(response.id, include=included).id == response.id


def test_an_answer_that_is_cut_off_says_so(client):
    response = create(client, max_output_tokens=2)
    assert response.status == "incomplete"
    assert response.incomplete_details.reason == "max_output_tokens"
    assert response.max_output_tokens == 2
    assert response.output[0].status == "incomplete"


def test_items_keep_their_order_and_are_listed(served, client):
    image = served.http.post("/v1/images", files={"image": plain_png("red")}).json()["id"]
    parts = [
        {"type": "input_text", "text": "Before:"},
        {"type": "input_image", "file_id": image, "detail": "high"},
        {"type": "input_text", "text": "After."},
    ]
    response = create(
        client,
        [
            {"role": "developer", "content": "be short"},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]},
            {
                "type": "message",
                "role": "assistant",
                "id": "msg_1",
                "content": [{"type": "output_text", "text": "hello", "annotations": []}],
            },
            {"role": "user", "content": parts},
        ],
        instructions="speak plainly",
    )
    kept = row_of(served, response)["input"]
    assert [m["text"] for m in kept["before"]] == ["speak plainly", "be short", "hi", "hello"]
    assert (kept["prompt"], kept["image_places"]) == ("Before:\nAfter.", [7])
    listed = client.responses.input_items.list(response.id, order="asc", limit=3)
    assert [item.role for item in listed.data] == ["system", "user", "assistant"]
    with pytest.raises(openai.UnprocessableEntityError, match="after"):
        client.responses.input_items.list(response.id, after="msg_of_no_list")
    items = list(client.responses.input_items.list(response.id))
    assert [item.role for item in items] == ["user", "assistant", "user", "system"]
    assert [part.type for part in items[0].content] == ["input_text", "input_image", "input_text"]
    assert items[0].content[1].file_id == image


def test_a_schema_holds_the_answer(client):
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer"}},
        "required": ["n"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "name": "count", "schema": schema, "strict": True}
    response = create(client, "count", text={"format": form}, max_output_tokens=200)
    assert isinstance(json.loads(response.output_text)["n"], int)
    assert response.text.format.name == "count"


def check_stream(events) -> None:
    """Check what holds for every stream: numbers without gaps, the published shapes, its order."""
    numbers = [event.sequence_number for event in events]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    for event in events:
        EVENT.validate_python(event.to_dict())


def test_a_stream_spells_the_answer(served, client):
    events = list(create(client, "tell me", stream=True))
    check_stream(events)
    kinds = [event.type.removeprefix("response.") for event in events]
    assert kinds[:4] == ["created", "in_progress", "output_item.added", "content_part.added"]
    assert kinds[-4:] == [
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert kinds.count("output_text.delta") == len(kinds) - 8 > 3
    final = events[-1].response
    assert text_of(events) == events[-4].text == final.output_text != ""
    assert final.output_text == served.job(job_id_of(final.id))["output"]["text"]


def test_the_librarys_own_stream_helper_reads_it(client):
    with client.responses.stream(model="sightline", input="tell me more") as stream:
        for _ in stream:
            pass
        assert stream.get_final_response().output_text


def test_a_background_response_is_followed_and_resumed_from_any_gateway(client, elsewhere):
    first = []
    for event in create(client, "at length", background=True, stream=True):
        first.append(event)
        if len(first) == 7:
            break
    kinds = [event.type.removeprefix("response.") for event in first]
    assert kinds[:3] == ["created", "queued", "in_progress"]
    assert first[0].response.status == "queued"
    response = first[0].response
    rest = list(
        elsewhere.responses.retrieve(
            response.id, stream=True, starting_after=first[-1].sequence_number
        )
    )
    check_stream([*first, *rest])
    whole = list(client.responses.retrieve(response.id, stream=True))
    assert [(e.type, e.sequence_number) for e in whole] == [
        (e.type, e.sequence_number) for e in (*first, *rest)
    ]
    assert text_of(whole) == rest[-1].response.output_text
    for after in range(len(whole)):
        resumed = list(elsewhere.responses.retrieve(response.id, stream=True, starting_after=after))
        assert text_of(resumed) == text_of(whole[after + 1 :])


def test_a_response_that_was_read_to_its_end_or_beyond_ends_with_its_last_event(client):
    response = ended(client, create(client, "to the end", background=True))
    *_, last = client.responses.retrieve(response.id, stream=True)
    for after in (last.sequence_number, last.sequence_number + 1, 10_000):
        assert list(client.responses.retrieve(response.id, stream=True, starting_after=after)) == [
            last
        ]


def test_a_response_without_an_answer_ends_above_all_that_was_read_of_it(workerless):
    with client_of(workerless.http) as client:
        response = create(client, "never", background=True)
        client.responses.cancel(response.id)
        *_, last = client.responses.retrieve(response.id, stream=True)
        for after, number in ((last.sequence_number, last.sequence_number), (1000, 1001)):
            (end,) = client.responses.retrieve(response.id, stream=True, starting_after=after)
            assert (end.type, end.sequence_number) == ("response.failed", number)


def test_a_response_that_is_being_written_is_followed_from_beyond_to_its_end(client):
    response = create(client, "at length", background=True)
    (last,) = client.responses.retrieve(response.id, stream=True, starting_after=10_000)
    *_, whole = client.responses.retrieve(response.id, stream=True)
    assert (last.type, last.sequence_number) == (whole.type, whole.sequence_number)


def test_a_stream_is_the_same_when_its_events_are_gone(served, client, elsewhere):
    response = ended(client, create(client, "forgotten", background=True))
    whole = list(client.responses.retrieve(response.id, stream=True))
    served.redis.client().delete(keys.events(job_id_of(response.id)))
    again = list(elsewhere.responses.retrieve(response.id, stream=True))
    assert [e.to_dict() for e in again] == [e.to_dict() for e in whole]


def test_a_background_response_goes_on_without_its_client(client):
    response = create(client, "alone", background=True)
    assert response.status in ("queued", "in_progress")
    assert response.background is True
    assert response.output == []
    assert ended(client, response).output_text


def test_a_response_is_canceled_and_keeps_its_text(served, client):
    response = create(client, "stop", background=True)
    eventually(lambda: served.job(job_id_of(response.id))["status"] == "running")
    canceled = client.responses.cancel(response.id)
    assert canceled.status == "cancelled"
    assert client.responses.cancel(response.id).status == "cancelled"
    Response.model_validate(canceled.to_dict())
    events = list(client.responses.retrieve(response.id, stream=True))
    check_stream(events)
    assert events[-1].response.status == "cancelled"
    assert text_of(events) == canceled.output_text


def test_a_client_that_hangs_up_cancels_what_is_not_in_the_background(served):
    body = {"input": "hang up"}
    with pytest.raises(httpx.ReadTimeout):
        served.http.post("/v1/responses", json=body, timeout=0.4)
    job = served.http.get("/v1/jobs").json()["data"][0]
    eventually(lambda: served.job(job["id"])["status"] == "canceled")


def test_a_deleted_response_is_gone(client):
    response = create(client, max_output_tokens=1)
    client.responses.delete(response.id)
    for call in (client.responses.retrieve, client.responses.cancel, client.responses.delete):
        with pytest.raises(openai.NotFoundError):
            call(response.id)
    with pytest.raises(openai.NotFoundError) as missing:
        create(client, previous_response_id=response.id)
    assert missing.value.param == "/previous_response_id"


def test_a_response_that_is_not_stored_cannot_be_read(served, client):
    response = create(client, store=False, max_output_tokens=1)
    assert response.output_text
    assert int(row_of(served, response)["ttl_ms"]) == 60_000
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(response.id)


def test_responses_go_on_with_earlier_ones_and_fork(served, client):
    first = create(client, [shown("what?", data_url("navy"))], instructions="be short")
    second = create(client, "and now?", previous_response_id=first.id, instructions="be long")
    forks = [create(client, f"fork {n}", previous_response_id=second.id) for n in range(2)]
    kept = row_of(served, second)["input"]
    assert [m["text"] for m in kept["before"]] == ["be long", "what?", first.output_text]
    assert kept["before"][1]["images"] == row_of(served, first)["input"]["images"]
    for n, fork in enumerate(forks):
        said = row_of(served, fork)["input"]
        assert [m["text"] for m in said["before"]] == [
            *("what?", first.output_text, "and now?", second.output_text),
        ]
        assert said["prompt"] == f"fork {n}"
        assert said["thread"] == kept["thread"]
    items = list(client.responses.input_items.list(forks[0].id))
    assert [item.content[0].text for item in items] == ["fork 0"]


def test_a_conversation_is_a_session(served, client):
    begun, last = [create(client, text, conversation="talk-1") for text in ("first", "second")]
    assert last.conversation.id == "talk-1"
    session = served.http.get("/v1/sessions/talk-1").json()
    assert [turn["prompt"] for turn in session["turns"]] == ["first", "second"]
    fork = create(client, "third", previous_response_id=last.id)
    said = [m["text"] for m in row_of(served, fork)["input"]["before"]]
    assert said[::2] == ["first", "second"]
    older = create(client, "other", previous_response_id=begun.id)
    assert row_of(served, older)["input"]["before"][0]["text"] == "first"
    assert len(row_of(served, older)["input"]["before"]) == 2
    assert len(served.http.get("/v1/sessions/talk-1").json()["turns"]) == 2


def test_what_does_not_fit_is_left_out_or_refused_as_asked(client):
    past = [
        part
        for n in range(40)
        for part in (
            shown(f"{n} " + "x" * 5000),
            {"role": "assistant", "content": "seen"},
        )
    ]
    response = create(client, [*past, shown("and now?")], max_output_tokens=1)
    assert response.model_extra["warnings"][0]["code"] == "history_dropped"
    with pytest.raises(openai.UnprocessableEntityError) as refused:
        create(client, [*past, shown("and now?")], truncation="disabled")
    assert refused.value.code == "context_length_exceeded"


@pytest.mark.parametrize(
    ("options", "pointer"),
    [
        ({"tools": [{"type": "web_search"}]}, "/tools"),
        ({"prompt": {"id": "pmpt_1"}}, "/prompt"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "/input/0/type"),
        ({"input": [{"role": "user", "content": [{"type": "input_audio"}]}]},
         "/input/0/content/0/type"),
        ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, "/input/0/content/0"),
        ({"input": [shown("?", "https://127.0.0.1/a.png")]}, "/input/0/content/0/image_url"),
        ({"input": []}, "/input"),
        ({"background": True, "store": False}, "/store"),
        ({"previous_response_id": "resp_1", "conversation": "c"}, "/conversation"),
        ({"previous_response_id": "resp_none"}, "/previous_response_id"),
        ({"truncation": "some"}, "/truncation"),
        ({"max_output_tokens": 0}, "/max_output_tokens"),
        ({"text": {"format": {"type": "nonsense"}}}, "/response_format"),
        ({"extra_body": {"nonsense": 1, "strict": True}}, "/nonsense"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_refused_by_its_name(client, options, pointer):
    with pytest.raises(openai.APIStatusError) as refused:
        create(client, **options)
    assert refused.value.status_code in (403, 404, 422)
    assert refused.value.param.startswith(pointer)


def test_what_is_ignored_is_told(client):
    reasoning = {"type": "reasoning", "id": "rs_1", "summary": []}
    response = create(
        client,
        [reasoning, {"role": "user", "content": "hi"}],
        reasoning={"effort": "low", "nonsense": 1},
        tools=[],
        include=[],
        max_output_tokens=1,
    )
    codes = [warning["code"] for warning in response.model_extra["warnings"]]
    assert codes == ["parameter_ignored", "item_ignored"]


def test_a_sampled_response_says_the_same_after_its_worker_was_lost(served, client):
    response = create(client, "draw", temperature=0.7, max_output_tokens=1)
    assert row_of(served, response)["input"]["params"]["seed"] >= 0


def test_a_job_is_no_response(served, client):
    job = served.ended()
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(job["id"].replace("job_", "resp_"))


@pytest.mark.parametrize("name", ["..", "x" * 200, "a b", ""])
def test_a_conversation_that_cannot_be_is_refused_under_its_own_name(client, name):
    with pytest.raises(openai.UnprocessableEntityError) as refused:
        client.responses.create(model="sightline", input="x", conversation=name)
    assert refused.value.param == "/conversation/id"


def test_parts_without_a_message_are_told_where_they_belong(client):
    with pytest.raises(openai.UnprocessableEntityError, match='"role": "user"'):
        client.responses.create(model="sightline", input=[{"type": "input_text", "text": "x"}])
