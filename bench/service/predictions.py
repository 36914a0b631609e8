"""Compares the seconds that jobs were predicted with what they took, on the bundled model.

`python -m bench.service.predictions` starts a Redis, a gateway and a worker; no two images
are alike.
"""

from __future__ import annotations

import argparse
import datetime as dt
import io
import os
import random
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from PIL import Image, ImageDraw

from shared.settings import BUNDLED_MODEL
from tests.support.harness import QUICK, running_redis, running_system

PRESETS = ("ocr", "describe", "qa")
#: Jobs that the worker may learn from before any counts.
LEARNING = 20
TOGETHER = 12


def picture(chance: random.Random) -> bytes:
    """Return a PNG of a random size with some words on it."""
    size = (chance.randint(96, 1100), chance.randint(96, 1100))
    image = Image.new("RGB", size, (chance.randint(200, 255),) * 3)
    draw = ImageDraw.Draw(image)
    for line in range(chance.randint(1, 4)):
        words = f"No. {chance.randint(0, 99_999)}"
        draw.text((10, 10 + 30 * line), words, fill="black", font_size=22)
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def _seconds(job: dict[str, Any]) -> float:
    created, completed = (
        dt.datetime.fromisoformat(job[f"{at}_at"]) for at in ("created", "completed")
    )
    return (completed - created).total_seconds()


def _asked(http: httpx.Client, chance: random.Random) -> dict[str, Any]:
    preset = chance.choice(PRESETS)
    data = {"preset": preset, "prompt": "What does it say?", "max_new_tokens": "64"}
    answer = http.post("/v1/jobs", files={"image": picture(chance)}, data=data)
    answer.raise_for_status()
    return dict(answer.json())


def _done(http: httpx.Client, job: dict[str, Any]) -> dict[str, Any]:
    while job["status"] in ("queued", "running"):
        job = http.get(job["urls"]["self"], params={"wait": 30}).json()
    return job


def one_by_one(http: httpx.Client, chance: random.Random, count: int) -> list[dict[str, Any]]:
    """Ask the next question when the one before is answered."""
    return [_done(http, _asked(http, chance)) for _ in range(count)]


def in_bursts(http: httpx.Client, chance: random.Random, count: int) -> list[dict[str, Any]]:
    """Ask several at once, again and again."""
    jobs = []
    for _ in range(count // TOGETHER):
        burst = [_asked(http, chance) for _ in range(TOGETHER)]
        jobs += [_done(http, job) for job in burst]
    return jobs


def row(name: str, jobs: list[dict[str, Any]]) -> str:
    """Return one line of figures in Markdown."""
    known = [job for job in jobs if job["status"] == "succeeded" and job["predicted"]]
    took = [_seconds(job) for job in known]
    told = [job["predicted"]["total_s"] for job in known]
    errors = sorted(abs(p - a) / a for p, a in zip(told, took, strict=True))
    late = errors[int(0.9 * len(errors))]
    return (
        f"| {name} | {len(known)} | {statistics.median(took):.2f} | {statistics.median(told):.2f} "
        f"| {statistics.median(errors):.0%} | {late:.0%} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=60)
    count = parser.parse_args().count
    chance = random.Random(7)
    phases: dict[str, Callable[..., list[dict[str, Any]]]] = {
        "one by one": one_by_one,
        f"bursts of {TOGETHER}": in_bursts,
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with running_redis(folder) as redis, running_system(redis.url, folder, **QUICK) as system:
            system.worker(4, SIGHTLINE_MODEL=BUNDLED_MODEL)
            _, http = system.gateway()
            one_by_one(http, chance, LEARNING)
            rows = [row(name, ask(http, chance, count)) for name, ask in phases.items()]
    print(f"Load average at the end {os.getloadavg()[0]:.1f}.\n")
    print("| questions | jobs | took, median s | predicted, median s | median error | 90 % below |")
    print("|---|---:|---:|---:|---:|---:|")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
