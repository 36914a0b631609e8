"""Measures how often lines are right on which two readers agree so far: `[--count N]`.

Run as `python -m bench.quality.agreement`. The bundled model and the second reader read new drawn
images, every other one blurred and noisy. A line of the model is right if the image has it.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from PIL import Image, ImageFilter

from bench.quality.numerics import answer_all
from demo.tasks import TASKS, samples
from shared.jobs import GenerationParams
from shared.settings import Settings
from worker.engine.api import EngineRequest, ImageInput, Message
from worker.engine.engine import load_engine
from worker.reader.comparison import compare_texts
from worker.reader.reader import SecondReader
from worker.reader.weights import find_weights

#: Least agreement of each band.
_BANDS = (1.0, 0.95, 0.85, 0.7, 0.0)
_KINDS = ("single lines", "blocks", "documents", "receipts")
_BLUR, _NOISE, _GRAIN = 1.1, 40, 0.25


@dataclass(frozen=True, slots=True)
class _Case:
    image: Image.Image
    truth: str


def main() -> None:
    """Print a line for each band."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=40, help="images of each of four kinds")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    args = parser.parse_args()
    cases = list(_cases(args.count))
    engine = load_engine(Settings(threads=args.threads))
    try:
        answers = answer_all(engine, [_request(*one) for one in enumerate(cases)])
    finally:
        engine.close()
    reader = SecondReader(find_weights(), threads=args.threads)
    lines = [
        line
        for case, answer in zip(cases, answers, strict=True)
        for line in _judge(answer.text, reader.read(case.image).text, case.truth)
    ]
    print(f"Revision {engine.info.revision}, {len(lines)} lines of {len(cases)} images.\n")
    print("| `agreement` | lines | of them right |\n|---|---:|---:|")
    for least, below in zip(_BANDS, (None, *_BANDS), strict=False):
        print(_row(least, below, lines))


def _cases(count: int) -> Iterator[_Case]:
    for task in TASKS:
        for number, sample in enumerate(samples(task, count if task.name in _KINDS else 0)):
            image = sample.image.convert("RGB")
            yield _Case(_spoil(image) if number % 2 else image, sample.turns[0].answer)


def _spoil(image: Image.Image) -> Image.Image:
    """Return an image as a bad camera shows it."""
    blurred = image.filter(ImageFilter.GaussianBlur(_BLUR))
    grain = Image.effect_noise(image.size, _NOISE).convert("RGB")
    return Image.blend(blurred, grain, _GRAIN)


def _request(number: int, case: _Case) -> EngineRequest:
    source = ImageInput(f"img_agreement_{number}", case.image, 1 << 20)
    params = GenerationParams(max_new_tokens=len(case.truth.encode()) + 24)
    return EngineRequest("bench", (Message("user", "Read the text.", (source,)),), params)


def _judge(model: str, second: str, truth: str) -> Iterator[tuple[float, bool]]:
    """Yield the agreement of each of the model's lines, and whether it is right."""
    drawn = {_plain(line) for line in truth.split("\n")}
    for line in compare_texts(model, second).lines:
        yield line.agreement, _plain(line.text) in drawn


def _plain(text: str) -> str:
    return "".join(text.replace("|", "").split())


def _row(least: float, below: float | None, lines: Sequence[tuple[float, bool]]) -> str:
    some = [right for agreement, right in lines if agreement >= least]
    if below is not None:
        some = [right for agreement, right in lines if least <= agreement < below]
    share = f"{sum(some) / len(some):.1%}" if some else "–"
    name = "1" if below is None else f"{least} to {below}"
    return f"| {name} | {len(some)} | {share} |"


if __name__ == "__main__":
    main()
