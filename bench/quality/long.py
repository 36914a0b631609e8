"""Measures the reading of long pages in tiles, beside two naive ways.

`python -m bench.quality.long [--lengths 1,2,4]` prints it.

Each way reads the same drawn page with the same model and budget, in a process of its own. The
naive ways: the whole image scaled to one budget; strips of one budget with a fixed overlap, cut
at fixed places, whose texts are joined. As an upper bound, each paragraph is read by itself, as if
its place were known.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from PIL import Image

from demo.data import fonts, words
from demo.data.drawing import Canvas, text_width
from shared.catalog.presets import BUILT_IN
from shared.jobs import GenerationParams
from shared.settings import BUNDLED_MODEL, Settings
from worker.engine.api import Completion, EngineRequest, Failed, ImageInput, Message
from worker.engine.engine import TorchEngine, load_engine
from worker.tiling import Box, cut, merge

#: Pixels; the bundled model reads letters of these sizes.
WIDTH, SIZES, MARGIN = 352, range(22, 33), 12
#: Small, as the bundled model reads a few lines at once.
BUDGET = 49_152
#: Pixels that two consecutive strips share.
OVERLAP = 48
WAYS = {
    "blocks": "single paragraphs",
    "tiles": "tiles",
    "whole": "whole, scaled",
    "strips": "blind strips",
}
_OCR = next(preset for preset in BUILT_IN if preset.name == "ocr")


def main() -> None:
    """Print one table, or with --way the figures of one way as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lengths", default="1,2,5,10,30", help="in budgets")
    parser.add_argument(
        "--budget", type=int, default=BUDGET, help="pixels of one image for the model"
    )
    parser.add_argument("--model", default=BUNDLED_MODEL)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    lengths = [int(text) for text in arguments.lengths.split(",")]
    if arguments.way:
        print(json.dumps(measure(arguments.way, lengths[0], arguments.budget, arguments.model)))
        return
    print(f"| length, budgets | {' | '.join(WAYS.values())} |\n|---|{'---|' * len(WAYS)}")
    for length in lengths:
        cells = []
        for way in WAYS:
            command = [
                sys.executable,
                "-m",
                "bench.quality.long",
                "--way",
                way,
                "--lengths",
                str(length),
            ]
            command += ["--budget", str(arguments.budget), "--model", arguments.model]
            process = subprocess.run(command, check=True, capture_output=True, text=True)
            figures = json.loads(process.stdout.splitlines()[-1])
            cells.append("{errors:.1%}, {seconds:.1f} s, {megabytes:.0f} MB".format(**figures))
        print(f"| {length} | {' | '.join(cells)} |", flush=True)


@dataclass(frozen=True, slots=True)
class Page:
    """A drawn page, what it says and where each of its paragraphs lies."""

    image: Image.Image
    text: str
    paragraphs: list[Box]


def page(length: int, budget: int) -> Page:
    """Draw a page of `length` budgets: paragraphs of one to four lines, of one size each."""
    rng = random.Random(length)
    canvas = Canvas.blank(WIDTH, length * budget // WIDTH)
    top, lines, boxes = MARGIN, list[str](), list[Box]()
    while True:
        size = rng.choice(SIZES)
        step = round(1.35 * size)
        room = (canvas.image.height - MARGIN - top) // step
        if room < 1:
            return Page(canvas.image, "\n".join(lines), boxes)
        first = top
        for _ in range(min(room, rng.randint(1, 4))):
            lines.append(_line(rng, size))
            canvas.write(lines[-1], MARGIN, top, fonts.PILLOW, size)
            top += step
        boxes.append((0, first - MARGIN // 2, WIDTH, top + MARGIN // 2))
        top += size // 2


def _line(rng: random.Random, size: int) -> str:
    line = words.token(rng)
    while True:
        longer = f"{line} {words.token(rng)}"
        if text_width(longer, fonts.PILLOW, size) > WIDTH - 2 * MARGIN:
            return line
        line = longer


def measure(way: str, length: int, budget: int, model: str) -> dict[str, float]:
    """Read a page; return errors per character, seconds, and peak memory of the process."""
    drawn = page(length, budget)
    engine = load_engine(Settings(model=model))
    try:
        _read(engine, [Image.new("RGB", (64, 64), "white")], budget)
        began = time.monotonic()
        text = _text(way, engine, drawn, budget)
        seconds = time.monotonic() - began
    finally:
        engine.close()
    peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "errors": distance(text, drawn.text) / len(drawn.text),
        "seconds": seconds,
        "megabytes": peak_kb / 1024,
    }


def _text(way: str, engine: TorchEngine, drawn: Page, budget: int) -> str:
    image = drawn.image
    if way == "blocks":
        return "\n".join(_read(engine, [image.crop(box) for box in drawn.paragraphs], budget))
    if way == "whole":
        return _read(engine, [image], budget)[0]
    if way == "strips":
        return "\n".join(_read(engine, list(_strips(image, budget)), budget))
    tiles = cut(image, budget)
    texts = _read(engine, [image.crop(tile.box) for tile in tiles], budget)
    return merge(list(zip(tiles, texts, strict=True)))


def _strips(image: Image.Image, budget: int) -> Sequence[Image.Image]:
    tall = budget // image.width
    tops = range(0, max(1, image.height - OVERLAP), tall - OVERLAP)
    return [image.crop((0, top, image.width, min(image.height, top + tall))) for top in tops]


def _read(engine: TorchEngine, images: Sequence[Image.Image], budget: int) -> list[str]:
    """Read images in their order, as many at once as a worker has slots."""

    def answer(numbered: tuple[int, Image.Image]) -> str:
        number, image = numbered
        source = ImageInput(f"img_{number}", image, budget)
        ticket = engine.submit(
            EngineRequest(
                id=f"part_{number}",
                messages=(Message("user", _OCR.prompt["en"], (source,)),),
                params=GenerationParams(max_new_tokens=_OCR.params.max_new_tokens),
            )
        )
        *_, last = ticket.events()
        if isinstance(last, Failed):
            raise last.error
        return last.text if isinstance(last, Completion) else ""

    with ThreadPoolExecutor(Settings().slots) as pool:
        return list(pool.map(answer, enumerate(images)))


def distance(one: str, other: str) -> int:
    """Levenshtein distance in characters, a row of the table at a time."""
    left, right = (np.frombuffer(text.encode("utf-32-le"), np.uint32) for text in (one, other))
    places = np.arange(len(right) + 1)
    before = places.copy()
    for row, letter in enumerate(left, start=1):
        now = np.empty_like(before)
        now[0] = row
        now[1:] = np.minimum(before[1:] + 1, before[:-1] + (right != letter))
        before = np.minimum.accumulate(now - places) + places
    return int(before[-1])


if __name__ == "__main__":
    main()
