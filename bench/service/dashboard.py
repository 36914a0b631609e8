"""Draws the Grafana dashboard's panels as one SVG from what a Prometheus has scraped.

`python -m bench.service.dashboard http://127.0.0.1:9090 docs/dashboard.svg --minutes 10`
"""

from __future__ import annotations

import argparse
import html
import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

DASHBOARD = Path(__file__).parents[2] / "deploy" / "grafana" / "dashboards" / "sightline.json"
COLUMN, ROW = 46, 26
COLOURS = ("#3274d9", "#e0752d", "#3f9142", "#b877d9", "#c4162a", "#8a6d3b", "#1f9e9e", "#7a7a7a")
_STEPS = 120
_LEGEND_MOST = 4


@dataclass(frozen=True)
class Series:
    """One line: its name and (time, value) points."""

    name: str
    points: list[tuple[float, float]]


class Source:
    """A Prometheus server, queried for the last minutes."""

    def __init__(self, url: str, minutes: float) -> None:
        self._http = httpx.Client(base_url=url, timeout=30, trust_env=False)
        self.end = time.time()
        self.start = self.end - 60 * minutes

    def series(self, target: dict[str, str]) -> Iterator[Series]:
        """Yield the lines of one query."""
        step = (self.end - self.start) / _STEPS
        query = {"query": target["expr"], "start": self.start, "end": self.end, "step": step}
        response = self._http.get("/api/v1/query_range", params=query).raise_for_status().json()
        for result in response["data"]["result"]:
            name = target["legendFormat"]
            for label, value in result["metric"].items():
                name = name.replace("{{" + label + "}}", value)
            points = [(float(at), float(value)) for at, value in result["values"]]
            yield Series(name, [(at, value) for at, value in points if math.isfinite(value)])


def format_value(value: float, unit: str) -> str:
    """Return a value with its unit."""
    if unit == "percentunit":
        return f"{value:.0%}"
    if unit == "bytes":
        return f"{value / 2**20:.3g} MiB"
    return f"{value:.3g}" + (" s" if unit == "s" else "")


def text(x: float, y: float, content: str, size: int = 11, **how: str) -> str:
    """Return a text element."""
    style = "".join(f' {key.replace("_", "-")}="{value}"' for key, value in how.items())
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}"{style}>{html.escape(content)}</text>'


def panel(one: dict[str, Any], source: Source) -> Iterator[str]:
    """Yield the elements of one panel."""
    at, unit = one["gridPos"], one["fieldConfig"]["defaults"]["unit"]
    x, y = at["x"] * COLUMN + 4, at["y"] * ROW + 4
    width, height = at["w"] * COLUMN - 8, at["h"] * ROW - 8
    yield f'<rect x="{x}" y="{y}" width="{width}" height="{height}" fill="#fff" stroke="#d4d4d8"/>'
    yield text(x + 8, y + 17, one["title"], 12, font_weight="600")
    lines = [line for target in one["targets"] for line in source.series(target) if line.points]
    if one["type"] == "stat":
        last = format_value(lines[0].points[-1][1], unit) if lines else "no data"
        yield text(x + width / 2, y + height / 2 + 22, last, 28, text_anchor="middle")
    elif lines:
        yield from chart(lines, unit, source, (x + 58, y + 28, width - 70, height - 66))
    else:
        yield text(x + width / 2, y + height / 2, "nothing happened", text_anchor="middle")


def chart(
    lines: list[Series], unit: str, source: Source, box: tuple[float, float, float, float]
) -> Iterator[str]:
    """Yield axis, lines and legend inside the box (x, y, width, height)."""
    x, y, width, height = box
    top = max(value for line in lines for _, value in line.points) * 1.1 or 1.0
    for share in (0.0, 0.5, 1.0):
        level = y + height * (1 - share)
        yield f'<path d="M{x} {level:.1f}h{width}" stroke="#e4e4e7"/>'
        yield text(
            x - 6, level + 4, format_value(top * share, unit), 10, text_anchor="end", fill="#71717a"
        )
    span = source.end - source.start
    for number, line in enumerate(lines):
        places = " ".join(
            f"{x + width * (when - source.start) / span:.1f},{y + height * (1 - value / top):.1f}"
            for when, value in line.points
        )
        colour = COLOURS[number % len(COLOURS)]
        yield f'<polyline points="{places}" fill="none" stroke="{colour}" stroke-width="1.6"/>'
    for number, line in enumerate(lines[:_LEGEND_MOST]):
        place = x - 48 + number * (width + 48) / _LEGEND_MOST
        spot = f'x="{place:.1f}" y="{y + height + 15}" width="10" height="3"'
        yield f'<rect {spot} fill="{COLOURS[number]}"/>'
        yield text(place + 14, y + height + 20, line.name[:15], 10, fill="#3f3f46")


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("prometheus")
    parser.add_argument("picture", type=Path)
    parser.add_argument("--minutes", type=float, default=60.0)
    arguments = parser.parse_args()
    source = Source(arguments.prometheus, arguments.minutes)
    panels = json.loads(DASHBOARD.read_text())["panels"]
    bottom = max(one["gridPos"]["y"] + one["gridPos"]["h"] for one in panels) * ROW
    head = f'viewBox="0 0 {24 * COLUMN} {bottom}" font-family="system-ui, sans-serif"'
    body = "\n".join(element for one in panels for element in panel(one, source))
    ground = '<rect width="100%" height="100%" fill="#f4f4f5"/>'
    arguments.picture.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" {head}>\n{ground}\n{body}\n</svg>\n'
    )


if __name__ == "__main__":
    main()
