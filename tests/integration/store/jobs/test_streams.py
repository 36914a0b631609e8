"""What a job's stream says: each word once, and in the end what its answer says."""

from __future__ import annotations

import pytest

from shared.errors import StoreUnavailable
from shared.jobs import JobInput, JobStatus
from shared.settings import Settings
from shared.store import Claim, NewJob, Reported, Store, Verdict, keys
from shared.store.jobs.events import EventReader, EventsLost, add_to_text

TEXT = "一 two 三 four 😀 five"


@pytest.fixture
def store(redis_server) -> Store:
    return Store(Settings(redis_url=redis_server.url, max_attempts=3))


@pytest.fixture
def claim(store) -> Claim:
    """A job in a worker's hands."""
    job_id = store.add(NewJob("t", JobInput(prompt="what?"))).doorbell.job_id
    claimed = store.claim(job_id, "w1")
    assert isinstance(claimed, Claim)
    return claimed


def report(store: Store, claim: Claim, text: str, at: int = 0) -> Reported:
    return store.report(claim.row.id, claim.owner, text, at=at)


def finish(store: Store, claim: Claim, text: str) -> bool:
    output = {"output": {"text": text}}
    return store.finish(claim.row.id, claim.owner, JobStatus.SUCCEEDED, output, text=text)


def pieces(store: Store, job_id: str) -> list[str]:
    """Return the text of each delta, and None where the text begins anew."""
    return [
        event.data.get("text")
        for event in EventReader(store.redis, 1.0).read(job_id, 0)
        if event.type.startswith("output.")
    ]


def streamed(store: Store, job_id: str) -> str:
    text = ""
    for event in EventReader(store.redis, 1.0).read(job_id, 0):
        text = add_to_text(text, event)
    return text


def test_a_report_that_comes_again_adds_nothing(store, claim):
    first = report(store, claim, TEXT[:4])
    assert report(store, claim, TEXT[:4]) == first
    assert pieces(store, claim.row.id) == [TEXT[:4]]


def test_a_report_that_overlaps_another_adds_only_what_is_new(store, claim):
    report(store, claim, TEXT[:8])
    # the worker never heard of the first: it sends more, from the same place
    assert report(store, claim, TEXT[:16]).known_bytes == len(TEXT[:16].encode())
    assert report(store, claim, TEXT[9:], at=len(TEXT[:9].encode())).verdict is Verdict.GO_ON
    assert pieces(store, claim.row.id) == [TEXT[:8], TEXT[8:16], TEXT[16:]]


def test_a_report_behind_a_gap_is_not_taken_and_its_sender_begins_earlier(store, claim):
    report(store, claim, TEXT[:4])
    known = report(store, claim, TEXT[:2]).known_bytes
    # Redis came back without the first report
    store.redis.delete(keys.job(claim.row.id) + keys.JOB_TEXT)
    store.redis.delete(keys.events(claim.row.id))
    lost = report(store, claim, TEXT[4:], at=known)
    assert lost == Reported(Verdict.GO_ON, 0)
    report(store, claim, TEXT, at=lost.known_bytes)
    assert store.redis.get(keys.job(claim.row.id) + keys.JOB_TEXT) == TEXT


def test_a_report_to_a_full_redis_can_be_sent_again(store, claim):
    report(store, claim, TEXT[:4])
    store.redis.config_set("maxmemory", 1)
    try:
        with pytest.raises(StoreUnavailable):
            report(store, claim, TEXT[:8])
    finally:
        store.redis.config_set("maxmemory", 0)
    report(store, claim, TEXT[:8])
    assert streamed(store, claim.row.id) == TEXT[:8]


def test_the_end_brings_the_text_that_no_report_has_brought(store, claim):
    report(store, claim, TEXT[:4])
    assert finish(store, claim, TEXT)
    assert pieces(store, claim.row.id) == [TEXT[:4], TEXT[4:]]
    assert EventReader(store.redis, 1.0).read(claim.row.id, 0)[-1].terminal


def test_text_that_the_answer_does_not_have_is_taken_back_at_the_end(store, claim):
    report(store, claim, "something else")
    assert finish(store, claim, TEXT)
    assert pieces(store, claim.row.id) == ["something else", None, TEXT]


def test_an_end_that_is_sent_again_is_accepted_and_changes_nothing(store, claim):
    assert finish(store, claim, TEXT)
    before = EventReader(store.redis, 1.0).read(claim.row.id, 0)
    assert finish(store, claim, "another text")
    assert EventReader(store.redis, 1.0).read(claim.row.id, 0) == before
    row = store.get(claim.row.id, "t")
    assert (row.commits, row.output) == (1, {"text": TEXT})
    assert store.counters().get("jobs.late_finish_refused") is None


def test_a_second_attempt_writes_its_text_from_the_beginning(store, claim):
    report(store, claim, "of the first attempt")
    store.release(claim.row.id, claim.owner)
    again = store.claim(claim.row.id, "w2")
    assert report(store, again, TEXT[:4]).known_bytes == len(TEXT[:4].encode())
    finish(store, again, TEXT)
    assert streamed(store, claim.row.id) == TEXT


def test_the_text_of_a_stream_is_kept_no_longer_than_its_job_runs(store, claim):
    text_key = keys.job(claim.row.id) + keys.JOB_TEXT
    report(store, claim, TEXT)
    # also if an older version ends the job, which does not know this key
    assert store.redis.pttl(text_key) > 0
    finish(store, claim, TEXT)
    assert not store.redis.exists(text_key)


def test_what_all_events_add_up_to_is_known_while_the_job_runs(store, claim):
    events = EventReader(store.redis, 1.0)
    report(store, claim, TEXT[:4])
    report(store, claim, TEXT[4:8], at=len(TEXT[:4].encode()))
    at = events.streamed(claim.row.id)
    assert (at.text, at.status) == (TEXT[:8], JobStatus.RUNNING)
    assert at.seq == events.last(claim.row.id)
    assert events.text_until(claim.row.id, at.seq - 1) == TEXT[:4]


def test_a_reader_is_told_that_events_before_the_next_one_are_gone(store, claim):
    events = EventReader(store.redis, 1.0)
    for number in range(5):
        report(store, claim, TEXT[: number + 1])
    store.redis.xtrim(keys.events(claim.row.id), maxlen=2, approximate=False)
    for after in (0, 3):
        with pytest.raises(EventsLost):
            events.read(claim.row.id, after)
    # nothing is missing between the fifth event and the head
    assert [event.seq for event in events.read(claim.row.id, 5)] == [6, 7]
    assert events.text_until(claim.row.id, 6) is None


def test_numbers_that_are_left_out_hide_no_loss(store, claim):
    job_key, events = keys.job(claim.row.id), EventReader(store.redis, 1.0)
    for number in range(6):
        if number == 3:
            store.redis.hset(job_key, "events_process", "before a restart")
        report(store, claim, TEXT[: number + 1])
    numbers = [event.seq for event in events.read(claim.row.id, 0)]
    assert (numbers[:5], len(numbers)) == ([1, 2, 3, 4, 5], 8)
    assert numbers[5:] == [numbers[5], numbers[5] + 1, numbers[5] + 2]
    assert numbers[5] > 100_000
    assert [event.seq for event in events.read(claim.row.id, 4)] == numbers[4:]
    assert events.text_until(claim.row.id, numbers[-1]) == TEXT[:6]
    # a client has read events that this Redis never had
    for place in (6, numbers[5] - 1):
        assert events.text_until(claim.row.id, place) is None
    with pytest.raises(EventsLost):
        events.read(claim.row.id, 6)


def test_a_reader_whose_place_has_vanished_is_told_so(store, claim):
    events = EventReader(store.redis, 1.0)
    report(store, claim, TEXT[:4])
    cursor = events.open(claim.row.id, 0)
    assert len(cursor.read()) == 3
    store.redis.delete(keys.events(claim.row.id))
    with pytest.raises(EventsLost):
        cursor.read()
    with pytest.raises(EventsLost):
        events.read(claim.row.id, 10_000)


def test_a_reader_is_told_that_redis_went_back_and_then_on_another_way(store, claim):
    names = [keys.job(claim.row.id), keys.events(claim.row.id)]
    for name in names:
        store.redis.copy(name, f"saved:{name}")
    cursor = EventReader(store.redis, 1.0).open(claim.row.id, 0)
    report(store, claim, TEXT[:4])
    assert cursor.read()[-1].data == {"text": TEXT[:4]}
    for name in names:
        store.redis.copy(f"saved:{name}", name, replace=True)
    store.redis.delete(keys.job(claim.row.id) + keys.JOB_TEXT)
    report(store, claim, TEXT[:6])
    report(store, claim, TEXT)
    with pytest.raises(EventsLost):
        cursor.read()


def test_thinking_is_streamed_once_and_begins_anew_with_another_worker(store, claim):
    def think(owned: Claim, thought: str, at: int = 0, **also: str) -> Reported:
        return store.report(owned.row.id, owned.owner, thought=thought, thought_at=at, **also)

    def thoughts() -> list[str]:
        events = EventReader(store.redis, 1.0).read(claim.row.id, 0)
        return [e.data["text"] for e in events if e.type == "output.reasoning"]

    first = think(claim, TEXT[:4])
    assert think(claim, TEXT[:4]) == first
    assert think(claim, TEXT[:8], text="so").known_thought_bytes == len(TEXT[:8].encode())
    # one before which something is missing is not taken
    assert think(claim, "!", at=99).known_thought_bytes == len(TEXT[:8].encode())
    assert thoughts() == [TEXT[:4], TEXT[4:8]]
    assert EventReader(store.redis, 1.0).streamed(claim.row.id).thought == TEXT[:8]
    assert store.release(claim.row.id, claim.owner)
    again = store.claim(claim.row.id, "w2")
    assert isinstance(again, Claim)
    assert EventReader(store.redis, 1.0).streamed(claim.row.id).thought == ""
    think(again, TEXT)
    assert thoughts()[-1] == TEXT
    assert pieces(store, claim.row.id).count(None) == 1
    finish(store, again, "so")
    assert EventReader(store.redis, 1.0).streamed(claim.row.id).thought == ""
