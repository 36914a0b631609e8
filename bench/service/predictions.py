"""Compares the predicted with the actual seconds of jobs, on the bundled model.

`python -m bench.service.predictions` starts a Redis, a gateway and a worker; every image is
different.
"""

from __future__ import annotations

import argparse
import datetime as dt
import io
import os
import random
import statistics
from collections.abc import Callable
from typing import Any

import httpx
from PIL import Image, ImageDraw

from bench.service.setup import running_service
from shared.settings import BUNDLED_MODEL
from tests.support.harness import QUICK

PRESETS = ("ocr", "describe", "qa")
#: Jobs from which the worker learns its speed before any is counted.
LEARNING = 20
TOGETHER = 12
#: Headings of the table.
COLUMNS = ("took, median s", "predicted, median s", "median error", "within a factor of two")


def picture(rng: random.Random, *, long: bool = False) -> bytes:
    """Return a PNG of a random size with some words on it; a long one is cut into tiles."""
    size = (rng.randint(96, 1100), rng.randint(96, 1100))
    if long:
        size = (1000, rng.randint(3000, 9000))
    image = Image.new("RGB", size, (rng.randint(200, 255),) * 3)
    draw = ImageDraw.Draw(image)
    for line in range(size[1] // 40 if long else rng.randint(1, 4)):
        words = f"No. {rng.randint(0, 99_999)}"
        draw.text((10, 10 + 30 * line), words, fill="black", font_size=22)
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def _seconds(job: dict[str, Any]) -> float:
    created, completed = (
        dt.datetime.fromisoformat(job[f"{at}_at"]) for at in ("created", "completed")
    )
    return (completed - created).total_seconds()


def _submit(http: httpx.Client, rng: random.Random, *, long: bool = False) -> dict[str, Any]:
    preset = "ocr" if long else rng.choice(PRESETS)
    data = {"preset": preset, "prompt": "What does it say?", "max_new_tokens": "64"}
    answer = http.post("/v1/jobs", files={"image": picture(rng, long=long)}, data=data)
    answer.raise_for_status()
    return dict(answer.json())


def _wait(http: httpx.Client, job: dict[str, Any]) -> dict[str, Any]:
    while job["status"] in ("queued", "running"):
        job = http.get(job["urls"]["self"], params={"wait": 30}).json()
    return job


def ask_one_by_one(http: httpx.Client, rng: random.Random, count: int) -> list[dict[str, Any]]:
    """Ask `count` questions, each after the answer to the one before."""
    return [_wait(http, _submit(http, rng)) for _ in range(count)]


def ask_in_bursts(http: httpx.Client, rng: random.Random, count: int) -> list[dict[str, Any]]:
    """Ask `count` questions in bursts of TOGETHER."""
    jobs = []
    for _ in range(count // TOGETHER):
        burst = [_submit(http, rng) for _ in range(TOGETHER)]
        jobs += [_wait(http, job) for job in burst]
    return jobs


def read_long_ones(http: httpx.Client, rng: random.Random, count: int) -> list[dict[str, Any]]:
    """Read a quarter as many long pictures, one after the other."""
    return [_wait(http, _submit(http, rng, long=True)) for _ in range(count // 4)]


def row(name: str, jobs: list[dict[str, Any]]) -> str:
    """Return one row of Markdown."""
    known = [job for job in jobs if job["status"] == "succeeded" and job["predicted"]]
    took = [_seconds(job) for job in known]
    predicted = [job["predicted"]["total_s"] for job in known]
    errors = sorted(abs(p - a) / a for p, a in zip(predicted, took, strict=True))
    near = statistics.mean(0.5 <= p / a <= 2 for p, a in zip(predicted, took, strict=True))
    medians = f"{statistics.median(took):.2f} | {statistics.median(predicted):.2f}"
    return f"| {name} | {len(known)} | {medians} | {statistics.median(errors):.0%} | {near:.0%} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=60)
    count = parser.parse_args().count
    rng = random.Random(7)
    phases: dict[str, Callable[..., list[dict[str, Any]]]] = {
        "one by one": ask_one_by_one,
        f"bursts of {TOGETHER}": ask_in_bursts,
        "long pictures, one by one": read_long_ones,
    }
    with running_service(**QUICK) as (system, _):
        system.worker(4, SIGHTLINE_MODEL=BUNDLED_MODEL)
        _, http = system.gateway()
        rows = [row("just after the start, at once", ask_in_bursts(http, rng, TOGETHER))]
        ask_one_by_one(http, rng, LEARNING)
        rows += [row(name, ask(http, rng, count)) for name, ask in phases.items()]
    print(f"Load average at the end {os.getloadavg()[0]:.1f}.\n")
    print(f"| questions | jobs | {' | '.join(COLUMNS)} |")
    print("|---|---:|---:|---:|---:|---:|")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
