"""Measures what a constraint costs in decoding: `python -m bench.engine.constrained [FOLDER]`."""

from __future__ import annotations

import argparse
import statistics
import time
from itertools import pairwise
from typing import Any

import torch

from bench.engine.measures import QUESTION
from shared.jobs import GenerationParams
from shared.settings import BUNDLED_MODEL, Settings
from worker.engine.api import Completion, Engine, EngineRequest, Failed, Message
from worker.engine.engine import TorchEngine, load_engine
from worker.engine.generation.constraint import Grammars

_ROW = {
    "type": "object",
    "properties": {"what": {"type": "string"}, "price": {"type": "number"}},
    "required": ["what", "price"],
    "additionalProperties": False,
}
#: No answer can end within the measured tokens.
CASES: dict[str, dict[str, Any]] = {
    "free": {},
    "digits, `[0-9 ]{500}`": {"regex": "[0-9 ]{500}"},
    "letters, `[A-Za-z ,.]{500}`": {"regex": "[A-Za-z ,.]{500}"},
    "JSON, a list of objects": {
        "response_format": {
            "type": "json_schema",
            "json_schema": {"schema": {"type": "array", "items": _ROW, "minItems": 500}},
        }
    },
    "JSON, a long string": {
        "response_format": {
            "type": "json_schema",
            "json_schema": {"schema": {"type": "string", "minLength": 9000}},
        }
    },
}


def tokens_per_s(
    engine: Engine, params: dict[str, Any], count: int, tokens: int
) -> tuple[float, tuple[int, ...]]:
    """Return the decoding rate of `count` equal requests together, and one answer's ids."""
    generation = GenerationParams(max_new_tokens=tokens, loop_guard=False, **params)
    requests = [
        EngineRequest(f"{n}", (Message("user", f"{n} {QUESTION}"),), generation)
        for n in range(count)
    ]
    ends = [list(ticket.events())[-1] for ticket in map(engine.submit, requests)]
    rates = []
    for end in ends:
        if isinstance(end, Failed):
            raise end.error
        if isinstance(end, Completion):
            rates.append((end.usage.completion_tokens - 1) / end.timings.decode_s)
    return sum(rates), ends[0].token_ids if isinstance(ends[0], Completion) else ()


def constraint_ms(engine: TorchEngine, params: dict[str, Any], ids: tuple[int, ...]) -> list[float]:
    """Return the milliseconds to compile a constraint, and mean and worst of a token.

    Measured without a model; in an answer most of this time overlaps with the model's.
    """
    model = engine.model
    grammars = Grammars(model.chat.backend, model.shape.text.vocab, model.shape.end_tokens)
    grammars.make_constraint(GenerationParams(regex="a"))
    logits = torch.zeros(model.shape.text.vocab)
    marks = [time.perf_counter()]
    constraint = grammars.make_constraint(GenerationParams(**params))
    if constraint is None:
        raise ValueError("nothing is constrained")
    constraint.mask_logits(logits)
    marks.append(time.perf_counter())
    for token in ids:
        constraint.accept(token)
        constraint.mask_logits(logits)
        marks.append(time.perf_counter())
    grammars.close()
    compiling, *steps = [(after - before) * 1000 for before, after in pairwise(marks)]
    return [compiling, statistics.mean(steps), max(steps)]


def main() -> None:
    """Print one table: constrained against free, each pair one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?", default=BUNDLED_MODEL)
    parser.add_argument("--numerics", default="bf16", choices=("bf16", "int8", "int4", "fp32"))
    parser.add_argument("--tokens", type=int, default=33)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--counts", type=int, nargs="+", default=[1, 4])
    arguments = parser.parse_args()
    engine = load_engine(Settings(model=arguments.model, numerics=arguments.numerics))
    rates: dict[str, dict[int, list[float]]] = {c: {n: [] for n in arguments.counts} for c in CASES}
    ids: dict[str, tuple[int, ...]] = {}
    tokens_per_s(engine, {}, 1, arguments.tokens)
    for _ in range(arguments.rounds):
        for count in arguments.counts:
            for case, params in CASES.items():
                rate, ids[case] = tokens_per_s(engine, params, count, arguments.tokens)
                rates[case][count].append(rate)
    together = " | ".join(f"{n} together" for n in arguments.counts)
    print(f"| answer | compile, ms | a token alone, ms: mean | worst | {together} |")
    print("|---|---|---|---|" + "---|" * len(arguments.counts))
    for case, params in CASES.items():
        cells = [_rate_cell(rates[case][n], rates["free"][n]) for n in arguments.counts]
        milliseconds = constraint_ms(engine, params, ids[case]) if params else []
        shown = " | ".join(f"{ms:.2f}" for ms in milliseconds) or "– | – | –"
        print(f"| {case} | {shown} | " + " | ".join(cells) + " |")
    engine.close()


def _rate_cell(rates: list[float], free: list[float]) -> str:
    """Return the median rate, and the median change against the free answer of the same round."""
    change = statistics.median(r / f - 1 for r, f in zip(rates, free, strict=True))
    return f"{statistics.median(rates):.1f} tokens/s ({change:+.1%})"


if __name__ == "__main__":
    main()
