"""Measures which letters `uncertain_below` marks: `python -m bench.quality.marks [--count N]`.

The bundled model reads new lines and blocks. Its text is aligned with the drawn text, which tells
for each letter and digit if it is right; it is marked if its probability is below a bound. With
`--second`, what the second reader reads otherwise is a mark too: alone, or together with a bound.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from PIL import Image, ImageFilter

from bench.quality.numerics import Answer, answer_all
from demo.tasks import TASKS, samples
from shared.jobs import GenerationParams
from shared.settings import Settings
from worker.engine.api import EngineRequest, ImageInput, Message
from worker.engine.engine import load_engine
from worker.places.letters import letters_of

_BOUNDS = (0.3, 0.5, 0.7, 0.9)
_KINDS = ("single lines", "blocks")


@dataclass(frozen=True, slots=True)
class Letter:
    """A letter of an answer: whether it is right, its probability, whether both have read it."""

    is_right: bool
    chance: float
    is_shared: bool


def main() -> None:
    """Print a line for each bound."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=40, help="images of each of two kinds")
    parser.add_argument("--blur", type=float, default=0.0, help="radius, in pixels")
    parser.add_argument("--second", action="store_true", help="compare with the second reader")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    args = parser.parse_args()
    truths, requests = zip(*_requests(args.count, args.blur), strict=True)
    engine = load_engine(Settings(threads=args.threads))
    try:
        answers = answer_all(engine, requests)
    finally:
        engine.close()
    seconds = _read_again(requests, args.threads) if args.second else [None] * len(truths)
    pairs = zip(answers, truths, seconds, strict=True)
    letters = [letter for pair in pairs for letter in _letters(*pair)]
    wrong = sum(not letter.is_right for letter in letters)
    print(f"Revision {engine.info.revision}, {wrong} of {len(letters)} letters wrong.\n")
    print(
        "| `uncertain_below` | marked | of them wrong | wrong letters that are marked "
        "| right letters that are marked |\n|---|---|---|---|---|"
    )
    for bound in _BOUNDS:
        print(_line(str(bound), [one.chance < bound for one in letters], letters))
    if args.second:
        print(_line("read otherwise", [not one.is_shared for one in letters], letters))
    for bound in _BOUNDS if args.second else ():
        both = [one.chance < bound and not one.is_shared for one in letters]
        print(_line(f"{bound} and read otherwise", both, letters))


def _requests(count: int, blur: float) -> Iterator[tuple[str, EngineRequest]]:
    """Yield the drawn text and the request to read it."""
    for task in TASKS:
        for number, sample in enumerate(samples(task, count if task.name in _KINDS else 0)):
            source = ImageInput(f"img_{task.name}_{number}", _blurred(sample.image, blur), 1 << 20)
            truth = sample.turns[0].answer
            params = GenerationParams(max_new_tokens=len(truth.encode()) + 24)
            message = Message("user", "Read the text.", (source,))
            yield truth, EngineRequest("bench", (message,), params)


def _blurred(image: Image.Image, radius: float) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(radius)) if radius else image


def _read_again(requests: Sequence[EngineRequest], threads: int) -> list[str]:
    """Return what the second reader reads on the same images."""
    from worker.reader.reader import SecondReader
    from worker.reader.weights import find_weights

    reader = SecondReader(find_weights(), threads=threads)
    try:
        return [reader.read(one.messages[0].images[0].image).text for one in requests]
    finally:
        reader.close()


def _shared_places(text: str, second: str) -> set[int]:
    """Return the places of the letters of a text that the second reader has read as well."""
    from worker.places.mapping import map_letters

    own = letters_of(text)
    _, alike = map_letters(own.text, letters_of(second).text)
    return {own.origins[number] for number in alike}


def _letters(answer: Answer, truth: str, second: str | None) -> Iterator[Letter]:
    """Yield what is known of each letter and digit; a token is a byte."""
    shared = set() if second is None else _shared_places(answer.text, second)
    matched: set[int] = set()
    for start, _, size in SequenceMatcher(None, answer.text, truth, False).get_matching_blocks():
        matched.update(range(start, start + size))
    for place, (token, logits) in enumerate(zip(answer.tokens, answer.logits, strict=False)):
        if chr(token).isalnum():
            yield Letter(place in matched, float(logits.softmax(-1)[token]), place in shared)


def _line(name: str, marks: Sequence[bool], letters: Sequence[Letter]) -> str:
    marked = [one.is_right for one, mark in zip(letters, marks, strict=True) if mark]
    wrong = sum(not one.is_right for one in letters)
    hit = sum(not right for right in marked)
    missed = len(marked) - hit
    return (
        f"| {name} | {len(marked)} | {hit / max(1, len(marked)):.0%} "
        f"| {hit / max(1, wrong):.0%} | {missed / max(1, len(letters) - wrong):.1%} |"
    )


if __name__ == "__main__":
    main()
