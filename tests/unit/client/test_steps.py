"""Operations and retries of the client, without any I/O."""

from __future__ import annotations

import json
import time

import pytest

from sightline._api import Api
from sightline._steps import (
    Emit,
    NoAnswer,
    Policy,
    Read,
    Reply,
    Request,
    Sleep,
    resume,
    retry_after_s,
    send_with_retries,
)
from sightline.errors import (
    APIError,
    BadParameters,
    NoConnection,
    QueueFull,
    ServerError,
    SessionBusy,
    UnexpectedAnswer,
    WaitTimeout,
)

POLICY = Policy(retries=3)


def refused(status, code, **headers):
    body = json.dumps({"code": code, "detail": "no"}).encode()
    return Reply(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


def answered(**fields):
    return Reply(200, {"content-type": "application/json"}, json.dumps(fields).encode())


def job(status, **more):
    return {"id": "job_1", "status": status, "output": None, **more}


class Play:
    """Plays the outside of an operation: `outcomes` answer its requests and reads, in order."""

    def __init__(self, *outcomes):
        self.outcomes = list(outcomes)
        self.requests = []
        self.slept = []
        self.emitted = []

    def run(self, steps):
        try:
            step = next(steps)
            while True:
                step = resume(steps, self._outcome(step))
        except StopIteration as end:
            assert not self.outcomes
            return end.value

    def _outcome(self, step):
        if isinstance(step, Sleep):
            self.slept.append(step.seconds)
            return None
        if isinstance(step, Emit):
            self.emitted.append(step.item)
            return None
        if isinstance(step, Request):
            self.requests.append(step)
        else:
            assert isinstance(step, Read)
        return self.outcomes.pop(0)


GET = Request("GET", "/v1/queue")
POST = Request("POST", "/v1/jobs/job_1/retry", repeatable=False)


def test_a_full_queue_is_asked_again_when_it_said():
    play = Play(refused(503, "queue_full", retry_after="7"), answered(ok=1))
    assert play.run(send_with_retries(POST, POLICY)).json() == {"ok": 1}
    assert play.slept == [7.0]


def test_pauses_grow_and_repetitions_end():
    play = Play(*[refused(503, "queue_full")] * 4)
    with pytest.raises(QueueFull):
        play.run(send_with_retries(GET, Policy(retries=3, first_s=1.0, longest_s=3.0)))
    bounds = [(0.5, 1.0), (1.0, 2.0), (1.5, 3.0)]
    assert all(low <= s <= high for s, (low, high) in zip(play.slept, bounds, strict=True))


def test_a_service_that_wants_to_be_left_alone_for_long_is_not_waited_for():
    play = Play(refused(429, "rate_limited", retry_after="3600"))
    with pytest.raises(APIError) as raised:
        play.run(send_with_retries(GET, POLICY))
    assert raised.value.retry_after_s == 3600
    assert play.slept == []


def test_no_pause_goes_beyond_the_callers_time():
    play = Play(refused(503, "queue_full", retry_after="7"))
    with pytest.raises(QueueFull):
        play.run(send_with_retries(GET, POLICY, time.monotonic() + 5))
    assert play.slept == []


def test_what_must_not_be_done_twice_is_not_sent_again_once_it_may_have_arrived():
    play = Play(NoAnswer("cut", sent=True))
    with pytest.raises(NoConnection):
        play.run(send_with_retries(POST, POLICY))
    assert len(play.requests) == 1
    with pytest.raises(ServerError):
        Play(refused(500, "internal_error")).run(send_with_retries(POST, POLICY))
    play = Play(NoAnswer("refused", sent=False), answered())
    play.run(send_with_retries(POST, POLICY))
    assert len(play.requests) == 2


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (refused(422, "bad_parameters"), BadParameters),
        (refused(409, "session_busy", x_should_retry="false"), SessionBusy),
    ],
)
def test_a_refusal_for_good_is_raised_at_once(reply, kind):
    with pytest.raises(kind):
        Play(reply).run(send_with_retries(GET, POLICY))


def test_an_unknown_code_is_known_by_its_status_and_a_page_is_no_answer():
    with pytest.raises(ServerError) as raised:
        Play(refused(500, "new_code")).run(send_with_retries(POST, POLICY))
    assert (raised.value.code, raised.value.detail) == ("new_code", "no")
    page = Reply(200, {"content-type": "text/html"}, b"<html>")
    with pytest.raises(UnexpectedAnswer, match="text/html"):
        Play(page).run(Api(POLICY).request_json("GET", "/v1/limits"))


def test_a_repeated_submission_carries_the_same_key_and_two_submissions_different_ones():
    api = Api(POLICY)
    play = Play(NoAnswer("cut", sent=True), refused(502, "x"), answered(**job("queued")))
    play.run(api.submit("?", [], {}))
    again = Play(answered(**job("queued")))
    again.run(api.submit("?", [], {}))
    keys = [r.headers["Idempotency-Key"] for r in play.requests + again.requests]
    assert len(keys) == 4
    assert len(set(keys)) == 2
    assert len(set(keys[:3])) == 1


def test_files_alone_go_as_a_form_and_beside_a_url_in_their_order_as_json(tmp_path):
    file = tmp_path / "a.png"
    file.write_bytes(b"png")
    api = Api(POLICY)

    def sent(images):
        steps = api.submit("?", images, {"metadata": {"a": 1}, "do_sample": True})
        step = next(steps)
        while not isinstance(step, Request):
            from sightline._images import load

            step = steps.send(load(step.source))
        return step

    form = sent([file, b"raw"])
    assert form.files == (("image", ("a.png", b"png")), ("image", ("image", b"raw")))
    assert form.form == {"metadata": '{"a": 1}', "do_sample": "true", "prompt": "?"}
    body = sent(["https://x.example/a.png", str(file)]).json
    assert body["images"] == ["https://x.example/a.png", "data:;base64,cG5n"]
    assert body["metadata"] == {"a": 1}


def test_waiting_ends_with_the_job_or_with_the_time_and_tells_of_changes():
    api, updates = Api(POLICY), []
    play = Play(answered(**job("running")), answered(**job("succeeded")))
    ended = play.run(api.wait(job("queued"), None, updates.append))
    assert ended["status"] == "succeeded"
    assert [one["status"] for one in updates] == ["running", "succeeded"]
    assert [r.params for r in play.requests] == [{"wait": "30"}] * 2
    with pytest.raises(WaitTimeout) as raised:
        Play().run(api.wait(job("queued"), 0))
    assert raised.value.job["id"] == "job_1"


def frame(seq, kind, **data):
    return f"id: {seq}\nevent: {kind}\ndata: {json.dumps(data)}\n\n".encode()


def test_a_broken_stream_goes_on_after_the_last_event_seen():
    play = Play(
        Reply(200, {}),
        b"retry: 2000\n\n" + frame(1, "job.queued") + frame(2, "output.delta", text="a")[:9],
        NoAnswer("cut", sent=True),
        Reply(200, {}),
        frame(2, "output.delta", text="a"),
        None,
        Reply(200, {}),
        frame(3, "job.succeeded", **job("succeeded")),
    )
    play.run(Api(POLICY).stream("job_1"))
    assert [event.seq for event in play.emitted] == [1, 2, 3]
    assert [r.headers.get("Last-Event-ID") for r in play.requests] == [None, "1", "2"]
    assert play.slept[0] == 2.0


def test_a_stream_that_never_comes_is_given_up():
    play = Play(*[Reply(200, {}), None] * 4)
    with pytest.raises(NoConnection, match="4 times"):
        play.run(Api(POLICY).stream("job_1"))


def test_pages_are_fetched_as_they_are_needed_and_up_to_a_limit():
    def page(*ids, more):
        data = [{"id": one, "output": None} for one in ids]
        return answered(data=data, has_more=more, last_id=ids[-1])

    def ids(play):
        return [one["id"] for one in play.emitted]

    play = Play(page("c", "b", more=True), page("a", more=False))
    play.run(Api(POLICY).list_jobs(None, {}, whole=True))
    assert ids(play) == ["c", "b", "a"]
    assert [r.params.get("after") for r in play.requests] == [None, "b"]
    play = Play(page("c", "b", more=True))
    play.run(Api(POLICY).list_jobs(2, {}, whole=True))
    assert play.requests[0].params["limit"] == "2"


def test_a_long_answer_of_a_list_is_read_by_itself_where_all_of_it_is_wanted():
    short = {"id": "job_1", "output": {"text": "begin", "shortened": True}}
    whole = {"id": "job_1", "output": {"text": "beginning and end"}}
    listed = answered(data=[short], has_more=False, last_id="job_1")
    play = Play(listed, answered(**whole))
    play.run(Api(POLICY).list_jobs(None, {}, whole=True))
    assert (play.emitted, play.requests[1].path) == ([whole], "/v1/jobs/job_1")
    play = Play(listed)
    play.run(Api(POLICY).list_jobs(None, {}, whole=False))
    assert play.emitted == [short]


def test_retry_after_is_a_number_or_a_date():
    assert retry_after_s("12") == 12
    assert (
        50
        < retry_after_s(time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 60)))
        <= 60
    )
    assert retry_after_s("Mon, 01 Jan 2024 00:00:00 GMT") == 0
    assert retry_after_s("") is retry_after_s("soon") is None
