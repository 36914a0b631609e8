"""Clean drawings of text, and spoilt ones whose defects are known."""

from __future__ import annotations

from random import Random

import cv2
import numpy as np
from PIL import Image

from demo.data import fonts, scenes, tables, words
from demo.data.drawing import Canvas


def page(rng: Random, size: int = 24, rows: int = 8, width: int = 640) -> Image.Image:
    """Draw dark lines of running text on light paper."""
    face = rng.choice(fonts.available())
    step = round(size * 1.4)
    canvas = Canvas.blank(width, rows * step + 40, (250, 250, 246))
    for row in range(rows):
        line = scenes.fill_line(rng, width - 40, face, size)
        canvas.write(line, 20, 20 + row * step, face, size, (20, 20, 30))
    return canvas.image


def clean(monkeypatch, number: int) -> Image.Image:
    """Draw one of many kinds, on backgrounds of any colour, without any defect."""
    monkeypatch.setattr("demo.data.augment.add_defects", lambda rng, image: image)
    rng = Random(f"clean:{number}")
    width, height = 32 * rng.randint(6, 24), 32 * rng.randint(2, 16)
    kinds = (scenes.block, tables.table, tables.receipt, lone_word)
    return kinds[number % len(kinds)](rng, width, height).image


def lone_word(rng: Random, width: int, height: int) -> scenes.Sample:
    """Draw a single word of any size, as a sign has it."""
    background, ink = scenes.colours(rng)
    canvas = Canvas.blank(width, height, background)
    canvas.write(words.cased(rng), 8, 4, rng.choice(fonts.available()), rng.randint(14, 48), ink)
    return scenes.Sample(canvas.image, [], canvas.glyphs)


def turned(image: Image.Image, angle: float) -> Image.Image:
    """Turn counter-clockwise by degrees on a sheet of the same colour."""
    paper = image.getpixel((0, 0))
    return image.rotate(angle, Image.Resampling.BICUBIC, expand=True, fillcolor=paper)


def photographed(image: Image.Image, corners: list[tuple[float, float]]) -> Image.Image:
    """Lay a page on a dark table so that its corners come to lie there, clockwise."""
    width, height = image.size
    flat = np.array([(0, 0), (width, 0), (width, height), (0, height)], dtype=np.float32)
    matrix = cv2.getPerspectiveTransform(flat, np.array(corners, dtype=np.float32))
    size = (width + 160, height + 160)
    photo = cv2.warpPerspective(
        np.asarray(image), matrix, size, flags=cv2.INTER_AREA, borderValue=(60, 50, 45)
    )
    return Image.fromarray(photo)


def grainy(image: Image.Image, spread: float, seed: int = 0) -> Image.Image:
    """Add Gaussian noise of that many grey levels."""
    noise = np.random.default_rng(seed).standard_normal((image.height, image.width, 1)) * spread
    return Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8))


def faded(image: Image.Image, share: float) -> Image.Image:
    """Bring all brightness towards a middle grey."""
    values = (np.asarray(image, dtype=np.float32) - 128) * share + 150
    return Image.fromarray(values.astype(np.uint8))
