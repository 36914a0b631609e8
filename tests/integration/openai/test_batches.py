"""Files and batches through openai-python, unchanged, with gateways and workers that are killed."""

from __future__ import annotations

import base64
import io
import json
import time

import httpx
import openai
import pytest
from openai.types import Batch, FileObject

from tests.integration.conftest import Service
from tests.support.harness import QUICK, eventually, running_redis, running_system
from tests.support.images.image_bytes import plain_png
from tests.support.servers.receivers import receiving

OUTWARD = {"SIGHTLINE_ALLOW_NETS": "127.0.0.0/8", "SIGHTLINE_ALLOW_PORTS": "1-65535"}
CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"


@pytest.fixture(scope="module")
def batching(tmp_path_factory):
    folder = tmp_path_factory.mktemp("batching")
    env = QUICK | OUTWARD | {"SIGHTLINE_SIMULATED_TOKEN_S": "0.01"}
    with running_redis(folder) as redis, running_system(redis.url, folder, **env) as system:
        system.worker(slots=8)
        system.courier()
        process, http = system.gateway()
        yield Service(http, redis, process, system)


def client_of(http: httpx.Client) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{http.base_url}/v1", api_key="none", max_retries=2)


@pytest.fixture
def client(batching):
    return client_of(batching.http)


def served_events(client, job_id: str) -> list[str]:
    """Return the types of a job's events as they are read after its end."""
    url = str(client.base_url).replace("/v1/", f"/v1/jobs/{job_id}/events")
    lines = httpx.get(url, timeout=30).text.splitlines()
    return [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]


def chat_line(name: str, text: str, **options) -> dict:
    body = {"model": "sightline", "messages": [{"role": "user", "content": text}], "max_tokens": 2}
    return {"custom_id": name, "method": "POST", "url": CHAT, "body": body | options}


def upload(client, lines: list, purpose: str = "batch"):
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    return client.files.create(file=("in.jsonl", io.BytesIO(text.encode())), purpose=purpose)


def start(client, lines: list, endpoint: str = CHAT, **options):
    options = {"completion_window": "24h", **options}
    return client.batches.create(
        input_file_id=upload(client, lines).id, endpoint=endpoint, **options
    )


def ended(client, batch, within_s: float = 60):
    def look():
        now = client.batches.retrieve(batch.id)
        return now if now.status not in ("validating", "in_progress", "cancelling") else None

    return eventually(look, within_s)


def lines_of(client, file_id) -> list[dict]:
    if file_id is None:
        return []
    return [json.loads(line) for line in client.files.content(file_id).text.splitlines()]


def test_files_are_stored_listed_read_and_deleted(client):
    data = bytes(range(256)) * 3000
    file = client.files.create(
        file=("a.bin", data),
        purpose="user_data",
        expires_after={"anchor": "created_at", "seconds": 7200},
    )
    FileObject.model_validate(file.to_dict())
    assert (file.bytes, file.filename, file.purpose) == (len(data), "a.bin", "user_data")
    assert file.expires_at - file.created_at == 7200
    assert client.files.content(file.id).read() == data
    assert client.files.retrieve(file.id).id == file.id
    others = [client.files.create(file=(f"{n}", b"x"), purpose="user_data").id for n in range(3)]
    listed = [one.id for one in client.files.list(limit=2, purpose="user_data")]
    assert listed[:4] == [*reversed(others), file.id]
    assert client.files.delete(file.id).deleted
    for call in (client.files.retrieve, client.files.content, client.files.delete):
        with pytest.raises(openai.NotFoundError):
            call(file.id)


def test_a_file_is_an_image_of_a_question(batching, client):
    file = client.files.create(file=("a.png", plain_png("red")), purpose="vision")
    part = {"type": "input_image", "file_id": file.id, "detail": "auto"}
    response = client.responses.create(
        model="sightline",
        input=[{"role": "user", "content": [part, {"type": "input_text", "text": "?"}]}],
    )
    job = batching.job(response.id.replace("resp_", "job_"))
    uploaded = batching.http.post("/v1/images", files={"image": plain_png("red")}).json()
    assert job["input"]["images"][0]["id"] == uploaded["id"]


def test_every_line_has_its_answer_or_its_error(batching, client):
    image = "data:image/png;base64," + base64.b64encode(plain_png("blue")).decode()
    shown = [{"type": "image_url", "image_url": {"url": image}}, {"type": "text", "text": "?"}]
    broken = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]
    lines = [
        chat_line("plain", "one"),
        chat_line("图", "x", messages=[{"role": "user", "content": shown}]),
        chat_line("broken", "x", messages=[{"role": "user", "content": broken}]),
        chat_line("elsewhere", "x", model="gpt-none"),
    ]
    with receiving() as receiver:
        secret = batching.http.post("/v1/webhooks/secret/rotate").json()["secret"]
        batch = start(
            client, lines, metadata={"a": "b"}, extra_body={"webhook": receiver.url + "/hook"}
        )
        assert batch.status == "validating"
        done = ended(client, batch)
        eventually(lambda: receiver.requests)
    Batch.model_validate(done.to_dict())
    assert (done.status, done.metadata) == ("completed", {"a": "b"})
    counts = done.request_counts
    assert (counts.total, counts.completed, counts.failed) == (4, 2, 2)
    answers = {line["custom_id"]: line for line in lines_of(client, done.output_file_id)}
    assert set(answers) == {"plain", "图"}
    body = answers["图"]["response"]["body"]
    job = batching.job(body["id"])
    assert body["choices"][0]["message"]["content"] == job["output"]["text"]
    assert answers["图"]["response"]["status_code"] == 200
    assert job["queue"]["name"] == "low"
    errors = {line["custom_id"]: line["response"] for line in lines_of(client, done.error_file_id)}
    assert errors["elsewhere"]["status_code"] == 404
    assert errors["elsewhere"]["body"]["error"]["code"] == "model_not_found"
    assert errors["broken"]["status_code"] in (415, 422)
    assert client.files.retrieve(done.output_file_id).purpose == "batch_output"
    (request,) = receiver.requests
    message = client.webhooks.unwrap(request.body, request.headers, secret=secret)
    assert (message.type, message.data.id) == ("batch.completed", batch.id)
    assert [one.id for one in client.batches.list(limit=1).data] == [batch.id]


def test_files_are_listed_by_purpose_in_both_orders_a_page_at_a_time(client):
    made = [
        client.files.create(file=(f"{n}", b"x"), purpose="assistants" if n % 2 else "vision")
        for n in range(4)
    ]
    ids = [file.id for file in made if file.purpose == "assistants"]
    for order in ("asc", "desc"):
        # two pages, though others are between them
        listed = client.files.list(purpose="assistants", order=order, limit=1)
        assert [file.id for file in listed] == (ids if order == "asc" else ids[::-1])
    for file in made:
        client.files.delete(file.id)


def test_results_are_kept_as_long_as_the_batch_asks(client):
    kept = {"anchor": "created_at", "seconds": 7200}
    done = ended(client, start(client, [chat_line("a", "x")], output_expires_after=kept))
    file = client.files.retrieve(done.output_file_id)
    assert file.expires_at - file.created_at == 7200


def test_lines_may_be_responses(client):
    line = {"custom_id": "r", "method": "POST", "url": RESPONSES}
    batch = start(client, [line | {"body": {"input": "hi"}}], RESPONSES)
    (answer,) = lines_of(client, ended(client, batch).output_file_id)
    assert answer["response"]["body"]["object"] == "response"
    response = client.responses.retrieve(answer["response"]["body"]["id"])
    assert response.output_text
    # its events are gone with its result, and whoever reads them gets the same answer
    events = client.responses.retrieve(response.id, stream=True)
    texts = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(texts) == response.output_text
    job = served_events(client, response.id.replace("resp_", "job_"))
    assert job[-1] == "job.succeeded"


def test_lines_that_cannot_be_run_are_refused_before_any_work(batching, client):
    before = batching.http.get("/v1/jobs").json()["data"][:1]
    lines = [
        chat_line("a", "fine"),
        "{nonsense",
        chat_line("a", "again"),
        chat_line("b", "x") | {"method": "GET"},
        chat_line("c", "x") | {"url": RESPONSES},
        chat_line("d", "x", max_tokens=0),
        chat_line("e", "x", stream=True),
        chat_line("f", "x", n=2),
        {"custom_id": "g"},
    ]
    done = ended(client, start(client, lines))
    assert done.status == "failed"
    assert [(e.line, e.code) for e in done.errors.data] == [
        (2, "invalid_json_line"),
        (3, "duplicate_custom_id"),
        (4, "invalid_method"),
        (5, "mismatched_endpoint"),
        (6, "invalid_parameter"),
        (7, "invalid_parameter"),
        (8, "invalid_parameter"),
        (9, "invalid_request_line"),
    ]
    assert done.errors.data[4].param == "/body/max_tokens"
    assert batching.http.get("/v1/jobs").json()["data"][:1] == before


def test_a_canceled_batch_keeps_its_results(batching, client):
    lines = [chat_line(f"{n}", f"question {n}", max_tokens=30) for n in range(400)]
    batch = start(client, lines)
    eventually(lambda: client.batches.retrieve(batch.id).request_counts.completed > 5)
    assert client.batches.cancel(batch.id).status == "cancelling"
    done = ended(client, batch)
    assert done.status == "cancelled"
    answers = lines_of(client, done.output_file_id)
    assert 5 < len(answers) == done.request_counts.completed < 400
    unfinished = batching.http.get("/v1/jobs", params={"status": "queued"}).json()["data"]
    assert unfinished == []


def test_what_is_not_done_within_the_window_is_told_line_by_line(batching, client):
    lines = [chat_line(f"{n}", f"late {n}", max_tokens=30) for n in range(300)]
    batch = start(client, lines)
    redis, name = batching.redis.client(), f"sl:batch:anonymous:{batch.id}"
    eventually(lambda: client.batches.retrieve(batch.id).request_counts.completed > 0)
    redis.hset(name, "expires_ms", 1)
    done = ended(client, batch)
    assert done.status == "expired"
    answers = lines_of(client, done.output_file_id)
    errors = lines_of(client, done.error_file_id)
    assert len(answers) + len(errors) == 300
    assert {line["custom_id"] for line in (*answers, *errors)} == {f"{n}" for n in range(300)}
    assert errors[-1]["error"]["code"] == "batch_expired"


@pytest.mark.parametrize(
    ("options", "pointer"),
    [
        ({"input_file_id": "file-" + "0" * 33}, "/input_file_id"),
        ({"input_file_id": "user_data"}, "/input_file_id"),
        ({"endpoint": "/v1/embeddings"}, "/endpoint"),
        ({"completion_window": "31d"}, "/completion_window"),
        ({"completion_window": "soon"}, "/completion_window"),
        ({"extra_body": {"nonsense": 1}}, "/nonsense"),
        ({"extra_body": {"webhook": "http://169.254.1.1/"}}, "/webhook"),
    ],
)
def test_a_batch_that_cannot_be_is_refused(client, options, pointer):
    purpose = options.get("input_file_id")
    if purpose == "user_data":
        options = options | {"input_file_id": upload(client, ["a"], purpose).id}
    fields = {
        "input_file_id": upload(client, [chat_line("a", "b")]).id,
        "endpoint": CHAT,
        "completion_window": "24h",
    }
    with pytest.raises(openai.APIStatusError) as refused:
        client.batches.create(**(fields | options))
    assert refused.value.param == pointer


def test_a_file_of_another_kind_is_refused(client):
    with pytest.raises(openai.UnprocessableEntityError) as refused:
        upload(client, ["a"], "fine-tune")
    assert refused.value.param == "/purpose"


@pytest.mark.timeout(600)
@pytest.mark.parametrize("count", [500, pytest.param(2000, marks=pytest.mark.long)])
def test_every_line_of_many_has_one_result_whoever_is_killed(tmp_path, count):
    """Gateways and workers are killed in the middle, more than once."""
    env = QUICK | {"SIGHTLINE_SIMULATED_TOKEN_S": "0.001"}
    with running_redis(tmp_path) as redis, running_system(redis.url, tmp_path, **env) as system:
        worker = system.worker(slots=16)
        gateway, http = system.gateway()
        lines = [chat_line(f"line {n}", f"question {n}") for n in range(count)]
        batch = start(client_of(http), lines)
        for reached in (count // 20, count // 4, count // 2):
            client = client_of(http)
            eventually(
                lambda client=client, reached=reached: (
                    client.batches.retrieve(batch.id).request_counts.completed >= reached
                ),
                120,
            )
            gateway.kill()
            worker.kill()
            worker = system.worker(slots=16)
            gateway, http = system.gateway()
        client = client_of(http)
        # somebody else is served meanwhile
        began = time.monotonic()
        answer = client.chat.completions.create(
            model="sightline", messages=[{"role": "user", "content": "me"}], max_tokens=1
        )
        assert answer.choices[0].message.content
        assert time.monotonic() - began < 30
        done = ended(client, batch, 400)
        assert done.status == "completed"
        answers = lines_of(client, done.output_file_id)
        assert done.request_counts.completed == len(answers) == count
        assert {line["custom_id"] for line in answers} == {f"line {n}" for n in range(count)}
        assert done.error_file_id is None
        # each line has made one job
        assert len({line["response"]["body"]["id"] for line in answers}) == count
        figures = redis.client().hgetall("sl:counters")
        assert int(figures["jobs.submitted"]) == count + 1
