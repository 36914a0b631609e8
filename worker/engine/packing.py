"""Packs the next tokens of many sequences into the batch of one forward pass."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch

from worker.engine.batch import Batch, Segment
from worker.engine.sequence import Sequence

#: A sequence and how many prompt tokens it brings; 0 for its last generated token and its draft.
Row = tuple[Sequence, int]


def pack_batch(rows: Iterable[Row]) -> Batch:
    """Lay the next tokens of sequences one after another, one segment each."""
    ids, positions, segments = [], [], []
    visual_rows: list[torch.Tensor] = []
    features: list[torch.Tensor] = []
    first = 0
    for sequence, prefill_tokens in rows:
        next_ids, next_positions = sequence.next_input(prefill_tokens)
        ids.append(np.asarray(next_ids))
        positions.append(next_positions)
        scored = 1 if prefill_tokens else len(next_ids)
        segment = Segment(sequence.buffer, first, len(next_ids), scored)
        segments.append(segment)
        first += len(next_ids)
        if prefill_tokens:
            for part_rows, part in _visual_parts(sequence, segment):
                visual_rows.append(part_rows)
                features.append(part)
    return Batch(
        ids=torch.from_numpy(np.concatenate(ids)),
        positions=torch.from_numpy(np.concatenate(positions, 1)),
        segments=tuple(segments),
        visual_rows=torch.cat(visual_rows) if features else None,
        features=torch.cat(features, 1) if features else None,
    )


def _visual_parts(
    sequence: Sequence, segment: Segment
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield (n,) rows of the batch and the (1 + maps, n, hidden) features that belong there."""
    for image in sequence.images:
        start = max(image.span.start, segment.past)
        end = min(image.span.end, segment.total)
        if start < end and image.features is not None:
            shift = segment.first - segment.past
            part = image.features[:, start - image.span.start : end - image.span.start]
            yield torch.arange(start + shift, end + shift), part
