"""One long job on one worker and on two: `python -m bench.service.long_workers [--tiles 24]`.

The simulated engine stands for the model, so that the cores of this machine don't decide: what is
measured is how the queue shares a job out.
"""

from __future__ import annotations

import argparse
import io
import tempfile
import time
from pathlib import Path

import httpx
from PIL import Image, ImageDraw

from tests.support.harness import running_redis, running_system

_WIDTH, _TILE = 512, 512
_ENGINE = {"SIGHTLINE_SIMULATED_IMAGE_S": "1.0", "SIGHTLINE_SIMULATED_TOKEN_S": "0.02"}


def main() -> None:
    """Print the seconds of one worker and of two, and how many times faster two are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiles", type=int, default=24)
    tiles = parser.parse_args().tiles
    seconds = [measured(workers, tiles) for workers in (1, 2)]
    print(
        f"{tiles} tiles of 1 s each: one worker {seconds[0]:.1f} s, two {seconds[1]:.1f} s, "
        f"{seconds[0] / seconds[1]:.2f} times faster"
    )


def measured(workers: int, tiles: int) -> float:
    """Return the seconds from a long job's submission to its end."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with running_redis(folder) as redis, running_system(redis.url, folder, **_ENGINE) as system:
            for _ in range(workers):
                system.worker(slots=3)
            _, client = system.gateway()
            began = time.monotonic()
            fields = {"preset": "ocr", "tiling": "read", "max_pixels": str(_WIDTH * _TILE)}
            image = {"image": ("long.png", _page(tiles))}
            job = client.post("/v1/jobs", data=fields, files=image).json()
            _wait(client, job["id"])
            return time.monotonic() - began


def _wait(client: httpx.Client, job_id: str) -> None:
    while (job := client.get(f"/v1/jobs/{job_id}?wait=30").json())["status"] != "succeeded":
        if job["status"] in ("failed", "canceled", "expired"):
            raise SystemExit(f"the job is {job['status']}: {job['error']}")


def _page(tiles: int) -> bytes:
    image = Image.new("RGB", (_WIDTH, _TILE * tiles * 9 // 10), "white")
    pen = ImageDraw.Draw(image)
    for top in range(10, image.height - 30, 40):
        pen.rectangle((10, top, _WIDTH - 10, top + 18), fill="black")
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


if __name__ == "__main__":
    main()
