"""An image lives as long as a job, a conversation or a request needs it, and no longer."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from shared.errors import NotFound
from shared.jobs import JobInput
from shared.store import NewJob, keys
from tests.integration.store.desk import BYTES, WORDS, Desk, image


@pytest.fixture
def desk(settings) -> Desk:
    return Desk(settings)


def test_an_image_that_only_an_expired_job_had_used_goes_with_the_last_job(desk):
    desk.put(1)
    expired, job_id = desk.add(image(1)), desk.add(image(1))
    desk.finish(expired)
    desk.redis.delete(keys.job(expired))
    desk.store.erase(job_id, "t")
    assert desk.mentions(BYTES) == []


def test_an_image_lives_no_longer_than_the_row_of_its_job(desk, settings):
    picture = desk.put(1)
    job_id = desk.add(picture, ttl_s=4 * 86_400)
    key = keys.image("t", picture.id)
    assert desk.redis.ttl(key) > 7 * 86_400
    desk.finish(job_id)
    assert desk.redis.ttl(key) <= 4 * 86_400
    assert desk.redis.ttl(key) >= desk.redis.ttl(keys.job(job_id)) - 1


def test_what_another_job_or_conversation_needs_stays(desk):
    picture = desk.put(1)
    first = desk.add(picture, session_id="talk")
    desk.finish(first)
    second = desk.add(picture, session_id="talk")
    desk.finish(second)
    desk.store.erase(first, "t")
    assert desk.images.pngs("t", [picture.id]) == [picture.png]
    desk.redis.delete(keys.job(second))
    desk.put(2)
    other = desk.add(picture, image(2))
    desk.store.erase(other, "t")
    assert desk.images.pngs("t", [picture.id, image(2).id]) == [picture.png, None]
    desk.sessions.delete("t", "talk")
    assert desk.images.pngs("t", [picture.id]) == [None]


def test_a_deleted_conversation_leaves_no_words_and_no_images(desk):
    picture = desk.put(1)
    ids = [desk.add(picture, session_id="talk")]
    desk.finish(ids[0])
    desk.redis.delete(keys.job(ids[0]), *desk.redis.keys(keys.job(ids[0]) + ":*"))
    desk.sessions.delete("t", "talk")
    assert desk.mentions(BYTES, WORDS) == []
    with pytest.raises(NotFound):
        desk.sessions.delete("t", "talk")


def test_a_conversation_with_many_images_is_deleted_with_all_of_them(desk):
    for number in range(250):
        desk.finish(desk.add(desk.put(number), session_id="talk"))
    for key in desk.redis.scan_iter(keys.JOB + "*"):
        desk.redis.delete(key)
    desk.sessions.delete("t", "talk")
    assert desk.mentions(BYTES, WORDS) == []


def immortal(desk: Desk) -> Iterator[str]:
    return (key for key in desk.redis.scan_iter("*") if desk.redis.ttl(key) == -1)


def test_a_split_leaves_no_key_without_a_time_to_live(desk):
    job_id = desk.add(session_id="talk")
    desk.split(job_id)
    desk.store.cancel(job_id, "t")
    owned = {keys.COUNTERS, keys.SEQUENCE, keys.TURN, keys.TILES_ROOM, keys.DELIVERIES}
    assert set(immortal(desk)) <= owned


def test_an_image_that_a_request_has_put_survives_the_end_of_another_job(desk):
    desk.put(1, job_id="job_one")
    other = desk.add(image(1))
    desk.put(1, job_id="job_two")
    desk.store.erase(other, "t")
    assert desk.images.pngs("t", [image(1).id]) == [image(1).png]
    desk.images.release("t", [image(1).id], "job_two")
    assert desk.images.pngs("t", [image(1).id]) == [image(1).png], "the first request needs it"
    desk.images.release("t", [image(1).id], "job_one")
    assert desk.mentions(BYTES) == []


def test_a_refused_request_does_not_take_an_image_that_was_there_before(desk):
    desk.put(1)
    desk.put(1, job_id="job_refused")
    desk.images.release("t", [image(1).id], "job_refused")
    assert desk.images.pngs("t", [image(1).id]) == [image(1).png]


def test_submitting_and_erasing_the_same_image_at_once_loses_none(desk, settings):
    lost: list[BaseException] = []

    def submit_and_erase() -> None:
        own = Desk(settings)
        for _ in range(60):
            job = NewJob("t", JobInput(prompt="what?", images=(image(1).id,)))
            try:
                own.images.put("t", image(1), job_id=job.id)
                own.store.add(job)
            except Exception as error:  # noqa: BLE001
                lost.append(error)
            own.store.erase(job.id, "t")

    threads = [threading.Thread(target=submit_and_erase) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert lost == []
    assert desk.mentions(BYTES) == []
