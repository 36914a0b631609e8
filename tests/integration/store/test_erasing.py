"""Erased means erased: no key still has the bytes, the words or the id of what was deleted."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from shared.errors import Erased, NotFound
from shared.jobs import JobInput, JobStatus, TileInfo, TileOutcome, Tiling, TilingTask, Turn
from shared.jobs.image import StoredImage
from shared.settings import Settings
from shared.store import Claim, NewJob, Store, keys
from shared.store.delivery_store import DeliveryStore
from shared.store.image_store import ImageStore
from shared.store.session_store import SessionStore
from shared.store.tile_store import NewTile, TileStore
from shared.store.waiters import Waiters
from shared.webhooks import Webhook, WebhookEvent

WORDS = "nobody but me may read this"
BYTES = "bytes-of-a-private-picture"
HOOK = Webhook("https://example.com/private-hook", "https://example.com", tuple(WebhookEvent))


def image(number: int) -> StoredImage:
    return StoredImage(f"img_{number:064x}", f"{BYTES}-{number}".encode(), 8, 8, (8, 8), "PNG")


class Desk:
    """One tenant's jobs, worked on by hand."""

    def __init__(self, settings: Settings) -> None:
        self.store = Store(settings)
        self.redis = self.store.redis
        self.images = ImageStore(settings)
        self.tiles = TileStore(self.store)
        self.sessions = SessionStore(self.redis)
        self.deliveries = DeliveryStore(settings, self.redis)

    def put(self, number: int = 1, **options: Any) -> StoredImage:
        picture = image(number)
        assert self.images.put("t", picture, **options)
        return picture

    def add(self, *pictures: StoredImage, **fields: Any) -> str:
        tiling = Tiling(task=TilingTask.READ, budget=1 << 20, planned=3)
        ids = tuple(picture.id for picture in pictures)
        question = JobInput(prompt=WORDS, images=ids, tiling=tiling)
        return self.store.add(NewJob("t", question, **fields)).doorbell.job_id

    def claim(self, job_id: str) -> Claim:
        claim = self.store.claim(job_id, "w")
        assert isinstance(claim, Claim), claim
        return claim

    def finish(self, job_id: str, claim: Claim | None = None) -> None:
        claim = claim or self.claim(job_id)
        row = claim.row
        turn = None
        if row.session_id:
            turn = Turn(
                job_id=job_id,
                prompt=WORDS,
                images=row.input.images,
                max_pixels=1,
                text=WORDS,
                finish_reason="stop",
                created_ms=row.created_ms,
            )
        output = {"output": {"text": WORDS, "partial": False}}
        assert self.store.finish(job_id, claim.owner, JobStatus.SUCCEEDED, output, turn=turn)

    def cut(self, claim: Claim) -> list[TileInfo]:
        """Store the tiles of a job as its worker does before it splits the job."""
        infos = []
        for number in range(100, 103):
            tile = self.put(number, job_id=claim.row.id, owner=claim.owner)
            infos.append(TileInfo(id=tile.id, box=(0, 0, 8, 8), mark="", seam={}))
        return infos

    def split(self, job_id: str) -> list[Claim]:
        """Split a job and claim its tiles."""
        claim = self.claim(job_id)
        infos = self.cut(claim)
        work = [NewTile(JobInput(prompt=WORDS, images=(info.id,)), live=True) for info in infos]
        doorbells = self.tiles.split(claim, infos, work, together=False, room=9)
        assert doorbells is not None
        return [self.claim(doorbell.job_id) for doorbell in doorbells]

    def mentions(self, *needles: str) -> list[str]:
        """Return every key whose name or content has one of the needles."""
        return sorted(
            key
            for key in self.redis.scan_iter("*")
            if not key.startswith(keys.GONE)
            and any(needle in f"{key} {self.content(key)}" for needle in needles)
        )

    def content(self, key: str) -> str:
        raw = self.images._redis
        match raw.type(key).decode():
            case "string":
                return str(raw.get(key))
            case "hash":
                return str(raw.hgetall(key))
            case "list":
                return str(raw.lrange(key, 0, -1))
            case "set":
                return str(raw.smembers(key))
            case "zset":
                return str(raw.zrange(key, 0, -1))
            case _:
                return str(raw.xrange(key))


@pytest.fixture
def desk(settings) -> Desk:
    return Desk(settings)


def queued(desk: Desk, job_id: str) -> None:
    Waiters(desk.redis).join(job_id)


def running(desk: Desk, job_id: str) -> None:
    claim = desk.claim(job_id)
    desk.store.report(job_id, claim.owner, [("output.delta", {"text": WORDS})], {"percent": 3})


def being_cut(desk: Desk, job_id: str) -> None:
    desk.cut(desk.claim(job_id))


def in_tiles(desk: Desk, job_id: str) -> None:
    claims = desk.split(job_id)
    desk.store.report(
        claims[0].row.id, claims[0].owner, [("output.delta", {"text": WORDS})], {"percent": 30}
    )
    desk.tiles.finish(claims[1], TileOutcome(text=WORDS), 9)


def merging(desk: Desk, job_id: str) -> None:
    for claim in desk.split(job_id):
        desk.tiles.finish(claim, TileOutcome(text=WORDS), 9)


def finished(desk: Desk, job_id: str) -> None:
    desk.finish(job_id)


def canceled(desk: Desk, job_id: str) -> None:
    in_tiles(desk, job_id)
    desk.store.cancel(job_id, "t")


def delivering(desk: Desk, job_id: str) -> None:
    finished(desk, job_id)
    for delivery in desk.deliveries.take(5).deliveries:
        desk.redis.hset(keys.DELIVERY + delivery.id, "body", WORDS)


STATES = [queued, running, being_cut, in_tiles, merging, finished, canceled, delivering]


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("session_id", [None, "talk"])
def test_nothing_is_left_of_a_job_in_any_state(desk, state, session_id):
    desk.put(1)
    job_id = desk.add(
        image(1), session_id=session_id, webhook=HOOK, idempotency=("order-1", "fingerprint")
    )
    state(desk, job_id)
    assert desk.mentions(BYTES, WORDS, job_id)
    desk.store.erase(job_id, "t")
    if session_id:
        desk.sessions.delete("t", session_id)
    assert desk.mentions(BYTES, WORDS, job_id, job_id[4:], "order-1", "private-hook", "talk") == []
    with pytest.raises(Erased):
        desk.store.get(job_id, "t")


@pytest.mark.parametrize("state", STATES)
def test_no_late_worker_brings_anything_back(desk, state):
    desk.put(1)
    job_id = desk.add(image(1), session_id="talk", webhook=HOOK)
    desk.store.redis.delete(keys.LEASES)
    claims: list[Claim] = []
    claim_before = desk.store.claim

    def remember(*args: Any) -> Claim | str:
        claim = claim_before(*args)
        if isinstance(claim, Claim):
            claims.append(claim)
        return claim

    desk.store.claim = remember
    state(desk, job_id)
    desk.store.erase(job_id, "t")
    desk.sessions.delete("t", "talk")
    for claim in claims:
        row, owner = claim.row, claim.owner
        desk.store.report(row.id, owner, [("output.delta", {"text": WORDS})], {"percent": 9})
        desk.store.beat([(row.id, owner)])
        assert desk.store.release(row.id, owner) is None
        assert not desk.images.put("t", image(100), job_id=row.id, owner=owner)
        assert desk.tiles.finish(claim, TileOutcome(text=WORDS), 9) is None
        assert desk.tiles.split(claim, [], [], together=False, room=9) is None
        assert not desk.store.finish(
            row.id, owner, JobStatus.SUCCEEDED, {"output": {"text": WORDS}}
        )
        desk.tiles.stream(row.id, 0, [WORDS])
    assert Waiters(desk.redis).join(job_id) == 0
    desk.store.reap()
    assert desk.mentions(BYTES, WORDS, job_id) == []


def test_tiles_that_were_stored_before_the_split_are_erased_with_the_job(desk):
    desk.put(1)
    job_id = desk.add(image(1))
    claim = desk.claim(job_id)
    infos = desk.cut(claim)
    desk.store.erase(job_id, "t")
    for info in infos:
        with pytest.raises(NotFound):
            desk.images.header("t", info.id)
    assert not desk.images.put("t", image(100), job_id=job_id, owner=claim.owner)
    assert desk.mentions(BYTES) == []


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


def test_a_running_question_of_a_deleted_conversation_is_no_part_of_the_next(desk):
    old = desk.add(session_id="talk")
    claim = desk.claim(old)
    desk.sessions.delete("t", "talk")
    new = desk.add(session_id="talk")
    desk.finish(old, claim)
    assert desk.sessions.turns("t", "talk") == []
    desk.finish(new)
    assert [turn.job_id for turn in desk.sessions.turns("t", "talk")] == [new]
    assert desk.sessions.get("t", "talk").busy is None


def test_a_question_does_not_see_the_turns_of_a_later_conversation(desk):
    old = desk.add(session_id="talk")
    desk.sessions.delete("t", "talk")
    desk.finish(desk.add(session_id="talk"))
    next_one = desk.add(session_id="talk")
    assert desk.sessions.turns_before(desk.claim(old).row) == []
    assert len(desk.sessions.turns_before(desk.claim(next_one).row)) == 1


def test_a_row_of_an_older_version_belongs_to_the_conversation_of_its_time(desk):
    first = desk.add(session_id="talk")
    desk.redis.hdel(keys.job(first), "session_generation")
    desk.finish(first)
    assert len(desk.sessions.turns("t", "talk")) == 1
    old = desk.add(session_id="talk")
    desk.redis.hdel(keys.job(old), "session_generation")
    claim = desk.claim(old)
    desk.sessions.delete("t", "talk")
    new = desk.add(session_id="talk")
    desk.redis.hincrby(keys.session("t", "talk"), "created_ms", 1)
    desk.finish(old, claim)
    assert desk.sessions.turns("t", "talk") == []
    desk.store.cancel(new, "t")


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
