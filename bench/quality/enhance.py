"""Measures the reading of degraded images with enhancement: `python -m bench.quality.enhance`.

The bundled model reads the same drawings with `enhance` off and auto; clean ones must not change.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

import cv2
import numpy as np
from PIL import Image

from demo.asking import Asker, user_message
from demo.checkpoint import LETTER_HEIGHT, TALLEST_LETTERS
from demo.data import fonts, prompts, scenes
from demo.data.drawing import Canvas, text_width
from demo.evaluate import distance
from worker.enhance import enhance

BUDGET = 1_048_576


@dataclass(frozen=True, slots=True)
class Drawing:
    """An image and the text on it."""

    image: Image.Image
    text: str


@dataclass(slots=True)
class Outcome:
    """Edits of one kind's answers, without and with enhancement."""

    images: int = 0
    characters: int = 0
    off: int = 0
    auto: int = 0
    changed: int = 0
    seconds: float = 0.0


def clean(rng: Random, size: int | None = None) -> Drawing:
    """Draw one to three lines as in the model's training."""
    face, size = rng.choice(fonts.available()), size or rng.randint(18, 30)
    background, ink = scenes.colours(rng)
    rows = rng.randint(1, 3)
    step = round(size * 1.35)
    width = max(96, 32 * rng.randint(5, 12) * size // 24)
    height = max(32, 32 * round((rows * step + 12) / 32))
    canvas = Canvas.blank(width, height, background)
    lines = []
    for row in range(rows):
        line = scenes.fill_line(rng, width - 16, face, size)
        if line and text_width(line, face, size) <= width:
            canvas.write(line, 8, (height - rows * step) // 2 + row * step, face, size, ink)
            lines.append(line)
    return Drawing(canvas.image, "\n".join(lines))


def mild(rng: Random) -> Drawing:
    """Draw a training sample: half of them slightly noisy, blurred, shaded or compressed."""
    sample = scenes.block(rng, 32 * rng.randint(5, 12), 32 * rng.randint(1, 3))
    return Drawing(sample.image, sample.turns[0].answer)


def skewed(rng: Random) -> Drawing:
    """Rotate by 2 to 8 degrees on a larger sheet."""
    drawn = clean(rng)
    angle = rng.choice([-1, 1]) * rng.uniform(2, 8)
    paper = drawn.image.getpixel((0, 0))
    turned = drawn.image.rotate(angle, Image.Resampling.BICUBIC, expand=True, fillcolor=paper)
    return Drawing(turned, drawn.text)


def pale(rng: Random) -> Drawing:
    """Reduce the contrast to about a tenth."""
    drawn = clean(rng)
    share, middle = rng.uniform(0.06, 0.15), rng.uniform(100, 200)
    values = (np.asarray(drawn.image, dtype=np.float32) - 128) * share + middle
    return Drawing(Image.fromarray(np.clip(values, 0, 255).astype(np.uint8)), drawn.text)


def noisy(rng: Random) -> Drawing:
    """Add grey Gaussian noise of 25 to 50 grey levels."""
    drawn = clean(rng)
    source = np.random.default_rng(rng.getrandbits(32))
    shape = (drawn.image.height, drawn.image.width, 1)
    values = np.asarray(drawn.image) + source.standard_normal(shape) * rng.uniform(25, 50)
    return Drawing(Image.fromarray(np.clip(values, 0, 255).astype(np.uint8)), drawn.text)


def small(rng: Random) -> Drawing:
    """Draw letters of 7 to 9 pixels."""
    return clean(rng, rng.randint(7, 9))


def large(rng: Random) -> Drawing:
    """Draw letters of 44 to 90 pixels."""
    return clean(rng, rng.randint(44, 90))


def photographed(rng: Random) -> Drawing:
    """Photograph a page on a dark table at an angle."""
    drawn = clean(rng)
    while sum(drawn.image.getpixel((0, 0))) < 450:
        drawn = clean(rng)
    width, height = drawn.image.size
    table = (width + 120, height + 120)
    move = lambda most: rng.uniform(0.03, most)  # noqa: E731
    warped_corners = [
        (40 + width * move(0.1), 40 + height * move(0.2)),
        (80 + width * (1 - move(0.1)), 40 + height * move(0.3)),
        (80 + width, 80 + height * (1 - move(0.2))),
        (40, 80 + height),
    ]
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], dtype=np.float32)
    matrix = cv2.getPerspectiveTransform(corners, np.array(warped_corners, dtype=np.float32))
    dark = tuple(rng.randint(20, 80) for _ in range(3))
    warped = cv2.warpPerspective(
        np.asarray(drawn.image), matrix, table, flags=cv2.INTER_AREA, borderValue=dark
    )
    return Drawing(Image.fromarray(warped), drawn.text)


KINDS: dict[str, Callable[[Random], Drawing]] = {
    "clean": clean,
    "mild defects": mild,
    "skewed 2–8°": skewed,
    "low contrast": pale,
    "noisy": noisy,
    "small letters": small,
    "large letters": large,
    "photographed askew": photographed,
}


def measure(asker: Asker, kind: str, count: int) -> Outcome:
    """Let the model read `count` drawings of a kind, without and with enhancement."""
    outcome = Outcome()
    for number in range(count):
        rng = Random(f"enhance:{kind}:{number}")
        drawing = KINDS[kind](rng)
        messages = [user_message(prompts.reading(rng), 1)]
        limit = len(drawing.text.encode()) + 24
        started = time.perf_counter()
        enhanced = enhance(drawing.image, "auto", BUDGET, LETTER_HEIGHT, TALLEST_LETTERS)
        outcome.seconds += time.perf_counter() - started
        plain_answer = asker.ask(messages, [drawing.image], limit)
        enhanced_answer = (
            asker.ask(messages, [enhanced.image], limit) if enhanced.variant else plain_answer
        )
        outcome.images += 1
        outcome.characters += len(drawing.text)
        outcome.off += distance(plain_answer, drawing.text)
        outcome.auto += distance(enhanced_answer, drawing.text)
        outcome.changed += bool(enhanced.variant)
    return outcome


def row(kind: str, outcome: Outcome) -> str:
    """Return a row of Markdown."""
    shares = (edits / outcome.characters for edits in (outcome.off, outcome.auto))
    errors = " | ".join(f"{share:.1%}" for share in shares)
    ms_each = 1000 * outcome.seconds / outcome.images
    return f"| {kind} | {outcome.images} | {outcome.changed} | {errors} | {ms_each:.0f} |"


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--kinds", nargs="*", choices=list(KINDS), default=list(KINDS))
    options = parser.parse_args()
    asker = Asker()
    print("| drawings | images | changed by auto | errors, off | errors, auto | ms each |")
    print("|---|---:|---:|---:|---:|---:|")
    for kind in options.kinds:
        outcome = measure(asker, kind, options.count)
        print(row(kind, outcome), flush=True)


if __name__ == "__main__":
    main()
