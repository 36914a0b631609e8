"""A background response whose worker and gateway are killed: its stream is its stored text."""

from __future__ import annotations

import openai
import pytest

from tests.support.harness import QUICK, eventually, running_redis, running_system
from tests.support.servers.receivers import receiving

OUTWARD = {"SIGHTLINE_ALLOW_NETS": "127.0.0.0/8", "SIGHTLINE_ALLOW_PORTS": "1-65535"}


@pytest.fixture(scope="module")
def system(tmp_path_factory):
    folder = tmp_path_factory.mktemp("responses")
    env = QUICK | OUTWARD | {"SIGHTLINE_SIMULATED_TOKEN_S": "0.1"}
    with running_redis(folder) as redis, running_system(redis.url, folder, **env) as running:
        yield running


@pytest.fixture(scope="module")
def hooked(system):
    """A client of a gateway with a courier, and the secret that the courier signs with."""
    _, http = system.gateway()
    system.courier()
    secret = http.post("/v1/webhooks/secret/rotate").json()["secret"]
    return client_of(http), secret


def client_of(http):
    return openai.OpenAI(base_url=f"{http.base_url}/v1", api_key="none", max_retries=0)


def text_of(events):
    return "".join(e.delta for e in events if e.type == "response.output_text.delta")


@pytest.mark.parametrize("sampling", [{}, {"temperature": 0.9}], ids=["greedy", "sampled"])
def test_a_stream_resumed_after_kills_of_gateway_and_worker_is_the_stored_text(system, sampling):
    worker = system.worker(slots=2)
    gateway, http = system.gateway()
    stream = client_of(http).responses.create(
        model="sightline", input="a long story", background=True, stream=True, **sampling
    )
    first = []
    for event in stream:
        first.append(event)
        if text_of(first).count(" ") == 4:
            break
    gateway.kill()
    worker.kill()
    other = system.worker(slots=2)
    _, http = system.gateway()
    client = client_of(http)
    after = first[-1].sequence_number
    rest = list(client.responses.retrieve(first[0].response.id, stream=True, starting_after=after))
    final = client.responses.retrieve(first[0].response.id)
    assert final.status == "completed"
    assert text_of(first) + text_of(rest) == final.output_text
    numbers = [event.sequence_number for event in (*first, *rest)]
    assert numbers == list(range(len(numbers)))
    job = http.get("/v1/jobs/" + final.id.replace("resp_", "job_")).json()
    assert job["metrics"]["attempt"] == 2
    other.kill()


@pytest.mark.parametrize(
    ("options", "event"),
    [({}, "response.completed"), ({"max_output_tokens": 1}, "response.incomplete")],
)
def test_the_official_library_unwraps_the_webhook_of_a_response(system, hooked, options, event):
    client, secret = hooked
    worker = system.worker()
    with receiving() as receiver:
        response = client.responses.create(
            model="sightline",
            input="notify",
            background=True,
            extra_body={"webhook": receiver.url},
            **options,
        )
        eventually(lambda: receiver.requests)
    (request,) = receiver.requests
    message = client.webhooks.unwrap(request.body, request.headers, secret=secret)
    assert (message.type, message.object, message.data.id) == (event, "event", response.id)
    assert message.id.startswith("evt_")
    with pytest.raises(openai.InvalidWebhookSignatureError):
        client.webhooks.unwrap(request.body + b" ", request.headers, secret=secret)
    worker.kill()


def test_a_canceled_response_is_told_as_cancelled(hooked):
    client, secret = hooked
    with receiving() as receiver:
        response = client.responses.create(
            model="sightline", input="stop", background=True, extra_body={"webhook": receiver.url}
        )
        assert client.responses.cancel(response.id).status == "cancelled"
        eventually(lambda: receiver.requests)
    (request,) = receiver.requests
    message = client.webhooks.unwrap(request.body, request.headers, secret=secret)
    assert (message.type, message.data.id) == ("response.cancelled", response.id)
