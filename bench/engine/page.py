"""Measures how fast a page is read with a reference text, more or less of which is right.

python -m bench.engine.page                      a page of 600 tokens, some minutes
python -m bench.engine.page --tokens 160         a shorter one

Random weights read nothing: what the model answers without a reference is the reference, and a
share of its tokens is replaced. Ratios are of the process's CPU seconds, which other programs on
the machine disturb less than the clock on the wall; both are printed.
"""

from __future__ import annotations

import argparse
import os
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.engine.fullsize import default_folder, ensure_model
from bench.engine.measures import picture
from shared.jobs import GenerationParams
from shared.settings import Settings
from worker.engine.api import Completion, EngineRequest, Failed, ImageInput, Message, Ticket
from worker.engine.engine import TorchEngine, load_engine

#: Shares of the reference's tokens that are replaced.
SPOILT = (0.0, 0.02, 0.1, 0.4, 1.0)
_TOGETHER, _TOGETHER_SPOILT = 4, 0.1
#: Ids of the byte tokenizer, which the answers hardly use.
_OTHER_IDS = 256


@dataclass(frozen=True, slots=True)
class Spent:
    """CPU seconds of the process, and seconds on the wall."""

    cpu_s: float
    wall_s: float


class PageBench:
    """Measures one engine; every answer must be that without a reference."""

    def __init__(self, engine: TorchEngine, *, tokens: int, side: int) -> None:
        self._engine = engine
        # equal words would be guessed from the answer itself
        self._params = GenerationParams(
            max_new_tokens=tokens, presence_penalty=2.0, loop_guard=False
        )
        self._side = side

    def run(self) -> None:
        """Print a Markdown table, row by row."""
        self._ask([self._page(99, tokens=2)])
        first, _ = self._ask([self._page(0, tokens=1)])
        off, plain = self._ask([self._page(0)], speculation=False)
        print("\n".join([*_HEAD, _row("off", off, off, first, plain[0])]), flush=True)
        for share in SPOILT:
            spent, done = self._ask([self._page(0, _spoil(plain[0].token_ids, share))])
            _check(plain, done)
            print(_row(f"{share:.0%} spoilt", spent, off, first, done[0]), flush=True)
        print(f"\n{self._measure_together()}")

    def _measure_together(self) -> str:
        pages = range(1, _TOGETHER + 1)
        starts, _ = self._ask([self._page(n, tokens=1) for n in pages])
        off, plain = self._ask([self._page(n) for n in pages], speculation=False)
        spoilt = [_spoil(one.token_ids, _TOGETHER_SPOILT) for one in plain]
        spent, done = self._ask([self._page(n, spoilt[n - 1]) for n in pages])
        _check(plain, done)
        ratio = (starts.cpu_s + off.cpu_s) / (starts.cpu_s + spent.cpu_s)
        return (
            f"{_TOGETHER} pages at once, {_TOGETHER_SPOILT:.0%} spoilt: {ratio:.2f}× the pages in"
            f" the same time; the answers alone {off.cpu_s / spent.cpu_s:.2f}×"
        )

    def _page(
        self, number: int, reference: tuple[int, ...] = (), *, tokens: int = 0
    ) -> EngineRequest:
        """Return a request about a page, whose keys and values are kept from the first time on."""
        image = ImageInput(f"img_{number}", picture(self._side, number), 1 << 24)
        params = self._params.model_copy(update={"max_new_tokens": tokens} if tokens else {})
        return EngineRequest(
            id="bench",
            messages=(Message("user", "Read the page.", (image,)),),
            params=params,
            scope=f"page-{number}",
            feature_scope="bench",
            references=(reference,) if reference else (),
        )

    def _ask(
        self, requests: Sequence[EngineRequest], *, speculation: bool = True
    ) -> tuple[Spent, list[Completion]]:
        self._engine._speculation = speculation  # noqa: SLF001 - one engine for both
        wall, cpu = time.monotonic(), time.process_time()
        done = [_end(ticket) for ticket in [self._engine.submit(one) for one in requests]]
        return Spent(time.process_time() - cpu, time.monotonic() - wall), done


_HEAD = (
    "| reference | checked | right | answer: CPU s | wall s | of off | whole page of off |",
    "|---|---|---|---|---|---|---|",
)


def _row(name: str, spent: Spent, off: Spent, first: Spent, done: Completion) -> str:
    usage = done.usage
    whole = (first.cpu_s + spent.cpu_s) / (first.cpu_s + off.cpu_s)
    return (
        f"| {name} | {usage.draft_tokens} | {usage.accepted_tokens} | {spent.cpu_s:.1f} |"
        f" {spent.wall_s:.1f} | {spent.cpu_s / off.cpu_s:.2f}× | {whole:.2f}× |"
    )


def _spoil(tokens: Sequence[int], share: float) -> tuple[int, ...]:
    draw = random.Random(0)
    return tuple(draw.randrange(_OTHER_IDS) if draw.random() < share else token for token in tokens)


def _check(expected: Sequence[Completion], done: Sequence[Completion]) -> None:
    """Raise AssertionError where a reference has changed an answer."""
    if [one.token_ids for one in expected] != [one.token_ids for one in done]:
        raise AssertionError("a reference has changed an answer")


def _end(ticket: Ticket) -> Completion:
    last = list(ticket.events())[-1]
    if isinstance(last, Failed):
        raise last.error
    if not isinstance(last, Completion):
        raise TypeError(last)
    return last


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", type=Path, default=default_folder())
    parser.add_argument("--numerics", default="int8")
    parser.add_argument("--tokens", type=int, default=600)
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    args = parser.parse_args()
    settings = Settings(
        model=str(ensure_model(args.model)), numerics=args.numerics, threads=args.threads
    )
    engine = load_engine(settings)
    try:
        print(
            f"{engine.info.arithmetic}, {args.threads} threads, {args.side}², {args.tokens} tokens"
        )
        PageBench(engine, tokens=args.tokens, side=args.side).run()
    finally:
        engine.close()


if __name__ == "__main__":
    main()
