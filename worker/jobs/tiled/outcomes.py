"""The outcomes of tiles: made from one answer or error, and added up for the merge."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from shared.errors import ServiceError
from shared.jobs import FinishReason, ImageOutput, TileInfo, TileOutcome, Usage
from shared.jobs.row import JobRow
from worker.engine.api import Completion, Timings
from worker.tiling import Tile, merge, settle_pieces, unread_mark

AnyOutcome = TypeVar("AnyOutcome", bound=TileOutcome)


def make_outcome(completion: Completion, revision: str) -> TileOutcome:
    """Return the outcome of a tile that was answered; `revision` is that of the model."""
    return TileOutcome(
        text=completion.text,
        revision=revision,
        finish_reason=completion.finish_reason,
        usage=completion.usage,
        tokens=completion.usage.answer_tokens,
        confidence=completion.confidence,
        notices=completion.notices,
        encode_s=completion.timings.encode_s,
        prefill_s=completion.timings.prefill_s,
        decode_s=completion.timings.decode_s,
    )


def make_gap(error: ServiceError) -> TileOutcome:
    """Return the outcome of a tile that failed."""
    return TileOutcome(gap=True, error=error.as_dict())


def reuse_outcome(outcome: AnyOutcome) -> AnyOutcome:
    """Return another job's outcome, which costs this one nothing."""
    free = {"usage": Usage(), "encode_s": 0.0, "prefill_s": 0.0, "decode_s": 0.0}
    return outcome.model_copy(update=free | {"taken_over": True})


def join_outcomes(tiles: Sequence[TileInfo], outcomes: Sequence[TileOutcome]) -> Completion:
    """Return the texts of all tiles as one answer, with what they cost together."""
    texts = [_text(one) for one in outcomes]
    completion = Completion(
        merge(list(zip(_tiles(tiles), texts, strict=True)), unread_mark),
        worst_reason(outcomes),
        Usage(),
        Timings(),
        confidence=mean_confidence(outcomes),
    )
    return add_costs(completion, outcomes)


def join_second_texts(row: JobRow, outcomes: Sequence[TileOutcome]) -> str | None:
    """Return the second reader's texts of all tiles as one; None where only one has read."""
    if row.input.reader != "both":
        return None
    texts = [None if one.gap else one.second_text for one in outcomes]
    return merge(list(zip(_tiles(row.tiles), texts, strict=True)), unread_mark)


def join_by_image(
    tiles: Sequence[TileInfo], outcomes: Sequence[TileOutcome]
) -> tuple[ImageOutput, ...]:
    """Return the text of each image that the tiles are part of, in order."""
    parts = dict[int, list[tuple[Tile, TileOutcome]]]()
    for tile, outcome in zip(_tiles(tiles), outcomes, strict=True):
        parts.setdefault(tile.image, []).append((tile, outcome))
    return tuple(
        ImageOutput(
            image=image,
            text=merge([(tile, _text(outcome)) for tile, outcome in own], unread_mark),
            gap=any(outcome.gap for _, outcome in own),
        )
        for image, own in sorted(parts.items())
    )


def ids_to_view(tiles: Sequence[TileInfo], outcomes: Sequence[TileOutcome]) -> tuple[str, ...]:
    """Return the image ids of the tiles to show to the model; blank ones only if all are blank."""
    readable = [tile for tile, one in zip(tiles, outcomes, strict=True) if not one.gap]
    return tuple(t.id for t in readable if not t.blank) or tuple(t.id for t in readable)


def settled_pieces(tiles: Sequence[TileInfo], outcomes: Sequence[TileOutcome]) -> list[str]:
    """Return what each of the first tiles adds to the joined text, as far as that is settled."""
    return settle_pieces(_tiles(tiles), [_text(one) for one in outcomes], unread_mark)


def _tiles(infos: Sequence[TileInfo]) -> list[Tile]:
    return [Tile(**info.placed) for info in infos]


def _text(outcome: TileOutcome) -> str | None:
    return None if outcome.gap else outcome.text


def add_costs(completion: Completion, outcomes: Sequence[TileOutcome]) -> Completion:
    """Return an answer with the tokens and seconds of its tiles added to its own."""
    usage = Usage.total([completion.usage, *(one.usage for one in outcomes)])
    seconds: list[Timings | TileOutcome] = [completion.timings, *outcomes]
    return replace(
        completion,
        usage=usage,
        timings=Timings(
            encode_s=sum(one.encode_s for one in seconds),
            prefill_s=sum(one.prefill_s for one in seconds),
            decode_s=sum(one.decode_s for one in seconds),
        ),
    )


def add_drafts(completion: Completion, drafts: Usage) -> Completion:
    """Return an answer with the guesses counted that its tiles' outcomes do not tell of."""
    return replace(completion, usage=Usage.total([completion.usage, drafts]))


def mean_confidence(outcomes: Sequence[TileOutcome]) -> float | None:
    """Return the geometric mean over all tokens; None where no tile has any."""
    known = [(one.confidence, one.tokens) for one in outcomes if one.confidence and one.tokens]
    tokens = sum(count for _, count in known)
    if not tokens:
        return None
    return math.exp(sum(count * math.log(mean) for mean, count in known) / tokens)


def worst_reason(outcomes: Sequence[TileOutcome]) -> FinishReason:
    """Return why their answers ended, the worst reason of all."""
    reasons = {one.finish_reason for one in outcomes}
    for reason in (FinishReason.LOOP, FinishReason.LENGTH):
        if reason in reasons:
            return reason
    return FinishReason.STOP
