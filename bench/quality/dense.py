"""Errors and seconds of dense drawn pages that the model reads: `python -m bench.quality.dense`.

Pages of 10 to 120 lines, of any words and of the same forty words, are cut as a worker cuts them
and read as the preset `ocr` has it; with `--one-look` each tile is shown to the model as a whole.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from PIL import Image
from rapidfuzz.distance import Levenshtein

from shared.catalog.presets import BUILT_IN
from shared.jobs import DETAIL_PIXELS, JobInput
from shared.prediction.tile_plan import CUT_FROM
from shared.settings import Settings
from tests.unit.worker.reader.pages import Drawn, page
from worker.engine.api import Completion, Failed
from worker.engine.engine import load_engine
from worker.pipeline import Pipeline, Question
from worker.tiling import cut, merge
from worker.tiling.likeness import likeness

_OCR = next(preset for preset in BUILT_IN if preset.name == "ocr")
_BUDGET = DETAIL_PIXELS["auto"]
#: Lines that are less alike are different ones.
_SAME = 0.7


def main() -> None:
    """Print a table; its CPU seconds are those of the process, whatever else the machine does."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", default="10,20,40,80,120")
    parser.add_argument("--each", type=int, default=2, help="pages of each kind")
    parser.add_argument("--size", type=int, default=20, help="of the letters, pixels")
    parser.add_argument("--width", type=int, default=900, help="of the pages, pixels")
    parser.add_argument("--first", type=int, default=300, help="number of the first page")
    parser.add_argument("--one-look", action="store_true")
    options = parser.parse_args()
    settings = Settings(threads=len(os.sched_getaffinity(0)))
    engine = load_engine(settings)
    pipeline = Pipeline(engine, slots=settings.slots)
    print("| lines | words | errors | lines lost or doubled | CPU s a page | wall s a page |")
    print("|---|---|---:|---:|---:|---:|")
    try:
        for count in map(int, options.lines.split(",")):
            for repetitive in (False, True):
                pages = [
                    page(
                        options.first + n,
                        count,
                        size=options.size,
                        width=options.width,
                        repetitive=repetitive,
                    )
                    for n in range(options.each)
                ]
                words = "the same forty" if repetitive else "any"
                print(_row(pipeline, count, words, pages, reads=not options.one_look), flush=True)
    finally:
        engine.close()


def _row(pipeline: Pipeline, count: int, words: str, pages: Sequence[Drawn], *, reads: bool) -> str:
    cpu, wall = time.process_time(), time.monotonic()
    wrong = letters = lost = 0
    for drawn in pages:
        read = [line for line in _read(pipeline, drawn.image, reads=reads).split("\n") if line]
        truth = "\n".join(drawn.lines)
        wrong += Levenshtein.distance("\n".join(read), truth)
        letters += len(truth)
        lost += abs(len(read) - len(drawn.lines)) + sum(
            max((likeness(line, other) for other in read), default=0.0) < _SAME
            for line in drawn.lines
        )
    cpu, wall = time.process_time() - cpu, time.monotonic() - wall
    each = len(pages)
    seconds = f"{cpu / each:.1f} | {wall / each:.1f}"
    return f"| {count} | {words} | {wrong / letters:.2%} | {lost} | {seconds} |"


def _read(pipeline: Pipeline, image: Image.Image, *, reads: bool) -> str:
    """Return the text of an image as a worker reads it."""
    large = image.width * image.height > CUT_FROM * _BUDGET
    tiles = cut(image, _BUDGET) if large else cut(image, image.width * image.height)
    with ThreadPoolExecutor(len(tiles)) as pool:
        texts = pool.map(lambda tile: _answer(pipeline, image.crop(tile.box), reads=reads), tiles)
        return merge(list(zip(tiles, texts, strict=True)))


def _answer(pipeline: Pipeline, image: Image.Image, *, reads: bool) -> str:
    job = JobInput(
        prompt=_OCR.prompt["en"],
        images=("img_page",),
        params=_OCR.params,
        max_pixels=_BUDGET,
        enhance=_OCR.enhance,
        preset=_OCR.name,
    )
    question = Question(
        id="bench",
        job=job,
        history=(),
        pngs={"img_page": image},
        feature_scope="",
        scope="",
        time_left_s=3600,
        reads=reads,
    )
    ticket, _ = pipeline.start(question)
    while True:
        event = ticket.get(1)
        if isinstance(event, Failed):
            raise event.error
        if isinstance(event, Completion):
            return event.text


if __name__ == "__main__":
    main()
