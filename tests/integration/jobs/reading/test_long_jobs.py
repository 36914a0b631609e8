"""Long images on real workers: tiles shared, killed, canceled and merged."""

from __future__ import annotations

import hashlib
import io
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from PIL import Image, ImageDraw

from shared.errors import NotFound
from shared.jobs import JobInput, JobStatus, TilingTask
from shared.jobs.image import StoredImage
from shared.jobs.row import JobRow
from shared.prediction.tile_plan import tiling_for
from shared.settings import Settings
from shared.store import NewJob, Store, keys
from shared.store.jobs.events import EventReader
from shared.store.uploads.image_store import ImageStore
from tests.support.harness import (
    QUICK,
    Process,
    RedisServer,
    System,
    eventually,
    running_redis,
    running_system,
)
from tests.support.images.image_bytes import saved
from tests.support.submission import submit

BUDGET = 64 * 64
#: Tiles that take long enough to be met in the middle.
SLOW = {"SIGHTLINE_SIMULATED_IMAGE_S": "0.8", "SIGHTLINE_SIMULATED_TOKEN_S": "0.02"}


def strips(count: int) -> bytes:
    """Draw an image that falls into `count` tiles: lines of ink with wide gaps between them."""
    image = Image.new("RGB", (64, 60 * count), "white")
    pen = ImageDraw.Draw(image)
    for number in range(count):
        top = 60 * number + 14
        pen.rectangle((6, top, 10 + 4 * (number % 12), top + 20), fill="black")
        pen.rectangle((6, top + 26, 30 + number % 20, top + 30), fill="black")
    return saved(image, "PNG")


class Longs:
    """Submits a tenant's long jobs as the gateway does."""

    def __init__(self, redis_url: str, tenant: str = "t") -> None:
        self.tenant = tenant
        settings = Settings(redis_url=redis_url)
        self.store = Store(settings)
        self.images = ImageStore(settings)

    def submit(
        self,
        count: int = 6,
        *,
        task: TilingTask = TilingTask.READ,
        strict: bool = False,
        prompt: str = "Read it.",
        beside: tuple[int, ...] = (),
        **fields,
    ) -> str:
        """Submit an image of `count` tiles, and others `beside` it."""
        names = [self.store_image(strips(one)) for one in (count, *beside)]
        tiling = tiling_for(64, 60 * count, BUDGET, task=task, strict=strict)
        job = JobInput(prompt=prompt, images=tuple(names), max_pixels=BUDGET, tiling=tiling)
        return self.submit_job(NewJob(self.tenant, job, **fields))

    def store_image(self, png: bytes) -> str:
        name = f"img_{hashlib.sha256(png).hexdigest()}"
        size = Image.open(io.BytesIO(png)).size
        self.images.put(self.tenant, StoredImage(name, png, *size, size, "PNG"))
        return name

    def short(self, prompt: str = "What is it?", **fields) -> str:
        return self.submit_job(NewJob(self.tenant, JobInput(prompt=prompt), **fields))

    def submit_job(self, job: NewJob) -> str:
        return submit(self.store, job)

    def get(self, job_id: str) -> JobRow:
        return self.store.get(job_id, self.tenant)

    def cancel(self, job_id: str) -> str:
        return self.store.cancel(job_id, self.tenant)

    def reaches(self, job_id: str, status: JobStatus, within_s: float = 60.0) -> JobRow:
        eventually(lambda: self.get(job_id).status is status, within_s)
        return self.get(job_id)

    def tiles_done(self, job_id: str) -> int:
        return (self.get(job_id).progress or {}).get("tiles_done", 0)

    def deltas(self, job_id: str) -> list[tuple[int, str]]:
        events = EventReader(self.store.redis, 1.0).read(job_id, 0)
        return [(e.data["tile"], e.data["text"]) for e in events if e.type == "output.delta"]


@dataclass(frozen=True)
class Crew:
    """Two workers that several tests share; each test has a tenant of its own."""

    redis: RedisServer
    workers: list[Process]

    def finished(self, job_id: str) -> list[int]:
        """Return how many of a job's tiles each worker has finished."""
        return [finished(worker, job_id) for worker in self.workers]


def finished(worker: Process, job_id: str) -> int:
    lines = worker.logs().splitlines()
    return sum('"tile.finished"' in line and job_id in line for line in lines)


@pytest.fixture(scope="module")
def crew(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crew]:
    folder = tmp_path_factory.mktemp("crew")
    with running_redis(folder) as redis, running_system(redis.url, folder, **QUICK) as system:
        workers = [system.worker(slots=3, wait=number == 1, **SLOW) for number in range(2)]
        eventually(lambda: "worker.ready" in workers[0].logs())
        yield Crew(redis, workers)


@pytest.fixture
def shared(crew: Crew, request: pytest.FixtureRequest) -> Longs:
    return Longs(crew.redis.url, request.node.name)


@pytest.fixture
def longs(redis_server: RedisServer) -> Longs:
    return Longs(redis_server.url)


def test_a_long_image_is_read_in_tiles_by_all_workers_and_streams_in_order(
    crew: Crew, shared: Longs
):
    job_id = shared.submit(8)
    row = shared.reaches(job_id, JobStatus.SUCCEEDED)
    texts = [tile["text"] for tile in row.output["tiles"]]
    assert len(texts) == 8
    assert all(text in row.output["text"] for text in texts)
    assert row.output["partial"] is False
    deltas = shared.deltas(job_id)
    assert [tile for tile, _ in deltas] == sorted(tile for tile, _ in deltas)
    assert "".join(text for _, text in deltas) == row.output["text"]
    assert all(crew.finished(job_id))
    assert row.usage["completion_tokens"] == sum(len(text.split()) for text in texts)


def test_a_worker_killed_in_the_middle_changes_nothing_of_the_text(
    system: System, crew: Crew, shared: Longs, longs: Longs
):
    undisturbed = shared.submit(8)
    doomed = system.worker(slots=3, **SLOW)
    job_id = longs.submit(8)
    eventually(lambda: longs.tiles_done(job_id) >= 2, every_s=0.01)
    doomed.kill()
    tiles_before = longs.tiles_done(job_id)
    second = system.worker(slots=3, **SLOW)
    row = longs.reaches(job_id, JobStatus.SUCCEEDED)
    assert row.output == shared.reaches(undisturbed, JobStatus.SUCCEEDED).output
    assert row.commits == 1
    # what was finished was not done again
    assert finished(second, job_id) == 8 - tiles_before


def test_a_tile_that_fails_three_times_leaves_a_marked_gap(crew: Crew, shared: Longs):
    job_id = shared.submit(9)
    damage_tile(shared, job_id, 7)
    row = shared.reaches(job_id, JobStatus.SUCCEEDED)
    assert row.output["partial"] is True
    assert [n for n, tile in enumerate(row.output["tiles"]) if tile["gap"]] == [7]
    assert row.output["text"].count("[unread: ") == 1
    (notice,) = [n for n in row.notices if n["code"] == "tile_failed"]
    assert "Part 8 of 9" in notice["detail"]


def test_a_strict_job_fails_with_its_first_lost_tile(crew: Crew, shared: Longs):
    job_id = shared.submit(9, strict=True)
    damage_tile(shared, job_id, 7)
    row = shared.reaches(job_id, JobStatus.FAILED)
    assert row.error["code"] == "tile_failed"


def damage_tile(longs: Longs, job_id: str, number: int) -> None:
    tiles = eventually(lambda: longs.get(job_id).tiles, every_s=0.01)
    key = keys.image(longs.tenant, tiles[number].id)
    longs.store.redis.hset(key, "png", "damaged")


def test_a_canceled_long_job_stops_its_tiles_at_once_and_keeps_what_was_read(
    crew: Crew, shared: Longs
):
    job_id = shared.submit(12)
    eventually(lambda: shared.tiles_done(job_id) >= 2)
    assert shared.cancel(job_id) == "canceled"
    row = shared.get(job_id)
    assert row.status is JobStatus.CANCELED
    assert row.output["partial"] is True
    assert row.output["text"]
    eventually(lambda: shared.store.redis.zcard(keys.LEASES) == 0)
    finished = crew.finished(job_id)
    time.sleep(1)
    assert crew.finished(job_id) == finished
    assert sum(finished) < 12


def test_a_long_job_past_its_deadline_expires_with_what_was_read(crew: Crew, shared: Longs):
    deadline_s, read, most = 6, 0, 50
    # a busy machine may read no tile until then
    while not read and deadline_s < 100:
        row = shared.reaches(shared.submit(most, deadline_s=deadline_s), JobStatus.EXPIRED)
        assert row.output["finish_reason"] == "deadline"
        read = sum(tile["text"] is not None for tile in row.output["tiles"])
        deadline_s *= 2
    assert 0 < read < most


def test_tiles_and_a_merge_whose_doorbells_were_lost_are_done_all_the_same(
    system: System, longs: Longs
):
    worker = system.worker(slots=2, **SLOW)
    job_id = longs.submit(4)
    eventually(lambda: longs.tiles_done(job_id) >= 1)
    worker.signal(signal.SIGSTOP)
    for name in longs.store.redis.keys("default*"):
        longs.store.redis.delete(name)
    worker.signal(signal.SIGCONT)
    assert longs.reaches(job_id, JobStatus.SUCCEEDED).commits == 1


def test_a_short_job_is_not_held_up_by_a_long_one(crew: Crew, shared: Longs):
    job_id = shared.submit(24)
    eventually(lambda: shared.tiles_done(job_id) >= 1)
    shared.reaches(shared.short(), JobStatus.SUCCEEDED)
    assert shared.get(job_id).status is JobStatus.RUNNING
    assert shared.tiles_done(job_id) < 16
    shared.cancel(job_id)


def test_two_long_jobs_advance_together(crew: Crew, shared: Longs):
    first, second = shared.submit(14), shared.submit(13)
    eventually(lambda: shared.tiles_done(second) >= 4)
    assert shared.get(first).status is JobStatus.RUNNING
    assert shared.tiles_done(first) < 14
    for job_id in (first, second):
        shared.cancel(job_id)


def test_asking_looks_at_all_tiles_in_one_prompt_and_a_session_goes_on(crew: Crew, shared: Longs):
    prompt = "What is the total?"
    job_id = shared.submit(4, task=TilingTask.ASK, prompt=prompt, session_id="s")
    row = shared.reaches(job_id, JobStatus.SUCCEEDED)
    assert row.output["text"]
    assert [tile["text"] for tile in row.output["tiles"]] == [None] * 4
    assert row.usage["image_tokens"] > 0
    again = shared.reaches(shared.short("And the date?", session_id="s"), JobStatus.SUCCEEDED)
    assert again.usage["image_tokens"] == row.usage["image_tokens"]


def test_a_conversation_goes_on_over_the_tiles_of_what_was_read(crew: Crew, shared: Longs):
    job_id = shared.submit(5, session_id="s")
    read = shared.reaches(job_id, JobStatus.SUCCEEDED)
    followup = shared.reaches(shared.short("And the date?", session_id="s"), JobStatus.SUCCEEDED)
    assert followup.output["tiles"] is None
    assert followup.usage["image_tokens"] == read.usage["image_tokens"] > 0


def test_a_repeated_job_reads_only_what_was_not_read_before(crew: Crew, shared: Longs):
    job_id = shared.submit(10)
    eventually(lambda: shared.tiles_done(job_id) >= 3, every_s=0.02)
    shared.cancel(job_id)
    before = [tile["text"] for tile in shared.get(job_id).output["tiles"]]
    answered = sum(text is not None for text in before)
    again = shared.submit(10, retry_of=job_id)
    row = shared.reaches(again, JobStatus.SUCCEEDED)
    assert sum(crew.finished(again)) == 10 - answered
    texts = [tile["text"] for tile in row.output["tiles"]]
    assert all(one in (None, other) for one, other in zip(before, texts, strict=True))
    assert all(texts)
    (notice,) = [n for n in row.notices if n["code"] == "tiles_taken_over"]
    assert notice["detail"].startswith(f"{answered} of 10 parts")
    assert "".join(text for _, text in shared.deltas(again)) == row.output["text"]


def test_several_images_in_one_job_are_read_one_after_the_other(crew: Crew, shared: Longs):
    job_id = shared.submit(3, beside=(1, 2))
    row = shared.reaches(job_id, JobStatus.SUCCEEDED)
    tiles = row.output["tiles"]
    assert [tile["image"] for tile in tiles] == [0, 0, 0, 1, 2, 2]
    assert [tile["box"][1] for tile in tiles if tile["image"] == 1] == [0]
    of_each = [[t["text"] for t in tiles if t["image"] == n] for n in range(3)]
    assert row.output["text"] == "\n\n".join("\n".join(texts) for texts in of_each)
    assert "".join(text for _, text in shared.deltas(job_id)) == row.output["text"]


def test_tiles_are_nobodys_jobs(crew: Crew, shared: Longs):
    job_id = shared.submit(12)
    tiles, names = keys.job(job_id) + keys.JOB_TILES, [f"id:{n}" for n in range(12)]
    eventually(lambda: shared.store.redis.hexists(tiles, names[-1]), every_s=0.01)
    children = shared.store.redis.hmget(tiles, names)
    with pytest.raises(NotFound):
        shared.get(children[-1])
    assert [row.id for row in shared.store.page(shared.tenant, limit=100)[0]] == [job_id]
    shared.store.erase(job_id, shared.tenant)
    assert not any(shared.store.redis.exists(keys.job(child)) for child in children)
