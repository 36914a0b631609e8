"""Long images that are being cut when a restarted Redis lacks its newest writes."""

from __future__ import annotations

import io

from PIL import Image

from shared.jobs import JobInput, JobStatus, TilingTask
from shared.prediction.tile_plan import tiling_for
from shared.store import NewJob, keys
from tests.integration.jobs.reading.test_long_jobs import BUDGET, Longs, strips
from tests.support.harness import QUICK, eventually, running_redis, running_system
from tests.support.images.image_bytes import saved


def mostly_white(height: int) -> bytes:
    """Draw a very long image with ink on its first 30 tiles: it is read soon, once it is cut."""
    image = Image.new("RGB", (64, height), "white")
    image.paste(Image.open(io.BytesIO(strips(30))), (0, 0))
    return saved(image, "PNG")


def test_tiles_that_redis_has_lost_are_cut_again(tmp_path):
    (folder := tmp_path / "redis").mkdir()
    env = QUICK | {"SIGHTLINE_SIMULATED_TOKEN_S": "0.001", "SIGHTLINE_LEASE_S": "5"}
    with running_redis(folder) as redis, running_system(redis.url, tmp_path, **env) as system:
        system.worker(slots=8)
        longs = Longs(redis.url)

        def stored() -> int:
            return len(redis.client().keys(keys.image("t", "img_*")))

        height = 30_000
        tiling = tiling_for(64, height, BUDGET, task=TilingTask.READ)
        name = longs.store_image(mostly_white(height))
        asked = JobInput(prompt="Read it.", images=(name,), max_pixels=BUDGET, tiling=tiling)
        job_id = longs.submit_job(NewJob("t", asked))
        eventually(lambda: stored() > 3, every_s=0.001)
        redis.save_data(tmp_path / "saved")
        before = stored()
        eventually(lambda: stored() > before + 5, every_s=0.001)
        redis.go_back(tmp_path / "saved")
        row = longs.reaches(job_id, JobStatus.SUCCEEDED)
        assert len(row.output["tiles"]) > 300
        assert [number for number, tile in enumerate(row.output["tiles"]) if tile["gap"]] == []
