"""Reads what running, waiting and held work still asks, from the replies of the store's scripts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from shared.jobs import Stage
from shared.prediction.workload import Demand, HeldParts, RunningJob, WaitingJob

#: Percent of a tile, of which a worker predicts nothing, that its input counts for.
_INPUT_PERCENT = 60
#: Percent of a job that is done when its answer is written: 100 is for its end.
_DONE_PERCENT = 99


def read_running(reply: Sequence[Any]) -> RunningJob:
    """Return a running job of held_jobs.lua."""
    busy_ms, since_ms, demand, worker, is_tile, progress, predicted = reply
    asked = Demand.parse(demand)
    left = asked
    if asked and not asked.parts:
        done = _done_of_tile(asked, progress) if is_tile else _done(progress, predicted)
        left = asked.after(*done)
    return RunningJob(
        busy_s=int(busy_ms) / 1000,
        elapsed_s=int(since_ms) / 1000,
        left=left,
        worker=worker,
        tile=bool(is_tile),
    )


def read_waiting(reply: Sequence[Any]) -> WaitingJob:
    """Return a waiting job of held_jobs.lua."""
    demand, is_tile = reply
    return WaitingJob(Demand.parse(demand), bool(is_tile))


def read_held(reply: Sequence[Any]) -> HeldParts | None:
    """Return a long job of held_tiles.lua; None if nothing is known or left of it."""
    count, _, demand = reply
    part = Demand.parse(demand)
    return HeldParts(int(count), part) if part and count else None


def _done_of_tile(asked: Demand, percent: str) -> tuple[float, float]:
    """Return the share of its input and the steps that a tile has done."""
    done = float(percent or 0)
    written = max(0.0, done - _INPUT_PERCENT) / (_DONE_PERCENT - _INPUT_PERCENT)
    return done / _INPUT_PERCENT, written * asked.steps


def _done(progress: str, predicted: str) -> tuple[float, float]:
    """Return the share of its input and the steps that a job has done, as it reported."""
    state = json.loads(progress) if progress else {}
    seconds = json.loads(predicted) if predicted else {}
    if state.get("stage") == Stage.DECODE:
        return 1.0, float(state.get("output_tokens") or 0)
    input_s = (seconds.get("encode_s") or 0.0) + (seconds.get("prefill_s") or 0.0)
    if not input_s:
        return 0.0, 0.0
    whole_s = input_s + (seconds.get("decode_s") or 0.0)
    return (state.get("percent") or 0) / _DONE_PERCENT * whole_s / input_s, 0.0
