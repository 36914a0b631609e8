"""Measures which letters `uncertain_below` marks: `python -m bench.quality.marks [--count N]`.

The bundled model reads new lines and blocks. Its text is aligned with the drawn text, which tells
for each letter and digit if it is right; it is marked if its probability is below a bound.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

from bench.quality.numerics import Answer, answer_all
from demo.tasks import TASKS, samples
from shared.jobs import GenerationParams
from shared.settings import Settings
from worker.engine.api import EngineRequest, ImageInput, Message
from worker.engine.engine import load_engine

_BOUNDS = (0.3, 0.5, 0.7, 0.9)
_KINDS = ("single lines", "blocks")


def main() -> None:
    """Print a line for each bound."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=40, help="images of each of two kinds")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    args = parser.parse_args()
    truths, requests = zip(*_requests(args.count), strict=True)
    engine = load_engine(Settings(threads=args.threads))
    try:
        answers = answer_all(engine, requests)
    finally:
        engine.close()
    letters = [letter for pair in zip(answers, truths, strict=True) for letter in _letters(*pair)]
    wrong = sum(not right for right, _ in letters)
    print(f"Revision {engine.info.revision}, {wrong} of {len(letters)} letters wrong.\n")
    print(
        "| `uncertain_below` | marked | of them wrong | wrong letters that are marked "
        "| right letters that are marked |\n|---|---|---|---|---|"
    )
    for bound in _BOUNDS:
        print(_line(bound, letters))


def _requests(count: int) -> Iterator[tuple[str, EngineRequest]]:
    """Yield the drawn text and the request to read it."""
    for task in TASKS:
        for number, sample in enumerate(samples(task, count if task.name in _KINDS else 0)):
            source = ImageInput(f"img_{task.name}_{number}", sample.image, 1 << 20)
            truth = sample.turns[0].answer
            params = GenerationParams(max_new_tokens=len(truth.encode()) + 24)
            message = Message("user", "Read the text.", (source,))
            yield truth, EngineRequest("bench", (message,), params)


def _letters(answer: Answer, truth: str) -> Iterator[tuple[bool, float]]:
    """Yield for each letter and digit if it is right, and its probability; a token is a byte."""
    matched: set[int] = set()
    for start, _, size in SequenceMatcher(None, answer.text, truth, False).get_matching_blocks():
        matched.update(range(start, start + size))
    for place, (token, logits) in enumerate(zip(answer.tokens, answer.logits, strict=False)):
        if chr(token).isalnum():
            yield place in matched, float(logits.softmax(-1)[token])


def _line(bound: float, letters: Sequence[tuple[bool, float]]) -> str:
    marked = [right for right, chance in letters if chance < bound]
    wrong = sum(not right for right, _ in letters)
    hit = sum(not right for right in marked)
    missed = len(marked) - hit
    return (
        f"| {bound} | {len(marked)} | {hit / max(1, len(marked)):.0%} "
        f"| {hit / max(1, wrong):.0%} | {missed / max(1, len(letters) - wrong):.1%} |"
    )


if __name__ == "__main__":
    main()
