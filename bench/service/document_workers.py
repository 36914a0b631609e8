"""Measures one scanned document on one and two workers: `python -m bench.service.document_workers`.

It runs the simulated engine, so that the result shows how the queue shares out pages and does not
depend on the cores of this machine. The pages are drawn by the same machine, and small.
"""

from __future__ import annotations

import argparse
import io
import time

import httpx
from PIL import Image, ImageDraw

from bench.service.setup import running_service

_ENGINE = {"SIGHTLINE_SIMULATED_IMAGE_S": "1.0", "SIGHTLINE_SIMULATED_TOKEN_S": "0.02"}


def main() -> None:
    """Print the seconds of one worker and of two, and how many times faster two are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=24)
    pages = parser.parse_args().pages
    seconds = [measure(workers, pages) for workers in (1, 2)]
    half_s = measure(1, pages // 2)
    print(
        f"{pages} pages of 1 s each: one worker {seconds[0]:.1f} s, two {seconds[1]:.1f} s, "
        f"{seconds[0] / seconds[1]:.2f} times faster; half the pages take one worker "
        f"{half_s:.1f} s, {half_s / seconds[0]:.2f} of all"
    )


def measure(workers: int, pages: int) -> float:
    """Return the seconds from the submission of a document of scans to the end of its job."""
    with running_service(**_ENGINE) as (system, _):
        for _ in range(workers):
            system.worker(slots=3)
        _, client = system.gateway()
        began = time.monotonic()
        document = {"document": ("scan.tif", _scans(pages))}
        answer = client.post("/v1/jobs", data={"preset": "ocr"}, files=document)
        if answer.status_code != 202:
            raise SystemExit(answer.text)
        _wait(client, answer.json()["id"])
        return time.monotonic() - began


def _wait(client: httpx.Client, job_id: str) -> None:
    while (job := client.get(f"/v1/jobs/{job_id}?wait=30").json())["status"] != "succeeded":
        if job["status"] in ("failed", "canceled", "expired"):
            raise SystemExit(f"the job is {job['status']}: {job['error']}")


def _scans(count: int) -> bytes:
    sheets = []
    for number in range(count):
        sheet = Image.new("RGB", (600, 800), "white")
        pen = ImageDraw.Draw(sheet)
        for line in range(10):
            pen.rectangle((60, 60 + 40 * line, 200 + 10 * (number % 30), 80 + 40 * line), "black")
        sheets.append(sheet)
    out = io.BytesIO()
    sheets[0].save(out, "TIFF", save_all=True, append_images=sheets[1:], compression="tiff_deflate")
    return out.getvalue()


if __name__ == "__main__":
    main()
