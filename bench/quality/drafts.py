"""Compares the bundled model's answers with and without drafts: they must be equal.

`python -m bench.quality.drafts [--count N] [--numerics bf16]` asks the first question about each
image of the model's evaluation, or about N images of each kind, one by one: without drafts, with
the true answer as the reference, with one of which a tenth of the letters is spoilt, and with
another question's answer. All guesses are checked, however unlikely: what pays on so small a model
is little, and any wrong one could change an answer.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from demo.tasks import TASKS, Task, samples
from shared.jobs import GenerationParams
from shared.settings import Settings
from worker.engine import loop
from worker.engine.api import Completion, EngineRequest, ImageInput, Message, Reference
from worker.engine.engine import TorchEngine, load_engine

#: Share of the letters of a spoilt reference that are replaced.
_SPOILT = 0.1


@dataclass(frozen=True, slots=True)
class Comparison:
    """How answers with one kind of reference differ from those without drafts."""

    reference: str
    asked: int
    #: Text, tokens and why they ended.
    equal: int
    drafted: int
    accepted: int


def compare(
    numerics: str, *, threads: int, count: int | None = None, tasks: Sequence[Task] = TASKS
) -> list[Comparison]:
    """Return the comparisons over the evaluation; `count` limits the images of each kind."""
    truths, requests = zip(*_questions(tasks, count), strict=True)
    plain = load_engine(Settings(numerics=numerics, threads=threads, speculation=False))
    try:
        expected = [_answer(plain, request) for request in requests]
    finally:
        plain.close()
    engine = load_engine(Settings(numerics=numerics, threads=threads))
    try:
        with _all_checked():
            return [
                _compare(engine, name, requests, references, expected)
                for name, references in _references(truths)
            ]
    finally:
        engine.close()


def _questions(tasks: Sequence[Task], count: int | None) -> Iterator[tuple[str, EngineRequest]]:
    """Yield true answers and first questions."""
    for task in tasks:
        for number, sample in enumerate(samples(task, count or task.counts[0])):
            shown = tuple(
                ImageInput(f"img_{task.name}_{number}_{at}", picture, 1 << 20)
                for at, picture in enumerate(sample.shown())
            )
            turn = sample.turns[0]
            params = GenerationParams(
                max_new_tokens=len(turn.answer.encode()) + 24, line_confidence=True
            )
            message = Message("user", turn.question, shown)
            yield turn.answer, EngineRequest("bench", (message,), params, feature_scope="bench")


def _references(truths: Sequence[str]) -> Iterator[tuple[str, list[Reference]]]:
    draw = random.Random("drafts")
    letters = "".join(truths)
    yield "the true answer", list(truths)
    yield (
        "a tenth of it spoilt",
        [
            "".join(draw.choice(letters) if draw.random() < _SPOILT else c for c in truth)
            for truth in truths
        ],
    )
    yield "another answer", [*truths[1:], truths[0]]


def _compare(
    engine: TorchEngine,
    name: str,
    requests: Sequence[EngineRequest],
    references: Sequence[Reference],
    expected: Sequence[Completion],
) -> Comparison:
    ends = [
        _answer(engine, replace(request, references=(reference,)))
        for request, reference in zip(requests, references, strict=True)
    ]
    return Comparison(
        name,
        len(ends),
        sum(_outcome(a) == _outcome(b) for a, b in zip(ends, expected, strict=True)),
        sum(end.usage.draft_tokens for end in ends),
        sum(end.usage.accepted_tokens for end in ends),
    )


def _outcome(completion: Completion) -> tuple[object, ...]:
    return completion.text, completion.token_ids, completion.finish_reason, completion.notices


def _answer(engine: TorchEngine, request: EngineRequest) -> Completion:
    end = list(engine.submit(request).events())[-1]
    if not isinstance(end, Completion):
        raise TypeError(end)
    return end


@contextmanager
def _all_checked() -> Iterator[None]:
    """Check every guess while the block lasts."""
    usual = loop.share_rows
    loop.share_rows = lambda chances, *_: [len(answer) for answer in chances]
    try:
        yield
    finally:
        loop.share_rows = usual


def main() -> None:
    """Print a Markdown table; fail if one answer differs."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, help="images of each kind")
    parser.add_argument("--numerics", nargs="+", default=["bf16"])
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    started, differs = time.monotonic(), False
    print("| arithmetic | reference | answers | equal | guesses checked | right |")
    print("|---|---|---:|---:|---:|---:|")
    for numerics in options.numerics:
        for one in compare(numerics, threads=options.threads, count=options.count):
            counts = (one.asked, one.equal, one.drafted, one.accepted)
            print(f"| {numerics} | {one.reference} | {' | '.join(map(str, counts))} |", flush=True)
            differs |= one.equal < one.asked
    print(f"\n{time.monotonic() - started:.0f} s")
    sys.exit(differs)


if __name__ == "__main__":
    main()
