"""Measures one tiled job on one and two workers: `python -m bench.service.long_workers`.

It runs the simulated engine, so that the result shows how the queue shares out tiles and does not
depend on the cores of this machine.
"""

from __future__ import annotations

import argparse
import io
import time

import httpx
from PIL import Image, ImageDraw

from bench.service.setup import running_service

_WIDTH, _TILE = 512, 512
_ENGINE = {"SIGHTLINE_SIMULATED_IMAGE_S": "1.0", "SIGHTLINE_SIMULATED_TOKEN_S": "0.02"}


def main() -> None:
    """Print the seconds of one worker and of two, and how many times faster two are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiles", type=int, default=24)
    tiles = parser.parse_args().tiles
    seconds = [measure(workers, tiles) for workers in (1, 2)]
    print(
        f"{tiles} tiles of 1 s each: one worker {seconds[0]:.1f} s, two {seconds[1]:.1f} s, "
        f"{seconds[0] / seconds[1]:.2f} times faster"
    )


def measure(workers: int, tiles: int) -> float:
    """Return the seconds from the submission of a tiled job to its end."""
    with running_service(**_ENGINE) as (system, _):
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
