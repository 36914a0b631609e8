"""Session history: a follow-up finds its turns and images on any worker."""

from __future__ import annotations

import pytest

from shared.errors import NotFound, SessionBusy
from shared.jobs import JobInput, JobStatus, Turn
from shared.jobs.image import StoredImage
from shared.store import Claim, NewJob, Store, keys
from shared.store.session_store import SessionStore
from shared.store.uploads.image_store import ImageStore

IMAGE = StoredImage("img_" + "b" * 64, b"png", 32, 32, (32, 32), "PNG")


@pytest.fixture
def store(settings) -> Store:
    ImageStore(settings).put("t", IMAGE)
    return Store(settings)


def ask(store: Store, prompt: str, images: tuple[str, ...] = ()) -> str:
    job = NewJob("t", JobInput(prompt=prompt, images=images), session_id="s")
    return store.add(job).doorbell.job_id


def answer(store: Store, job_id: str, text: str, worker: str = "w1") -> None:
    claim = store.claim(job_id, worker)
    assert isinstance(claim, Claim)
    turn = Turn(
        job_id=job_id,
        prompt=claim.row.input.prompt,
        images=claim.row.input.images,
        max_pixels=1024,
        text=text,
        token_ids=(1, 2),
        finish_reason="stop",
        created_ms=claim.row.created_ms,
    )
    assert store.finish(job_id, claim.owner, JobStatus.SUCCEEDED, {}, turn=turn)


def test_a_session_keeps_its_turns_in_order_with_what_the_model_wrote(store):
    sessions = SessionStore(store.redis)
    answer(store, ask(store, "what is it?", (IMAGE.id,)), "a circle")
    answer(store, ask(store, "它是什么颜色?"), "红色")
    turns = sessions.turns("t", "s")
    assert [(turn.prompt, turn.text) for turn in turns] == [
        ("what is it?", "a circle"),
        ("它是什么颜色?", "红色"),
    ]
    assert turns[0].images == (IMAGE.id,)
    assert turns[0].token_ids == (1, 2)
    assert sessions.get("t", "s").worker == "w1"


def test_a_session_answers_one_question_at_a_time(store):
    first = ask(store, "one")
    with pytest.raises(SessionBusy):
        ask(store, "two")
    store.cancel(first, "t")
    second = ask(store, "two")
    answer(store, second, "fine")
    assert [t.job_id for t in SessionStore(store.redis).turns("t", "s")] == [second]


def test_a_late_worker_adds_no_turn(store):
    job_id = ask(store, "one")
    late = store.claim(job_id, "w1")
    store.redis.zadd(keys.LEASES, {job_id: 1})
    store.reap()
    turn = Turn(
        job_id=job_id, prompt="one", max_pixels=1, text="late", finish_reason="stop", created_ms=1
    )
    assert not store.finish(job_id, late.owner, JobStatus.SUCCEEDED, {}, turn=turn)
    answer(store, job_id, "right", "w2")
    assert [turn.text for turn in SessionStore(store.redis).turns("t", "s")] == ["right"]


def test_an_erased_job_leaves_no_turn_and_a_deleted_session_nothing(store):
    sessions = SessionStore(store.redis)
    first = ask(store, "one", (IMAGE.id,))
    answer(store, first, "1")
    answer(store, ask(store, "two"), "2")
    store.erase(first, "t")
    assert [turn.prompt for turn in sessions.turns("t", "s")] == ["two"]
    sessions.delete("t", "s")
    assert not list(store.redis.scan_iter("sl:session*"))
    with pytest.raises(NotFound):
        sessions.get("t", "s")


def test_an_image_lives_as_long_as_its_session(store, settings):
    key = keys.image("t", IMAGE.id)
    store.redis.expire(key, 60)
    answer(store, ask(store, "one", (IMAGE.id,)), "1")
    store.redis.expire(key, 60)
    ask(store, "two")
    assert store.redis.ttl(key) > settings.session_ttl_s - 60


def test_a_foreign_session_looks_like_an_unknown_one(store):
    answer(store, ask(store, "one"), "1")
    sessions = SessionStore(store.redis)
    assert sessions.turns("u", "s") == []
    assert sessions.page("u", 10) == []
    with pytest.raises(NotFound):
        sessions.delete("u", "s")


def test_a_conversation_remembers_that_its_picture_was_erased_until_it_gets_another(store):
    sessions = SessionStore(store.redis)
    job = ask(store, "what is it?", (IMAGE.id,))
    answer(store, job, "a circle")
    store.erase(job, "t")
    follow_up = store.get(ask(store, "and its colour?"), "t")
    assert sessions.has_lost_picture(follow_up)
    answer(store, follow_up.id, "red")
    assert sessions.has_lost_picture(follow_up)


def test_another_picture_makes_up_for_the_erased_one(store, settings):
    sessions = SessionStore(store.redis)
    job = ask(store, "what is it?", (IMAGE.id,))
    answer(store, job, "a circle")
    store.erase(job, "t")
    ImageStore(settings).put("t", IMAGE)
    answer(store, ask(store, "and this one?", (IMAGE.id,)), "a square")
    assert not sessions.has_lost_picture(store.get(ask(store, "its colour?"), "t"))
