"""Batches of drawn samples as tensors; seed and number determine each."""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

import numpy as np
import torch

from demo.data import (
    bills,
    columns,
    documents,
    pages,
    pairs,
    prompts,
    scenes,
    shapes,
    tables,
    talks,
)
from demo.training import labels
from demo.training.rows import Rows, Tensors, build_row, collate

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from demo.data.scenes import Sample

    #: Draws a sample whose pictures have a width and a height in pixels.
    Kind = Callable[[Random, int, int], Sample]


@dataclass(slots=True)
class Images(Tensors):
    """Pictures of one size in patches: pixels (images, patches, 768) in 0…255, labels per patch."""

    pixels: Tensor
    marks: Tensor
    height: int
    width: int

    def values(self) -> Tensor:
        """Pixels in -1…1, as the tower takes them."""
        return self.pixels.float().div_(127.5).sub_(1)


def patchify(samples: list[Sample]) -> Tensor:
    """(images, patches, 768) uint8 in the tower's order, channels first within a patch."""
    stack = np.stack([np.asarray(sample.image) for sample in samples])
    count, height, width, _ = stack.shape
    side, step = labels.PATCH, labels.MERGE
    blocks = stack.reshape(
        count, height // side // step, step, side, width // side // step, step, side, 3
    )
    ordered = blocks.transpose(0, 1, 4, 2, 5, 7, 3, 6)
    return torch.from_numpy(np.ascontiguousarray(ordered).reshape(count, -1, 3 * side * side))


def build_images(samples: list[Sample]) -> Images:
    """Return all pictures of samples of one kind, those of a sample behind each other."""
    first, pictures = samples[0].image, samples[0].pictures
    marks = torch.from_numpy(np.stack([labels.patch_labels(sample) for sample in samples]))
    height, width = first.height // labels.PATCH // pictures, first.width // labels.PATCH
    return Images(
        patchify(samples).reshape(-1, height * width, 3 * labels.PATCH**2),
        marks.reshape(-1, height * width, labels.WIDTH),
        height,
        width,
    )


#: Cost of a batch for one CPU, million multiplications.
BUDGET = 26_000

#: Kinds of images for the tower alone, with their weights.
TOWER_MIX = {
    scenes.block: 30,
    scenes.small_print: 22,
    scenes.everyday: 18,
    scenes.large_print: 14,
    shapes.scene: 18,
    documents.document: 10,
    tables.table: 5,
    scenes.covered: 6,
    pages.page: 6,
    bills.paper: 6,
}
#: Those that need room.
_SPACIOUS = (
    shapes.scene,
    tables.table,
    documents.document,
    scenes.large_print,
    pages.page,
    bills.paper,
)


def tower_batch(seed: int, number: int, patches: int = 6000) -> Images:
    """Images for the tower alone: dense text of every size, and shapes."""
    rng = Random(f"tower:{seed}:{number}")
    kind = rng.choices(list(TOWER_MIX), list(TOWER_MIX.values()))[0]
    width, height = 16 * rng.randint(5, 26), 16 * rng.choice([2, 2, 3, 4, 4, 5, 6, 8, 10])
    if kind in _SPACIOUS:
        width, height = 16 * rng.randint(10, 20), 16 * rng.randint(6, 14)
    if rng.random() < 0.04:
        width, height = 16 * rng.randint(24, 52), 16 * rng.randint(24, 52)
    count = max(1, patches // (width * height // labels.PATCH**2))
    return build_images([kind(rng, width, height) for _ in range(count)])


#: Kinds of conversations for the reader, with their weights.
MIX = {
    scenes.block: 20,
    scenes.small_print: 15,
    scenes.everyday: 18,
    scenes.large_print: 14,
    scenes.covered: 6,
    documents.document: 12,
    documents.slide: 4,
    tables.table: 6,
    tables.receipt: 3,
    columns.table: 10,
    bills.paper: 12,
    pages.page: 8,
    shapes.scene: 30,
    talks.about_text: 7,
    pairs.texts: 10,
    pairs.scenes: 8,
}
#: Kinds of large pages, with their weights.
PAGES = {
    scenes.block: 30,
    scenes.small_print: 10,
    scenes.large_print: 5,
    documents.document: 12,
    tables.receipt: 3,
    columns.table: 5,
    bills.paper: 8,
    pages.page: 40,
    talks.about_text: 4,
}
#: Kinds with sizes of their own: least and greatest width and height in patches.
SIZES = {
    documents.document: (12, 40, 8, 28),
    documents.slide: (24, 60, 16, 28),
    tables.table: (10, 28, 6, 16),
    tables.receipt: (10, 28, 6, 16),
    columns.table: (14, 48, 5, 24),
    bills.paper: (11, 34, 10, 40),
    pages.page: (20, 56, 10, 28),
    scenes.large_print: (8, 56, 4, 24),
    pairs.texts: (5, 26, 2, 8),
    pairs.scenes: (8, 20, 6, 14),
}

PAIRS = (pairs.texts, pairs.scenes)
#: Kinds whose answers depend on how they are asked, or that are not asked to be read.
FIXED = (shapes.scene, pairs.scenes, columns.table)


def draw_size(rng: Random, kind: Kind, largest: int) -> tuple[int, int]:
    """Width and height in pixels of all but large pages: lines, blocks, strips, scenes."""
    if kind is shapes.scene:
        large = rng.random() < 0.12
        return 16 * rng.randint(8, 40 if large else 20), 16 * rng.randint(6, 30 if large else 16)
    if kind in SIZES:
        narrow, wide, low, tall = SIZES[kind]
        return 16 * rng.randint(narrow, wide), 16 * rng.randint(low, tall)
    area = 2 ** rng.uniform(3.5, math.log2(largest))
    width = round(2 ** rng.uniform(2.3, 6))
    return 16 * width, 16 * max(2, min(64, round(area / width)))


def draw_page_size(rng: Random, kind: Kind) -> tuple[int, int]:
    """Width and height in pixels of a page, of up to a megapixel."""
    side = rng.choice([24, 32, 40, 48, 64, 64])
    least = max(16, side * 2 // 3) if kind is pages.page else 16
    return 16 * rng.randint(least, side), 16 * rng.randint(least, side)


def estimate_cost(area: int, question: int) -> float:
    """Million multiplications of a sample: an image of `area` tokens, `question` bytes beside it.

    Attention grows with the square; small print has about a byte a token.
    """
    text = 60 + question + 0.7 * area
    tower = area * (3.2 + 0.002 * area)
    return tower + (area + text) * (4.6 + 0.0013 * (area + text))


def replace_by_instructions(rng: Random, samples: list[Sample]) -> None:
    """Replace the short requests to read by strict instructions, which are long."""
    for sample in samples:
        for turn in sample.turns:
            if turn.question in prompts.READ:
                turn.question = prompts.instructions(rng)


def reader_batch(
    seed: int,
    number: int,
    *,
    page: bool = False,
    largest: int = 360,
    budget: float = BUDGET,
    parts: int = 2,
) -> tuple[Images, list[Rows]]:
    """Conversations of one kind about images of one size, of about `budget` cost together.

    They are about a `page`, or about blocks of up to `largest` tokens. The rows come sorted by
    length and in so many parts, so that little of them is padding.
    """
    rng = Random(f"reader:{seed}:{number}")
    kind = rng.choices(list(PAGES if page else MIX), list((PAGES if page else MIX).values()))[0]
    width, height = draw_page_size(rng, kind) if page else draw_size(rng, kind, largest)
    pictures = 2 if kind in PAIRS else 1
    area = pictures * width * height // labels.TOKEN**2
    strict = kind not in FIXED and rng.random() < 0.15
    count = max(1, round(budget / estimate_cost(area, 250 * strict)))
    samples = [kind(rng, width, height) for _ in range(count)]
    if strict:
        replace_by_instructions(rng, samples)
    pairs = [(build_row(rng, sample), sample) for sample in samples]
    pairs.sort(key=lambda pair: len(pair[0].ids))
    rows = [pair[0] for pair in pairs]
    share = max(4, math.ceil(count / parts))
    chunks = [rows[start : start + share] for start in range(0, count, share)]
    return (
        build_images([pair[1] for pair in pairs]),
        [collate(chunk, height // labels.TOKEN, width // labels.TOKEN) for chunk in chunks],
    )
