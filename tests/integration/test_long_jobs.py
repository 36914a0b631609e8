"""Long images on real workers with the simulated engine: shared out, killed, canceled, merged."""

from __future__ import annotations

import hashlib
import io
import signal
import subprocess
import sys
import time

import pytest
from PIL import Image, ImageDraw

from shared import keys
from shared.errors import NotFound
from shared.events import EventReader
from shared.images import ImageStore, StoredImage
from shared.jobs import JobInput, JobStatus, TilingTask
from shared.row import JobRow
from shared.settings import Settings
from shared.store import NewJob, Store
from shared.tiling import tiling_for
from tests.harness import ROOT, RedisServer, System, eventually

BUDGET = 64 * 64
#: Tiles that take long enough to be met in the middle.
SLOW = {"SIGHTLINE_SIMULATED_IMAGE_S": "0.4", "SIGHTLINE_SIMULATED_TOKEN_S": "0.02"}


def strips(count: int) -> bytes:
    """Draw an image that falls into `count` tiles: lines of ink with wide gaps between them."""
    image = Image.new("RGB", (64, 60 * count), "white")
    pen = ImageDraw.Draw(image)
    for number in range(count):
        top = 60 * number + 14
        pen.rectangle((6, top, 10 + 4 * (number % 12), top + 20), fill="black")
        pen.rectangle((6, top + 26, 30 + number % 20, top + 30), fill="black")
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


class Longs:
    """Submits long jobs as the gateway does."""

    def __init__(self, redis_url: str) -> None:
        settings = Settings(redis_url=redis_url)
        self.store = Store(settings)
        self.images = ImageStore(settings)
        self.url = redis_url

    def submit(
        self,
        count: int = 6,
        *,
        task: TilingTask = TilingTask.READ,
        strict: bool = False,
        prompt: str = "Read it.",
        **fields,
    ) -> str:
        png = strips(count)
        name = f"img_{hashlib.sha256(png).hexdigest()}"
        size = Image.open(io.BytesIO(png)).size
        self.images.put("t", StoredImage(name, png, *size, size, "PNG"))
        tiling = tiling_for(*size, BUDGET, task=task, strict=strict)
        job = JobInput(prompt=prompt, images=(name,), max_pixels=BUDGET, tiling=tiling)
        return self.ring(NewJob("t", job, **fields))

    def short(self, tenant: str = "t") -> str:
        return self.ring(NewJob(tenant, JobInput(prompt="What is it?")))

    def ring(self, job: NewJob) -> str:
        bell = self.store.add(job).doorbell
        code = (
            "from shared.queue import ring; from shared.store import Doorbell;"
            f"ring([Doorbell({bell.job_id!r}, {bell.queue!r})])"
        )
        env = {"SIGHTLINE_REDIS_URL": self.url, "PATH": "/usr/bin:/bin"}
        subprocess.run([sys.executable, "-c", code], env=env, cwd=ROOT, check=True)
        return bell.job_id

    def get(self, job_id: str, tenant: str = "t") -> JobRow:
        return self.store.get(job_id, tenant)

    def reaches(self, job_id: str, status: JobStatus, within_s: float = 30.0) -> JobRow:
        eventually(lambda: self.get(job_id).status is status, within_s)
        return self.get(job_id)

    def tiles_done(self, job_id: str) -> int:
        return (self.get(job_id).progress or {}).get("tiles_done", 0)

    def deltas(self, job_id: str) -> list[tuple[int, str]]:
        events = EventReader(self.store.redis, 1.0).read(job_id, 0)
        return [(e.data["tile"], e.data["text"]) for e in events if e.type == "output.delta"]


@pytest.fixture
def longs(redis_server: RedisServer) -> Longs:
    return Longs(redis_server.url)


def test_a_long_image_is_read_in_tiles_by_all_workers_and_streams_in_order(
    system: System, longs: Longs
):
    workers = [system.worker(slots=3, **SLOW) for _ in range(2)]
    job_id = longs.submit(8)
    row = longs.reaches(job_id, JobStatus.SUCCEEDED)
    texts = [tile["text"] for tile in row.output["tiles"]]
    assert len(texts) == 8
    assert all(text in row.output["text"] for text in texts)
    assert row.output["partial"] is False
    told = longs.deltas(job_id)
    assert [tile for tile, _ in told] == sorted(tile for tile, _ in told)
    assert "".join(text for _, text in told) == "\n".join(texts)
    assert all('"tile.finished"' in worker.logs() for worker in workers)
    assert row.usage["completion_tokens"] == sum(len(text.split()) for text in texts)


def test_a_worker_killed_in_the_middle_changes_nothing_of_the_text(system: System, longs: Longs):
    doomed = system.worker(slots=3, **SLOW)
    undisturbed = longs.reaches(longs.submit(8), JobStatus.SUCCEEDED)
    job_id = longs.submit(8)
    eventually(lambda: longs.tiles_done(job_id) >= 2, every_s=0.01)
    doomed.kill()
    done = longs.tiles_done(job_id)
    second = system.worker(slots=3, **SLOW)
    row = longs.reaches(job_id, JobStatus.SUCCEEDED)
    assert row.output == undisturbed.output
    assert row.commits == 1
    # what was finished was not done again
    assert second.logs().count('"tile.finished"') == 8 - done


def test_a_tile_that_fails_three_times_leaves_a_marked_gap(system: System, longs: Longs):
    job_id = longs.submit(4)
    worker = system.worker(slots=1, wait=False, **SLOW)
    damage_tile(longs, job_id, 2)
    row = longs.reaches(job_id, JobStatus.SUCCEEDED)
    assert row.output["partial"] is True
    assert [tile["gap"] for tile in row.output["tiles"]] == [False, False, True, False]
    assert row.output["text"].count("[unread: ") == 1
    (notice,) = [n for n in row.notices if n["code"] == "tile_failed"]
    assert "Part 3 of 4" in notice["detail"]
    assert worker.logs().count('"tile.failed"') == 3


def test_a_strict_job_fails_with_its_first_lost_tile(system: System, longs: Longs):
    job_id = longs.submit(4, strict=True)
    system.worker(slots=1, wait=False, **SLOW)
    damage_tile(longs, job_id, 1)
    row = longs.reaches(job_id, JobStatus.FAILED)
    assert row.error["code"] == "tile_failed"


def damage_tile(longs: Longs, job_id: str, number: int) -> None:
    row = eventually(lambda: longs.get(job_id) if longs.get(job_id).tiles else None, 60, 0.01)
    key = keys.image("t", row.tiles[number].id)
    longs.store.redis.hset(key, "png", "damaged")


def test_a_canceled_long_job_stops_its_tiles_at_once_and_keeps_what_was_read(
    system: System, longs: Longs
):
    worker = system.worker(slots=3, **SLOW)
    job_id = longs.submit(12)
    eventually(lambda: longs.tiles_done(job_id) >= 2)
    assert longs.store.cancel(job_id, "t") == "canceled"
    row = longs.get(job_id)
    assert row.status is JobStatus.CANCELED
    assert row.output["partial"] is True
    assert row.output["text"]
    eventually(lambda: longs.store.redis.zcard(keys.LEASES) == 0, 5)
    finished = worker.logs().count('"tile.finished"')
    time.sleep(1)
    assert worker.logs().count('"tile.finished"') == finished < 12


def test_a_long_job_past_its_deadline_expires_with_what_was_read(system: System, longs: Longs):
    system.worker(slots=2, **SLOW)
    row = longs.reaches(longs.submit(30, deadline_s=3), JobStatus.EXPIRED)
    assert row.output["finish_reason"] == "deadline"
    assert 0 < sum(tile["text"] is not None for tile in row.output["tiles"]) < 30


def test_a_merge_whose_doorbell_was_lost_is_done_all_the_same(system: System, longs: Longs):
    worker = system.worker(slots=2, **SLOW)
    job_id = longs.submit(4)
    eventually(lambda: longs.tiles_done(job_id) >= 1)
    worker.signal(signal.SIGSTOP)
    children = list(longs.store.redis.smembers(keys.TILES_LIVE))
    assert children
    # every bell that lies in the queue is lost
    for name in longs.store.redis.keys("default*"):
        longs.store.redis.delete(name)
    worker.signal(signal.SIGCONT)
    assert longs.reaches(job_id, JobStatus.SUCCEEDED).commits == 1


def test_a_short_job_is_not_held_up_by_a_long_one(system: System, longs: Longs):
    system.worker(slots=2, **SLOW)
    job_id = longs.submit(20)
    eventually(lambda: longs.tiles_done(job_id) >= 1)
    longs.reaches(longs.short(), JobStatus.SUCCEEDED)
    done = longs.tiles_done(job_id)
    assert longs.get(job_id).status is JobStatus.RUNNING
    assert done < 12


def test_two_long_jobs_advance_together(system: System, longs: Longs):
    system.worker(slots=2, **SLOW)
    first, second = longs.submit(12), longs.submit(11)
    eventually(lambda: longs.tiles_done(second) >= 5, 30)
    assert longs.get(first).status is JobStatus.RUNNING
    assert longs.tiles_done(first) < 12


def test_asking_looks_at_all_tiles_in_one_prompt_and_a_session_goes_on(
    system: System, longs: Longs
):
    system.worker(slots=3, **SLOW)
    job_id = longs.submit(4, task=TilingTask.ASK, prompt="What is the total?", session_id="s")
    row = longs.reaches(job_id, JobStatus.SUCCEEDED)
    assert row.output["text"]
    assert [tile["text"] for tile in row.output["tiles"]] == [None] * 4
    assert row.usage["image_tokens"] > 0
    again = longs.ring(NewJob("t", JobInput(prompt="And the date?"), session_id="s"))
    follow_up = longs.reaches(again, JobStatus.SUCCEEDED)
    assert follow_up.usage["image_tokens"] == row.usage["image_tokens"]


def test_tiles_are_nobodys_jobs(system: System, longs: Longs):
    system.worker(slots=2, **SLOW)
    job_id = longs.submit(6)
    eventually(lambda: longs.tiles_done(job_id) >= 1)
    (child, *_) = longs.store.redis.smembers(keys.TILES_LIVE)
    with pytest.raises(NotFound):
        longs.get(child)
    assert [row.id for row in longs.store.page("t", limit=100)[0]] == [job_id]
    longs.store.erase(job_id, "t")
    assert longs.store.redis.keys(keys.JOB + "*") == []
