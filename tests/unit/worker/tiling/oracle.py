"""A reader that knows what was drawn: a line that is whole in a tile is read, a cut one is not."""

from __future__ import annotations

from random import Random

from tests.unit.worker.tiling.pages import Line, Page
from worker.tiling import Tile

#: A sharp edge's outermost grey pixels may be cut without harm.
_SLACK = 1.0


def text_of(lines: list[Line]) -> str:
    """The truth: tables as Markdown, everything else line by line."""
    rows: list[str] = []
    for number, line in enumerate(lines):
        if not line.table:
            rows.append(" ".join(line.words))
            continue
        rows.append("| " + " | ".join(line.words) + " |")
        if number == 0 or not lines[number - 1].table:
            rows.append("|" + "---|" * len(line.words))
    return "\n".join(rows)


def read(page: Page, tile: Tile, rng: Random, errors: float = 0.0) -> str:
    """What an able reader sees in a tile; with `errors`, a chance to misread a line's character."""
    lines: list[Line] = []
    for line in page.lines:
        shown = [share(tile, box) for box in line.boxes]
        if max(shown) < 0.2:
            continue
        words = [
            word if part == 1 else garbled(rng, word)
            for word, part in zip(line.words, shown, strict=True)
            if part >= 0.2
        ]
        if rng.random() < errors:
            words = misread(rng, words)
        lines.append(Line(words, [], table=line.table and min(shown) == 1))
    return text_of(lines)


def share(tile: Tile, box: tuple[float, float, float, float]) -> float:
    """How much of a box lies in a tile, 1 if all but its faintest pixels does."""
    left, top, right, bottom = box
    wide = min(right, tile.box[2]) - max(left, tile.box[0])
    tall = min(bottom, tile.box[3]) - max(top, tile.box[1])
    if wide <= 0 or tall <= 0:
        return 0.0
    if wide >= right - left - _SLACK and tall >= bottom - top - _SLACK:
        return 1.0
    return min(0.99, wide * tall / max(1.0, (right - left) * (bottom - top)))


def garbled(rng: Random, word: str) -> str:
    """What remains of a word that is cut: some of its characters, others wrong."""
    return "".join(c if rng.random() < 0.4 else rng.choice("-_.,'~ilcoxz") for c in word)


def misread(rng: Random, words: list[str]) -> list[str]:
    """Get one character wrong."""
    at = rng.randrange(len(words))
    place = rng.randrange(len(words[at]))
    wrong = rng.choice("eoasn[")
    wrong = "[?]" if wrong == "[" else wrong
    return [*words[:at], words[at][:place] + wrong + words[at][place + 1 :], *words[at + 1 :]]
