"""What the evaluation asks: kinds of new drawings, their sizes and numbers, and the measures."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from demo.data import (
    bills,
    columns,
    documents,
    pages,
    pairs,
    scenes,
    shapes,
    tables,
    talks,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from demo.data.scenes import Sample

#: All samples.
ALL = range(sys.maxsize)
#: Never "tower" or "reader", the seeds of the training.
SEED = "evaluation"


@dataclass(slots=True)
class Task:
    """A kind of sample, the sizes of its images in units of 32 pixels, and its measure."""

    name: str
    draw: Callable[[Random, int, int], Sample]
    widths: tuple[int, int]
    heights: tuple[int, int]
    #: Images in the full and in the short form.
    counts: tuple[int, int]
    measure: str = "errors"


TASKS = (
    Task("single lines", scenes.block, (3, 12), (1, 1), (120, 12)),
    Task("blocks", scenes.block, (4, 13), (2, 6), (120, 8)),
    Task("pages", scenes.block, (16, 32), (16, 32), (12, 0)),
    Task("documents", documents.document, (12, 22), (8, 20), (30, 2)),
    Task("receipts", tables.receipt, (6, 13), (4, 8), (40, 3)),
    Task("tables", tables.table, (5, 13), (3, 7), (40, 3), "cells"),
    Task("hidden characters", scenes.covered, (4, 12), (1, 4), (60, 4), "marks"),
    Task("shapes", shapes.scene, (4, 10), (3, 8), (200, 14), "shapes"),
    Task("questions about lines", talks.about_text, (4, 12), (2, 5), (40, 3), "exact"),
    Task("large type", scenes.large_print, (6, 24), (2, 8), (60, 2)),
    Task("amounts, addresses, names", scenes.everyday, (4, 13), (2, 6), (80, 2)),
    Task("slides", documents.slide, (16, 30), (10, 18), (20, 0)),
    Task("till receipts", bills.receipt, (7, 13), (8, 18), (30, 0)),
    Task("forms", bills.form, (8, 18), (6, 16), (30, 0)),
    Task("tables, most without rules", columns.table, (10, 24), (4, 12), (40, 0)),
    Task("dense pages", pages.dense, (20, 32), (16, 32), (8, 0)),
    Task("pages of repeated words", pages.repeated, (20, 32), (16, 32), (8, 0)),
    Task("logs", pages.log, (20, 32), (12, 24), (8, 0)),
    Task("two images: text", pairs.texts, (4, 13), (1, 3), (60, 2), "exact"),
    Task("two images: shapes", pairs.scenes, (4, 10), (3, 7), (60, 2), "exact"),
)


def samples(task: Task, count: int, share: range = ALL, seed: str = SEED) -> Iterator[Sample]:
    """Draw so many samples of a task, those whose numbers are in `share`."""
    for number in range(count)[share.start :: share.step]:
        rng = Random(f"{seed}:{task.name}:{number}")
        yield task.draw(rng, 32 * rng.randint(*task.widths), 32 * rng.randint(*task.heights))
