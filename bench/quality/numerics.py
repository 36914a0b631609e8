"""Compares the answers of int4, int8, bfloat16 and float32.

`python -m bench.quality.numerics [--count N] [--more R]` prints it.

It asks the bundled model the first question about each image of its evaluation, or about N images
of each kind, in each arithmetic, and compares the answers, and the logits up to the first different
token. As so few answers are partly equal by chance, R more evaluations can be drawn.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import mean, median
from typing import Any

import torch

from bench.engine.probe import record_writers
from demo.evaluate import distance
from demo.tasks import SEED, TASKS, samples
from shared.jobs import GenerationParams
from shared.settings import Settings
from worker.engine.api import Completion, EngineRequest, ImageInput, Message
from worker.engine.engine import TorchEngine, load_engine

#: Settings of each arithmetic by name. The second bfloat16 differs from the first only in the order
#: of its sums: its different answers show how often the model is near a tie.
_ARITHMETICS: dict[str, dict[str, Any]] = {
    "fp32": {"numerics": "fp32"},
    "bf16": {"numerics": "bf16"},
    "bf16, other order of sums": {"numerics": "bf16", "native_kernels": False},
    "int8": {"numerics": "int8"},
    "int4": {"numerics": "int4"},
}
_PAIRS = (
    ("bf16", "fp32"),
    ("bf16, other order of sums", "bf16"),
    ("int8", "fp32"),
    ("int8", "bf16"),
    ("int4", "fp32"),
    ("int4", "bf16"),
)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer and the logits of its tokens."""

    text: str
    tokens: tuple[int, ...]
    #: (tokens, vocab) that they were chosen from; one more row if the answer ended by itself.
    logits: torch.Tensor


def main() -> None:
    """Print how right each arithmetic is, how alike they are, and how far their logits differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, help="images of each kind")
    parser.add_argument("--more", type=int, default=0, help="additional evaluations")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    args = parser.parse_args()
    seeds = [SEED, *(f"{SEED} {number}" for number in range(2, args.more + 2))]
    rounds = [list(_requests(args.count, seed)) for seed in seeds]
    kinds, truths, requests = zip(*(one for part in rounds for one in part), strict=True)
    answers: dict[str, list[Answer]] = {}
    for name, settings in _ARITHMETICS.items():
        engine = load_engine(Settings(threads=args.threads, **settings))
        revision = engine.info.revision
        try:
            answers[name] = answer_all(engine, requests)
        finally:
            engine.close()
    print(f"Revision {revision}, {len(truths)} questions.\n")
    print("| arithmetic | right | character errors |\n|---|---|---|")
    for name, read in answers.items():
        print(_quality(name, read, truths))
    print(
        "\n| | equal | of right ones | characters that differ | logits differ: mean | largest |"
        " lead where they part: median | largest |\n|---|---|---|---|---|---|---|---|"
    )
    for ours, theirs in _PAIRS:
        print(_likeness(f"{ours} against {theirs}", answers[ours], answers[theirs], truths))
    print(_by_kind(kinds, answers, truths))
    if args.more:
        print("\n| | equal in each evaluation |\n|---|---|")
        for ours, theirs in _PAIRS:
            shares = _shares(answers[ours], answers[theirs], len(rounds[0]))
            print(f"| {ours} against {theirs} | {', '.join(f'{one:.1%}' for one in shares)} |")


def _requests(count: int | None, seed: str) -> Iterator[tuple[str, str, EngineRequest]]:
    """Yield kinds, true answers and first questions."""
    for task in TASKS:
        for number, sample in enumerate(samples(task, count or task.counts[0], seed=seed)):
            shown = tuple(
                ImageInput(f"img_{seed}_{task.name}_{number}_{at}", picture, 1 << 20)
                for at, picture in enumerate(sample.shown())
            )
            turn = sample.turns[0]
            params = GenerationParams(max_new_tokens=len(turn.answer.encode()) + 24)
            message = Message("user", turn.question, shown)
            yield task.name, turn.answer, EngineRequest("bench", (message,), params)


def answer_all(engine: TorchEngine, requests: Sequence[EngineRequest]) -> list[Answer]:
    """Ask everything at once; the answers come in the order of the requests."""
    with record_writers(logits=True) as writers:
        tickets = [engine.submit(request) for request in requests]
    ends = [list(ticket.events())[-1] for ticket in tickets]
    return [
        Answer(end.text, end.token_ids, torch.stack(writer.logits))
        for end, writer in zip(ends, writers, strict=True)
        if isinstance(end, Completion)
    ]


def _quality(name: str, answers: Sequence[Answer], truths: Sequence[str]) -> str:
    right = sum(one.text == truth for one, truth in zip(answers, truths, strict=True))
    errors = _edits(answers, truths)
    return f"| {name} | {right / len(truths):.1%} | {errors:.2%} |"


def _likeness(
    name: str, ours: Sequence[Answer], theirs: Sequence[Answer], truths: Sequence[str]
) -> str:
    pairs = list(zip(ours, theirs, strict=True))
    same = [a.text == b.text for a, b in pairs]
    where_right = [s for s, b, t in zip(same, theirs, truths, strict=True) if b.text == t]
    off, leads = [], []
    for a, b in pairs:
        common, lead = _common(a, b)
        off.append((a.logits[:common] - b.logits[:common]).abs().flatten())
        leads += [] if lead is None else [lead]
    every = torch.cat(off)
    cells = (
        f"{sum(same) / len(same):.1%}",
        f"{sum(where_right)} of {len(where_right)}",
        f"{_edits(ours, [b.text for b in theirs]):.2%}",
        f"{every.mean():.3f}",
        f"{every.max():.2f}",
        f"{median(leads):.2f}" if leads else "–",
        f"{max(leads):.2f}" if leads else "–",
    )
    return f"| {name} | " + " | ".join(cells) + " |"


def _by_kind(kinds: Sequence[str], answers: dict[str, list[Answer]], truths: Sequence[str]) -> str:
    """Return a table of equal answers of each pair by kind of question; longer ones differ more."""
    pairs = " | ".join(map(" against ".join, _PAIRS))
    lines = [
        f"\n| kind | questions | characters each | {pairs} |",
        "|---|---|---|" + "---|" * len(_PAIRS),
    ]
    for kind in dict.fromkeys(kinds):
        places = [place for place, one in enumerate(kinds) if one == kind]
        cells = [str(len(places)), str(round(mean(len(truths[place]) for place in places)))]
        for ours, theirs in _PAIRS:
            same = sum(answers[ours][at].text == answers[theirs][at].text for at in places)
            cells.append(str(same))
        lines.append(f"| {kind} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _shares(ours: Sequence[Answer], theirs: Sequence[Answer], size: int) -> list[float]:
    """Return the share of equal answers in each part of `size`."""
    same = [a.text == b.text for a, b in zip(ours, theirs, strict=True)]
    return [sum(same[start : start + size]) / size for start in range(0, len(same), size)]


def _common(ours: Answer, theirs: Answer) -> tuple[int, float | None]:
    """Return the tokens up to the first different one, and its lead in `theirs`; None if equal."""
    rows = min(len(ours.logits), len(theirs.logits))
    chosen = [one.logits[:rows].argmax(1) for one in (ours, theirs)]
    apart = (chosen[0] != chosen[1]).nonzero().flatten().tolist()
    if not apart:
        return rows, None
    at = apart[0]
    row = theirs.logits[at]
    return at + 1, float(row.max() - row[chosen[0][at]])


def _edits(answers: Sequence[Answer], wanted: Sequence[str]) -> float:
    """Return the share of the wanted characters that would have to change."""
    edits = sum(distance(one.text, other) for one, other in zip(answers, wanted, strict=True))
    return edits / sum(map(len, wanted))


if __name__ == "__main__":
    main()
