"""Errors and seconds of dense drawn pages that the model reads: `python -m bench.quality.dense`.

Pages of 10 to 120 lines, of any words and of the same forty words, are cut as a worker cuts them
and read as the preset `ocr` has it; with `--one-look` each tile is shown to the model as a whole.
With `--second` each page is read twice: without drafts, and with the second reader's text as the
reference, which may change no letter.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from PIL import Image
from rapidfuzz.distance import Levenshtein

from shared.catalog.presets import BUILT_IN
from shared.jobs import DETAIL_PIXELS, JobInput, Usage
from shared.prediction.tile_plan import CUT_FROM
from shared.settings import Settings
from tests.unit.worker.reader.pages import Drawn, page
from worker.engine.api import Completion, Failed
from worker.engine.engine import load_engine
from worker.pipeline import Pipeline, Question
from worker.reader import find_weights
from worker.reader.reader import SecondReader
from worker.tiling import Tile, cut, merge
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
    parser.add_argument("--second", action="store_true")
    options = parser.parse_args()
    settings = Settings(threads=len(os.sched_getaffinity(0)))
    engine = load_engine(settings)
    pipeline = Pipeline(engine, slots=settings.slots)
    reader = SecondReader(find_weights(), threads=settings.threads) if options.second else None
    drafting = " with drafts | equal | guesses checked | right |" if options.second else ""
    print(f"| lines | words | errors | lines lost or doubled | wall s | CPU s a page |{drafting}")
    print("|---|---|---:|---:|---:|---:|" + "---:|---:|---:|---:|" * options.second)
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
                row = f"| {count} | {words} | "
                row += _row(pipeline, pages, reads=not options.one_look, reader=reader)
                print(row, flush=True)
    finally:
        engine.close()
        if reader is not None:
            reader.close()


def _row(
    pipeline: Pipeline, pages: Sequence[Drawn], *, reads: bool, reader: SecondReader | None
) -> str:
    # a switch of the engine's own: one engine serves both
    pipeline.engine._speculation = reader is None  # type: ignore[attr-defined]  # noqa: SLF001
    cpu, wall = time.process_time(), time.monotonic()
    texts = [_read(pipeline, drawn.image, reads=reads).text for drawn in pages]
    cpu, wall = time.process_time() - cpu, time.monotonic() - wall
    wrong = letters = lost = 0
    for drawn, text in zip(pages, texts, strict=True):
        read = [line for line in text.split("\n") if line]
        truth = "\n".join(drawn.lines)
        wrong += Levenshtein.distance("\n".join(read), truth)
        letters += len(truth)
        lost += abs(len(read) - len(drawn.lines)) + sum(
            max((likeness(line, other) for other in read), default=0.0) < _SAME
            for line in drawn.lines
        )
    each = len(pages)
    row = f"{wrong / letters:.2%} | {lost} | {wall / each:.1f} | {cpu / each:.1f} |"
    return row if reader is None else row + _drafted(pipeline, pages, texts, reader, reads=reads)


def _drafted(
    pipeline: Pipeline,
    pages: Sequence[Drawn],
    texts: Sequence[str],
    reader: SecondReader,
    *,
    reads: bool,
) -> str:
    """Return the rest of a row: the same pages with the second reader's text as the reference."""
    second = [reader.read(drawn.image).text for drawn in pages]
    pipeline.engine._speculation = True  # type: ignore[attr-defined]  # noqa: SLF001
    cpu = time.process_time()
    ends = [
        _read(pipeline, drawn.image, reads=reads, reference=text)
        for drawn, text in zip(pages, second, strict=True)
    ]
    cpu = time.process_time() - cpu
    equal = sum(end.text == text for end, text in zip(ends, texts, strict=True))
    drafted = sum(end.usage.draft_tokens for end in ends)
    accepted = sum(end.usage.accepted_tokens for end in ends)
    return f" {cpu / len(pages):.1f} | {equal} of {len(pages)} | {drafted} | {accepted} |"


@dataclass(frozen=True, slots=True)
class _PageText:
    """What was read of a page, and what it cost."""

    text: str
    usage: Usage


def _read(pipeline: Pipeline, image: Image.Image, *, reads: bool, reference: str = "") -> _PageText:
    """Return the text of an image as a worker reads it."""
    large = image.width * image.height > CUT_FROM * _BUDGET
    tiles = cut(image, _BUDGET) if large else cut(image, image.width * image.height)

    def answer(tile: Tile) -> Completion:
        return _answer(pipeline, image.crop(tile.box), reads=reads, reference=reference)

    with ThreadPoolExecutor(len(tiles)) as pool:
        ends = list(pool.map(answer, tiles))
    text = merge([(tile, end.text) for tile, end in zip(tiles, ends, strict=True)])
    return _PageText(text, Usage.total(end.usage for end in ends))


def _answer(pipeline: Pipeline, image: Image.Image, *, reads: bool, reference: str) -> Completion:
    job = JobInput(
        prompt=_OCR.prompt["en"],
        images=("img_page",),
        params=_OCR.params,
        max_pixels=_BUDGET,
        enhance=_OCR.enhance,
        preset=_OCR.name,
        reference=reference,
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
            return event


if __name__ == "__main__":
    main()
