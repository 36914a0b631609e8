"""Measures a cold question about a large picture with either attention of the tower, in turn.

OMP_WAIT_POLICY=passive python -m bench.cold.attention [--side 2048] [--rounds 2] [--threads 1]

The whole engine answers, in int8: scaling, tower, prompt and the first token. Only the picture's
attention differs: in products of int8 as the engine computes it, or in bfloat16 as it did before.
Without that variable threads that wait spin, and processor seconds count it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

from bench.cold.asking import Answer, ask_engine
from bench.engine.fullsize import default_folder, ensure_model
from shared.settings import Settings
from worker.engine.kernels.build import Kernels
from worker.engine.ops import choice

_NEW, _OLD = "int8", "bfloat16"


class Switch:
    """Takes the place of `attend_patches_int8` and computes in either way."""

    def __init__(self, kernels: Kernels) -> None:
        """Begin in int8."""
        self._ways = {_NEW: kernels.attend_patches_int8, _OLD: kernels.attend_patches}
        self.way = _NEW
        self.calls = 0

    def __call__(self, *arguments: Any) -> None:
        """Attend, see kernels.cpp."""
        self.calls += 1
        self._ways[self.way](*arguments)


def main() -> None:
    """Ask in turn and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--side", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--model", type=Path, default=default_folder())
    args = parser.parse_args()
    ensure_model(args.model)
    settings = Settings(
        model=str(args.model), numerics="int8", threads=args.threads, speculation=False
    )
    print(_table(args.side, _measure(settings, args.side, args.rounds)))


def _measure(settings: Settings, side: int, rounds: int) -> dict[str, list[Answer]]:
    from worker.engine.engine import load_engine

    kernels = choice.find_kernels(settings)
    if kernels is None:
        raise SystemExit("the compiled kernels do not work on this machine")
    switch = Switch(kernels)
    with (
        patch.object(kernels, "attend_patches_int8", switch),
        patch.object(choice, "find_kernels", lambda _: kernels),
    ):
        engine = load_engine(settings)
    answers: dict[str, list[Answer]] = {_NEW: [], _OLD: []}
    try:
        ask_engine(engine, 256, 0, 4)  # the first request is slower
        for number in range(rounds):
            for way in (_NEW, _OLD) if number % 2 == 0 else (_OLD, _NEW):
                switch.way = way
                answers[way].append(ask_engine(engine, side, len(answers[way]) + 1, 1))
                print(way, answers[way][-1], file=sys.stderr)
    finally:
        engine.close()
    if not switch.calls:
        raise SystemExit("the tower did not use the kernels")
    return answers


def _table(side: int, answers: dict[str, list[Answer]]) -> str:
    """Return a table in Markdown: medians, in brackets the share of the time in bfloat16."""
    lines = [f"| attention of {side}² | cold, processor s | by the wall | of it the tower |"]
    lines.append("|---" * 4 + "|")
    old = _medians(answers[_OLD])
    for way in (_OLD, _NEW):
        cells = [
            f"{s:.4g} ({s / before:.2f})"
            for s, before in zip(_medians(answers[way]), old, strict=True)
        ]
        lines.append(f"| {way} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _medians(answers: list[Answer]) -> tuple[float, float, float]:
    return (
        median(answer.cold.cpu for answer in answers),
        median(answer.cold.wall for answer in answers),
        median(answer.tower_wall for answer in answers),
    )


if __name__ == "__main__":
    main()
