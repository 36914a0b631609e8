"""Following a job: the order of events, pings, and every way in which it ends."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from gateway.responses.following import followed_job
from gateway.responses.following.followed_job import FollowedJob
from shared.errors import Erased, StoreUnavailable
from shared.jobs import JobStatus
from shared.store.jobs.events import JobEvent


class Scene:
    """A job whose reads are scripted, under a clock that only waiting moves on."""

    def __init__(self, *batches: list[JobEvent]) -> None:
        self.now_s = 0.0
        self.batches = list(batches)
        #: The arguments of each read: the number to read after, and the seconds to wait.
        self.reads: list[tuple[int, float]] = []
        self.erased = False
        self.gone = False
        self.away_until_s = 0.0
        self.row = SimpleNamespace(status=JobStatus.RUNNING)
        services = SimpleNamespace(events=self, store=self)
        self.job = FollowedJob("job_1", "tenant", services, lambda: self.gone)

    def wait(self, seconds: float) -> None:
        self.now_s += seconds

    def open(self, job_id: str, after: int) -> Scene:
        assert job_id == "job_1"
        self.after = after
        return self

    def read(self, wait_s: float) -> list[JobEvent]:
        self.reads.append((self.after, wait_s))
        if self.now_s < self.away_until_s:
            raise StoreUnavailable
        batch = self.batches.pop(0) if self.batches else []
        if batch:
            self.after = batch[-1].seq
        else:
            self.now_s += wait_s
        return batch

    def get(self, job_id: str, tenant: str) -> SimpleNamespace:
        assert (job_id, tenant) == ("job_1", "tenant")
        if self.erased:
            raise Erased
        return self.row


@pytest.fixture
def scene(monkeypatch):
    """Make a scene of batches of events; its clock is the one that following reads."""

    def make(*batches: list[JobEvent]) -> Scene:
        made = Scene(*batches)
        clock = SimpleNamespace(monotonic=lambda: made.now_s, sleep=made.wait)
        monkeypatch.setattr(followed_job, "time", clock)
        return made

    return make


def event(seq: int, type_: str = "job.progress") -> JobEvent:
    return JobEvent(seq, type_, {})


END = "job.succeeded"


def test_events_come_in_order_and_nothing_follows_the_last(scene):
    events = [event(1), event(2), event(3, END)]
    play = scene(events[:2], [events[2], event(4)])
    assert list(play.job.follow(0)) == events
    assert [after for after, _ in play.reads] == [0, 2]


def test_following_resumes_after_the_given_number(scene):
    play = scene([event(6), event(7, END)])
    assert [one.seq for one in play.job.follow(5)] == [6, 7]
    assert play.reads == [(5, 2.0)]


def test_a_ping_is_due_once_a_silence_has_lasted(scene):
    play = scene([], [], [event(1)], [], [], [], [], [event(2, END)])
    assert list(play.job.follow(0, ping_s=4)) == [None, event(1), None, None, event(2, END)]


def test_without_a_ping_silence_yields_nothing(scene):
    play = scene([], [], [], [event(1, END)])
    assert list(play.job.follow(0)) == [event(1, END)]


def test_pings_come_as_often_as_the_checks_allow(scene):
    play = scene([], [], [event(1, END)])
    assert list(play.job.follow(0, ping_s=0.5, check_s=0.5)) == [None, None, event(1, END)]
    assert [wait_s for _, wait_s in play.reads] == [0.5, 0.5, 0.5]


def test_following_ends_at_its_deadline_and_waits_no_longer(scene):
    play = scene([event(1)])
    assert list(play.job.follow(0, deadline=5.0)) == [event(1)]
    assert play.reads == [(0, 2.0), (1, 2.0), (1, 2.0), (1, 1.0)]
    assert play.now_s == 5.0


def test_a_deadline_that_has_passed_reads_nothing(scene):
    play = scene([event(1)])
    assert list(play.job.follow(0, deadline=0.0)) == []
    assert play.reads == []


def test_a_client_that_has_gone_gets_nothing_more(scene):
    play = scene([event(1), event(2)], [event(3, END)])
    following = play.job.follow(0)
    assert next(following) == event(1)
    play.gone = True
    assert list(following) == []


def test_a_client_that_goes_in_silence_is_noticed_with_the_next_check(scene):
    play = scene()
    play.gone = True
    assert list(play.job.follow(0, ping_s=0)) == []
    assert len(play.reads) == 1


def test_an_erased_job_is_noticed_in_the_silence_of_its_stream(scene):
    play = scene([event(1)])
    following = play.job.follow(0)
    assert next(following) == event(1)
    play.erased = True
    with pytest.raises(Erased):
        next(following)
    assert len(play.reads) == 2


def test_a_silent_store_is_waited_for_with_pings(scene):
    play = scene([event(1)], [event(2, END)])
    play.away_until_s = 3.0
    following = play.job.follow(0, ping_s=1.0, patience_s=5.0)
    assert list(following) == [None, None, None, event(1), event(2, END)]


def test_a_store_that_stays_silent_is_waited_for_no_longer_than_that(scene):
    play = scene([event(1)])
    play.away_until_s = 100.0
    with pytest.raises(StoreUnavailable):
        list(play.job.follow(0, patience_s=5.0))
    assert play.now_s == 5.0


def test_the_row_is_that_of_the_tenant(scene):
    play = scene()
    assert play.job.row() is play.row


def test_a_job_that_ended_without_an_event_ends_its_silent_stream(scene):
    play = scene([event(1)])
    play.row.status = JobStatus.FAILED
    assert list(play.job.follow(0)) == [event(1), event(1, "job.failed")]
    assert play.reads[-1] == (1, 0.0)
