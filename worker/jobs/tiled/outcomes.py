"""What a tile leaves for the end of its long job, and what all of them come to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from shared.errors import ServiceError
from shared.jobs import FinishReason, TileInfo, TileOutcome, Usage
from worker.engine.api import Completion, Timings
from worker.tiling import Tile, merge, settle_pieces, unread_mark


def outcome_of(done: Completion, revision: str) -> TileOutcome:
    """Return what an answer about one tile leaves; `revision` is that of the model."""
    return TileOutcome(
        text=done.text,
        revision=revision,
        finish_reason=done.finish_reason,
        usage=done.usage,
        tokens=done.usage.completion_tokens,
        confidence=done.confidence,
        notices=done.notices,
        encode_s=done.timings.encode_s,
        prefill_s=done.timings.prefill_s,
        decode_s=done.timings.decode_s,
    )


def gap(error: ServiceError) -> TileOutcome:
    """Return what a tile leaves that could not be worked on."""
    return TileOutcome(gap=True, error=error.as_dict())


def taken_over(outcome: TileOutcome) -> TileOutcome:
    """Return what another job made, which costs this one nothing."""
    free = {"usage": Usage(), "encode_s": 0.0, "prefill_s": 0.0, "decode_s": 0.0}
    return outcome.model_copy(update=free | {"taken_over": True})


def joined(tiles: Sequence[TileInfo], outcomes: Sequence[TileOutcome]) -> Completion:
    """Return the texts of all tiles as one answer, with what they cost together."""
    texts = [_text(one) for one in outcomes]
    answer = Completion(
        merge(list(zip(_tiles(tiles), texts, strict=True)), unread_mark),
        _worst_reason(outcomes),
        Usage(),
        Timings(),
        confidence=_mean_confidence(outcomes),
    )
    return with_costs(answer, outcomes)


def seen_of(tiles: Sequence[TileInfo], outcomes: Sequence[TileOutcome]) -> tuple[str, ...]:
    """Return the ids of the tiles that a question is to look at: all, if all are blank."""
    readable = [tile for tile, one in zip(tiles, outcomes, strict=True) if not one.gap]
    return tuple(t.id for t in readable if not t.blank) or tuple(t.id for t in readable)


def pieces(tiles: Sequence[TileInfo], outcomes: Sequence[TileOutcome]) -> list[str]:
    """Return what each of the first tiles is sure to add to the joined text."""
    return settle_pieces(_tiles(tiles), [_text(one) for one in outcomes], unread_mark)


def _tiles(infos: Sequence[TileInfo]) -> list[Tile]:
    return [Tile(box=info.box, **info.seam) for info in infos]


def _text(outcome: TileOutcome) -> str | None:
    return None if outcome.gap else outcome.text


def with_costs(done: Completion, outcomes: Sequence[TileOutcome]) -> Completion:
    """Return an answer with the tokens and seconds of its tiles added to its own."""
    usages = [done.usage, *(one.usage for one in outcomes)]
    usage = Usage(**{name: sum(getattr(u, name) for u in usages) for name in Usage.model_fields})
    seconds: list[Timings | TileOutcome] = [done.timings, *outcomes]
    return replace(
        done,
        usage=usage,
        timings=Timings(
            encode_s=sum(one.encode_s for one in seconds),
            prefill_s=sum(one.prefill_s for one in seconds),
            decode_s=sum(one.decode_s for one in seconds),
        ),
    )


def _mean_confidence(outcomes: Sequence[TileOutcome]) -> float | None:
    """Return the geometric mean over all tokens; None where no tile told any."""
    told = [(one.confidence, one.tokens) for one in outcomes if one.confidence and one.tokens]
    tokens = sum(count for _, count in told)
    if not tokens:
        return None
    return math.exp(sum(count * math.log(mean) for mean, count in told) / tokens)


def _worst_reason(outcomes: Sequence[TileOutcome]) -> FinishReason:
    reasons = {one.finish_reason for one in outcomes}
    for reason in (FinishReason.LOOP, FinishReason.LENGTH):
        if reason in reasons:
            return reason
    return FinishReason.STOP
