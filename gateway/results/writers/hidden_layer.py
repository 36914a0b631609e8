"""The text of a page that shows nothing and lies where it was read, as PDF draws it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator

from gateway.results.scans.quads import Corner
from gateway.results.scans.runs import Run
from gateway.results.writers.hidden_font import WIDTH, HiddenFont
from gateway.results.writers.safe_text import xml_text

#: Where a place of a sheet lies on the page of the file.
Place = Callable[[Corner], Corner]
_LEAST = 0.01


def hidden_text(lines: Iterable[list[Run]], place: Place, font: HiddenFont, name: str) -> bytes:
    """Return what draws the lines; `name` is the font's on this page."""
    parts = ["q BT 3 Tr"]
    for runs in lines:
        for number, run in enumerate(runs):
            parts += _show(run, place, font, name)
            if number + 1 < len(runs):
                # whoever copies it finds words that are apart
                parts.append(f"<{font.encode(' ')}> Tj")
    return "\n".join([*parts, "ET Q\n"]).encode("ascii")


def _show(run: Run, place: Place, font: HiddenFont, name: str) -> Iterator[str]:
    top_left, _, bottom_right, bottom_left = map(place, run.quad)
    codes = font.encode(xml_text(run.text))
    if not codes:
        return
    width, along_x, along_y = _direction(bottom_left, bottom_right)
    height, up_x, up_y = _direction(bottom_left, top_left)
    natural = len(codes) / 4 * height * WIDTH / 1000
    matrix = (along_x, along_y, up_x, up_y, *bottom_left)
    yield f"{name} {_number(height)} Tf {_number(100 * width / natural)} Tz"
    yield f"{' '.join(map(_number, matrix))} Tm <{codes}> Tj"


def _direction(start: Corner, stop: Corner) -> tuple[float, float, float]:
    """Return how far it is, and the way as a length of one."""
    across, up = stop[0] - start[0], stop[1] - start[1]
    length = math.hypot(across, up)
    return (max(length, _LEAST), across / length, up / length) if length else (_LEAST, 1.0, 0.0)


def _number(value: float) -> str:
    return f"{value:.4f}".rstrip("0").rstrip(".")
