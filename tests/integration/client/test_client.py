"""Both Python clients against a real gateway, also over bad connections."""

from __future__ import annotations

import asyncio
import io
import socket
import threading

import pytest
from PIL import Image

from sightline import (
    AsyncClient,
    Client,
    JobCanceled,
    NoConnection,
    SubmitOptions,
    TruncatedAnswer,
    WaitTimeout,
    types,
)
from sightline.errors import (
    BadParameters,
    Erased,
    IdempotencyKeyReused,
    InvalidImage,
    NotCancelable,
    NotFound,
    UnexpectedAnswer,
)
from tests.support.documents.drawn import pdf, write
from tests.support.images.image_bytes import plain_png
from tests.support.servers.receivers import raw, receiving

PNG = plain_png("red", 64, 48)


#: Short answers save time here, and are cut off.
pytestmark = pytest.mark.filterwarnings("ignore::sightline.TruncatedAnswer")


@pytest.fixture
def client(served):
    with Client(str(served.http.base_url)) as made:
        yield made


def test_a_question_is_answered_and_its_job_is_at_hand(client, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(PNG)
    with pytest.warns(TruncatedAnswer, match="larger max_new_tokens") as caught:
        answer = client.ask("What is it?", path, max_new_tokens=3, metadata={"order": "42"})
    assert caught[0].filename == __file__
    assert str(answer) == answer.text != ""
    assert answer.truncated
    assert not client.ask("What is it?", path).truncated
    assert answer.job["metadata"] == {"order": "42"}
    assert answer.job["usage"]["completion_tokens"] == 3


def test_words_are_found_with_their_places(client, served):
    file = pdf(lambda canvas: write(canvas, ["The place of", "delivery is Rotterdam"]))
    own = SubmitOptions(text_layer="only", reader="second")
    answer = client.find(file, "Rotterdam", **own)
    (one,) = answer.objects
    assert (one["label"], one["page"], one["source"]) == ("Rotterdam", 1, "reader")
    assert str(answer) == "Found: Rotterdam (1)."
    both = client.find(file, ["zebra", "place"], **own)
    assert [place["label"] for place in both.objects] == ["place"]
    (broken,) = client.find(file, phrase="place of delivery", **own).objects
    assert len(broken["parts"]) == 2
    with pytest.raises(BadParameters) as caught:
        client.find(file)
    assert caught.value.pointer == "/labels"

    async def find():
        async with AsyncClient(str(served.http.base_url)) as other:
            return (await other.find(file, "Rotterdam", **own)).objects

    assert asyncio.run(find()) == [one]


def test_images_of_all_kinds_are_one_and_the_same(client, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(PNG)
    pillow = Image.open(io.BytesIO(PNG))
    known = client.upload(str(path))["id"]
    sources = [path, str(path), PNG, io.BytesIO(PNG), pillow, known]
    jobs = [client.submit("?", source, max_new_tokens=1) for source in sources]
    mixed = client.submit("?", [plain_png("blue", 64, 48), known, path], max_new_tokens=1)
    assert {job.data["input"]["images"][0]["id"] for job in jobs} == {known}
    assert [one["id"] for one in mixed.data["input"]["images"]][1:] == [known, known]


def test_the_same_file_is_uploaded_once_and_again_when_the_service_forgot_it(client):
    first = client.upload(plain_png("green", 64, 48))
    assert client.upload(plain_png("green", 64, 48))["id"] == first["id"]
    client.delete_image(first["id"])
    with pytest.raises(NotFound):
        client.image(first["id"])
    assert client.upload(plain_png("green", 64, 48))["id"] == first["id"]
    assert client.image(first["id"])["width"] == 64


def test_an_image_that_is_none_is_refused_by_type_and_place(client):
    with pytest.raises(InvalidImage) as raised:
        client.submit("?", [PNG, b"not an image"])
    assert raised.value.code == "unsupported_image_format"
    assert raised.value.pointer == "/images/1"
    assert raised.value.request_id
    with pytest.raises(BadParameters, match="nope"):
        client.submit("?", preset="nope")


def test_a_job_is_streamed_waited_for_and_listed(client):
    job = client.submit("?", PNG, max_new_tokens=6, session_id="listed")
    events = list(job.stream())
    assert events[-1].type == "job.succeeded"
    assert "".join(event.text for event in events) == job.text == job.result().text
    assert [event.seq for event in job.stream(after=events[-2].seq)] == [events[-1].seq]
    more = [client.submit("?", session_id=f"listed{n}", max_new_tokens=1) for n in range(3)]
    listed = [one.id for one in client.jobs(limit=4)]
    assert {one.id for one in more} <= set(listed)
    assert [one.id for one in client.jobs(session_id="listed")] == [job.id]


def test_a_canceled_job_keeps_its_words_and_can_be_tried_again_and_erased(client):
    job = client.submit("?", max_new_tokens=2000)
    with pytest.raises(WaitTimeout):
        job.wait(0.5)
    job.cancel()
    with pytest.raises(JobCanceled) as raised:
        job.result()
    assert raised.value.partial == job.text
    assert job.cancel().status == "canceled"
    again = job.retry()
    assert again.data["retry_of"] == job.id
    again.erase()
    with pytest.raises(Erased):
        again.refresh()


def test_a_key_of_ones_own_finds_the_same_job(client):
    first = client.submit("?", idempotency_key="mine", max_new_tokens=1)
    second = client.submit("?", idempotency_key="mine", max_new_tokens=1)
    assert (second.id, first.replayed, second.replayed) == (first.id, False, True)
    with pytest.raises(IdempotencyKeyReused):
        client.submit("another", idempotency_key="mine")


def test_a_conversation_keeps_its_turns(client):
    talk = client.session("talk")
    talk.ask("?", PNG, max_new_tokens=1)
    talk.ask("and?", max_new_tokens=1)
    assert [turn["prompt"] for turn in talk.read()["turns"]] == ["?", "and?"]
    assert "talk" in [one["id"] for one in client.sessions()]
    talk.delete()
    with pytest.raises(NotFound):
        talk.read()


def test_what_is_asked_of_the_service_is_told(client):
    assert client.limits()["request"]["max_images"] >= 1
    assert "ocr" in [preset["name"] for preset in client.presets()]
    assert client.rules()[0]["name"]
    assert client.models()[0]["simulated"]
    assert client.queue()["workers"]
    assert client.webhook_secret(rotate=True)["secret"].startswith("whsec_")
    assert client.webhook_secret()["secret"] is None
    assert client.replay_failed("2026-01-31T00:00:00Z") == 0
    assert client.webhook_endpoints() == []


def test_each_parameter_of_a_submission_is_an_option(served):
    document = served.http.get("/openapi.json").json()
    parameters = set(document["components"]["schemas"]["Submission"]["properties"])
    assert parameters - {"prompt", "images", "document"} == SubmitOptions.__annotations__.keys()


@pytest.mark.parametrize(
    ("shape", "schema"),
    [
        (types.JobData, "Job"),
        (types.Output, "OutputState"),
        (types.FoundObject, "ObjectState"),
        (types.ImageData, "ImageState"),
        (types.SessionData, "SessionState"),
        (types.Turn, "SessionTurn"),
        (types.DeliveryData, "DeliveryState"),
        (types.Attempt, "AttemptState"),
        (types.SecretData, "SecretState"),
    ],
)
def test_the_shapes_that_type_checkers_see_are_those_of_the_service(served, shape, schema):
    schemas = served.http.get("/openapi.json").json()["components"]["schemas"]
    assert shape.__annotations__.keys() <= schemas[schema]["properties"].keys()


def test_many_questions_at_once_with_await(served):
    async def main():
        async with AsyncClient(str(served.http.base_url)) as client:
            answers = await asyncio.gather(
                *(client.ask(f"{n}?", PNG, max_new_tokens=2) for n in range(6))
            )
            job = await client.submit("?", max_new_tokens=6)
            events = [event async for event in job.stream()]
            with pytest.raises(NotCancelable):
                await job.cancel()
            with pytest.raises(NotFound):
                await client.job("job_" + "0" * 36)
            listed = [one.id async for one in client.jobs(limit=3)]
            image = await client.upload(PNG)
            talk = client.session("awaited")
            await talk.ask("?", image["id"], max_new_tokens=1)
            turns = (await talk.read())["turns"]
            return answers, events, job, listed, turns

    answers, events, job, listed, turns = asyncio.run(main())
    assert all(answer.text for answer in answers)
    assert "".join(event.text for event in events) == job.text != ""
    assert job.id in listed
    assert turns[0]["images"]


class Cutting:
    """A connection to the gateway that breaks after some bytes of each response, a few times."""

    def __init__(self, port, bytes_each, times):
        self._port = port
        self._bytes = bytes_each
        self.left = times

    def __call__(self, peer):
        with socket.create_connection(("127.0.0.1", self._port)) as there:
            threading.Thread(target=self._up, args=(peer, there), daemon=True).start()
            budget = self._bytes if self.left > 0 else 1 << 30
            while budget > 0 and (data := there.recv(min(4096, budget))):
                peer.sendall(data)
                budget -= len(data)
            if budget <= 0:
                self.left -= 1
                peer.shutdown(socket.SHUT_RDWR)

    def _up(self, peer, there):
        try:
            while data := peer.recv(65536):
                there.sendall(data)
        except OSError:
            return


def test_a_stream_over_a_line_that_breaks_is_whole(served, client):
    job = client.submit("?", PNG, max_new_tokens=30)
    expected = [(event.seq, event.type, event.text) for event in job.stream()]
    cutting = Cutting(served.http.base_url.port, 900, 0)
    once = {"Connection": "close"}
    with raw(cutting) as port, Client(f"http://127.0.0.1:{port}", headers=once) as broken:
        same = broken.job(job.id)
        cutting.left = 2
        events = [(event.seq, event.type, event.text) for event in same.stream()]
    assert events == expected
    assert cutting.left == 0


def test_a_submission_whose_answer_was_lost_is_one_job(served):
    cutting = Cutting(served.http.base_url.port, 20, 1)
    with raw(cutting) as port, Client(f"http://127.0.0.1:{port}") as broken:
        job = broken.submit("lost", session_id="lost", max_new_tokens=1)
    assert job.replayed
    assert [one["id"] for one in served.http.get("/v1/jobs?session_id=lost").json()["data"]] == [
        job.id
    ]


def test_who_answers_nothing_or_nonsense_is_told_apart():
    with raw(lambda peer: peer.recv(1)) as port:
        silent = Client(f"http://127.0.0.1:{port}", retries=1)
        with pytest.raises(NoConnection, match=str(port)):
            silent.limits()
    page = (200, {"Content-Type": "text/html"}, b"<html>")
    with receiving(lambda _: page) as other:
        elsewhere = Client(other.url)
        with pytest.raises(UnexpectedAnswer, match="text/html"):
            elsewhere.limits()
    silent.close()
    elsewhere.close()
    with pytest.raises(ValueError, match="ftp"):
        Client("ftp://x")


def test_a_group_is_described_counted_canceled_and_retried(client):
    assert client.describe_group("by-client", size=1)["counts"]["total"] == 0
    client.ask("What is it?", group="by-client", max_new_tokens=2)
    assert client.group("by-client")["status"] == "completed"
    assert client.cancel_group("by-client")["counts"]["canceled"] == 0
    assert client.retry_group("by-client")["retried"] == []
