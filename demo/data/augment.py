"""Defects of drawn images: noise, blur, shading, JPEG artefacts, hidden characters."""

from __future__ import annotations

from io import BytesIO
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageFilter

if TYPE_CHECKING:
    from random import Random

    from demo.data.drawing import Glyph


def noise(rng: Random, image: Image.Image) -> Image.Image:
    """Grey Gaussian noise of up to 6 % of full scale."""
    spread = rng.uniform(2, 15)
    source = np.random.default_rng(rng.getrandbits(32))
    grain = source.standard_normal((image.height, image.width, 1), dtype=np.float32) * spread
    return Image.fromarray(np.clip(np.asarray(image) + grain, 0, 255).astype(np.uint8))


def jpeg(rng: Random, image: Image.Image) -> Image.Image:
    """Compress as a JPEG of quality 45–95."""
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=rng.randint(45, 95))
    return Image.open(buffer).convert("RGB")


def soften(rng: Random, image: Image.Image) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 0.8)))


def shade(rng: Random, image: Image.Image) -> Image.Image:
    """Darken towards one side by up to a fifth."""
    ramp = np.linspace(1, rng.uniform(0.8, 0.95), image.width, dtype=np.float32)[None, :, None]
    if rng.random() < 0.5:
        ramp = ramp[:, ::-1]
    return Image.fromarray((np.asarray(image) * ramp).astype(np.uint8))


def rescale(rng: Random, image: Image.Image) -> Image.Image:
    """Scale by a few pixels and back, as an image that is no multiple of a token is scaled once."""
    size = (image.width + rng.randint(-9, 9), image.height + rng.randint(-9, 9))
    return image.resize(size, Image.Resampling.BICUBIC).resize(image.size, Image.Resampling.BICUBIC)


def add_defects(rng: Random, image: Image.Image) -> Image.Image:
    """Apply one or two defects, in half of the cases none."""
    defects = ((rescale, 0.12), (soften, 0.08), (shade, 0.06), (noise, 0.2), (jpeg, 0.2))
    for defect, chance in defects:
        if rng.random() < chance:
            image = defect(rng, image)
    return image


def hide_characters(rng: Random, image: Image.Image, glyphs: list[Glyph]) -> set[int]:
    """Cover or blur one or two runs of characters in place; returns the hidden glyphs' numbers."""
    hidden: set[int] = set()
    if not glyphs:
        return hidden
    for _ in range(rng.choice([1, 1, 2])):
        first = rng.randrange(len(glyphs))
        last = first
        for _ in range(rng.randint(0, 7)):
            if last + 1 < len(glyphs) and glyphs[last + 1].line == glyphs[first].line:
                last += 1
        while first < last and glyphs[first].char == " ":
            first += 1
        while first < last and glyphs[last].char == " ":
            last -= 1
        if glyphs[first].char == " ":
            continue
        hidden.update(range(first, last + 1))
        _hide_run(rng, image, glyphs, first, last)
    return hidden


def _hide_run(rng: Random, image: Image.Image, glyphs: list[Glyph], first: int, last: int) -> None:
    """Make the characters from `first` to `last` of one line unreadable."""
    line = [g for g in glyphs if g.line == glyphs[first].line]
    gaps = [b.x - a.x for a, b in pairwise(line)]
    half = max(4.0, sum(gaps) / len(gaps) / 2) if gaps else 8.0
    left, right = glyphs[first].x - half, glyphs[last].x + half
    if first and glyphs[first - 1].line == glyphs[first].line:
        left = (glyphs[first - 1].x + glyphs[first].x) / 2
    if last + 1 < len(glyphs) and glyphs[last + 1].line == glyphs[last].line:
        right = (glyphs[last].x + glyphs[last + 1].x) / 2
    tall = half * 2.2
    box = (
        max(0, round(left)),
        max(0, round(glyphs[first].y - tall)),
        min(image.width, max(round(right), round(left) + 2)),
        min(image.height, round(glyphs[first].y + tall)),
    )
    if box[0] >= box[2] or box[1] >= box[3]:
        return
    if rng.random() < 0.4:
        image.paste(image.crop(box).filter(ImageFilter.GaussianBlur(max(4.0, half))), box)
    else:
        image.paste(tuple(rng.randint(0, 255) for _ in range(3)), box)
