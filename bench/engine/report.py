"""Renders the figures of the engine bench as a Markdown table and a chart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Figures = dict[str, Any]

#: Label, how to read it from an engine's figures, and whether less is better.
_ROWS: tuple[tuple[str, Callable[[Figures], float], bool], ...] = (
    ("cold TTFT 512², s", lambda f: f["cold_s"]["512"], True),
    ("cold TTFT 1024², s", lambda f: f["cold_s"]["1024"], True),
    ("  of it the tower 1024², s", lambda f: f["encode_s"]["1024"], True),
    ("same image again, features cached, 512², s", lambda f: f["features_only_s"]["512"], True),
    ("same image again, features cached, 1024², s", lambda f: f["features_only_s"]["1024"], True),
    ("follow-up turn, keys cached, 512², s", lambda f: f["follow_up_s"]["512"], True),
    ("follow-up turn, keys cached, 1024², s", lambda f: f["follow_up_s"]["1024"], True),
    ("prefill, tokens/s", lambda f: f["prefill_tokens_per_s"], False),
    ("decode, 1 request, tokens/s", lambda f: f["decode_tokens_per_s"]["1"], False),
    ("decode, 2 requests together", lambda f: f["decode_tokens_per_s"]["2"], False),
    ("decode, 4 requests together", lambda f: f["decode_tokens_per_s"]["4"], False),
    ("decode, 8 requests together", lambda f: f["decode_tokens_per_s"]["8"], False),
    ("four at once, 512², 32 tokens, images/min", lambda f: f["four_images_per_minute"], False),
    ("  longest stall of a running answer, s", lambda f: f["longest_stall_s"], True),
    ("resident beyond the page cache, GB", lambda f: f["anonymous_bytes"] / 1e9, True),
    ("load, s", lambda f: f["load_s"], True),
    ("overhead of a decoding step, ms", lambda f: f["overhead_s"] * 1e3, True),
)


def tables(figures: list[Figures]) -> str:
    """Return one table, with the ratio to plain transformers if that was measured."""
    plain = next((f for f in figures if f["name"].startswith("transformers")), None)
    lines = [
        "| | " + " | ".join(f["name"] for f in figures) + " |",
        "|---" * (len(figures) + 1) + "|",
    ]
    for label, read, less in _ROWS:
        cells = [_cell(f, plain, read, less) for f in figures]
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(f: Figures, plain: Figures | None, read: Callable[[Figures], float], less: bool) -> str:
    value = _read(f, read)
    if value is None:
        return "–"
    base = _read(plain, read) or _one_request(plain, read)
    if plain is None or f is plain or not base or not value:
        return f"{value:.3g}"
    ratio = base / value if less else value / base
    return f"{value:.3g} ({ratio:.0f}×)" if ratio >= 10 else f"{value:.3g} ({ratio:.2g}×)"


def _read(f: Figures | None, read: Callable[[Figures], float]) -> float | None:
    try:
        return None if f is None else read(f)
    except KeyError:
        return None


def _one_request(plain: Figures | None, read: Callable[[Figures], float]) -> float | None:
    """Return the rate of one request, to compare many with: plain transformers do one at a time."""
    if plain is None:
        return None
    ones = plain["decode_tokens_per_s"]["1"]
    return _read({"decode_tokens_per_s": dict.fromkeys("1248", ones)}, read)


def chart(figures: list[Figures]) -> str:
    """Return an SVG of tokens a second against requests at once."""
    width, height, left, bottom, top = 560, 320, 56, 40, 24
    batches = ["1", "2", "4", "8"]
    most = max(v for f in figures for v in f["decode_tokens_per_s"].values()) * 1.1
    colours = ["#888888", "#2b6cb0", "#c05621"]

    font = 'font-family="sans-serif" font-size="12"'

    def place(at: int, value: float) -> tuple[float, float]:
        x = left + (width - left - 130) * at / (len(batches) - 1)
        return x, height - bottom - (height - bottom - top) * value / most

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" {font}>',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="{left}" y="14">tokens/s of all requests together</text>',
    ]
    for mark in range(0, int(most) + 1, 20):
        y = place(0, mark)[1]
        parts.append(f'<path d="M{left} {y:.1f}H{width - 130}" stroke="#ddd"/>')
        parts.append(f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{mark}</text>')
    for at, batch in enumerate(batches):
        x = place(at, 0)[0]
        parts.append(f'<text x="{x:.1f}" y="{height - 20}" text-anchor="middle">{batch}</text>')
    parts.append(f'<text x="{width - 122}" y="{height - 20}">requests at once</text>')
    for f, colour in zip(figures, colours, strict=False):
        rates = f["decode_tokens_per_s"]
        # one request at a time stays at the rate of one
        points = [place(at, rates.get(b, rates["1"])) for at, b in enumerate(batches)]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        x, y = points[-1]
        parts.append(f'<text x="{x + 8:.1f}" y="{y + 4:.1f}" fill="{colour}">{f["name"]}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"
