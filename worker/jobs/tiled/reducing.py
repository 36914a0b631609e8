"""Makes one answer of what the parts of a long image or document answered to a question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from shared.jobs import Notice, TileOutcome, Turn
from shared.store.jobs.tile_store import tiles_percent
from worker.engine.api import ModelInfo
from worker.jobs.claimed_job import ClaimedJob
from worker.jobs.progress import PartsDone
from worker.jobs.questions import TEMPLATE_TOKENS, answer_room
from worker.jobs.results import EngineAnswer
from worker.jobs.tiled import prompts
from worker.jobs.tiled.outcomes import add_costs
from worker.jobs.tiled.prompts import IMAGE, Wording

#: Percent of a job that asks each part by itself that are done when its parts are.
_APART_PERCENT = tiles_percent(together=False, reads=False)


@dataclass(frozen=True, slots=True)
class ReducedAnswer:
    """An answer, and the places from 0 of the parts that it rests on."""

    answer: EngineAnswer
    evidence: frozenset[int]


def reduce_answers(
    job: ClaimedJob,
    info: ModelInfo,
    outcomes: Sequence[TileOutcome],
    wording: Wording = IMAGE,
    numbers: Sequence[int] | None = None,
) -> ReducedAnswer:
    """Ask for one answer from the answers of the parts, whose `numbers` count from 1 by default.

    Raises ServiceErrors, LeaseLost and JobReleased.
    """
    row = job.row
    # no tokenizer makes more tokens than bytes
    most_bytes = info.context_tokens - TEMPLATE_TOKENS - answer_room(row.input, info)
    reduction = prompts.build_reduction_prompt(
        row.input.prompt, outcomes, most_bytes, wording, numbers
    )
    prompt = {"images": (), "image_places": (), "prompt": reduction.prompt}
    question = job.build_question(row.input.model_copy(update=prompt))
    # the conversation keeps the caller's prompt and not this one
    history = [_without_images(turn) for turn in question.history]
    answer = job.run_engine(
        replace(question, scope="", history=history),
        parts=PartsDone(wording.unit, len(outcomes)),
        percent=_APART_PERCENT,
        silent=True,
    )
    final = prompts.read_evidence(answer.completion.text, outcomes, wording, numbers)
    completion = replace(answer.completion, text=final.text, token_ids=())
    left_out = _left_out_notices(reduction.left_out, len(outcomes), wording)
    reduced = EngineAnswer(
        add_costs(completion, outcomes), answer.used_images, (*answer.notices, *left_out)
    )
    return ReducedAnswer(reduced, final.evidence)


def _without_images(turn: Turn) -> Turn:
    return turn.model_copy(update={"images": (), "image_places": (), "tiles": (), "parts": ()})


def _left_out_notices(left_out: int, count: int, wording: Wording) -> list[Notice]:
    if not left_out:
        return []
    detail = f"The answers of {left_out} of {count} {wording.label}s did not fit the prompt."
    return [Notice(code="parts_left_out", detail=detail)]
