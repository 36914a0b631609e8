"""Documents: what a born-digital page costs, a scan beside it, and memory over 1,000 pages.

`python -m bench.documents` prints a Markdown table; the pages are drawn by the tests' own writer.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from shared.documents.reader import DocumentReader
from shared.settings import Settings
from tests.support.documents.drawn import draw_scan, pdf, prose, scan, text_page

PAGES = 1000
#: Pages between two looks at the memory.
_STEP = 50
#: A page of a book: about 3,000 characters.
_LINES = 50


def _resident_mib(reader: DocumentReader) -> float:
    (pid,) = reader.sandbox.pool.pids()
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def _cpu_s(reader: DocumentReader) -> float:
    (pid,) = reader.sandbox.pool.pids()
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _measure(reader: DocumentReader, work: Callable[[], object], times: int = 30) -> str:
    """Return the median wall and the mean CPU milliseconds of a call, as two cells."""
    work()
    spent, cpu_before = [], _cpu_s(reader)
    for _ in range(times):
        started = time.perf_counter()
        work()
        spent.append(time.perf_counter() - started)
    cpu_ms = 1000 * (_cpu_s(reader) - cpu_before) / times
    return f"{1000 * statistics.median(spent):.0f} | {cpu_ms:.0f}"


def _report_pages(reader: DocumentReader) -> None:
    born = pdf(*[text_page(seed, _LINES) for seed in range(10)])
    scanned = pdf(draw_scan(scan(prose(_LINES, 1), dpi=200)))
    calls: dict[str, Callable[[], object]] = {
        "inspection of 10 born-digital pages": lambda: reader.inspect(born),
        "text of a born-digital page, checked": lambda: reader.page_text(born, 3),
        "a scanned page, found to have no text": lambda: reader.page_text(scanned, 1),
        "picture of a born-digital page, 150 dpi": lambda: reader.render(born, 3, 150, 4_000_000),
        "picture of a scanned page, 150 dpi": lambda: reader.render(scanned, 1, 150, 4_000_000),
    }
    for name, call in calls.items():
        print(f"| {name} | {_measure(reader, call)} |")


def _report_memory(reader: DocumentReader) -> None:
    data = pdf(*[text_page(seed, _LINES) for seed in range(PAGES)])
    reader.inspect(data)
    held = []
    started, known = time.perf_counter(), (reader.sandbox.pool.pids(), _cpu_s(reader))
    spent_s, counted = 0.0, 0
    for page in range(1, PAGES + 1):
        assert reader.page_text(data, page).trusted
        if page % _STEP == 0:
            held.append(_resident_mib(reader))
            latest = (reader.sandbox.pool.pids(), _cpu_s(reader))
            # a child is replaced after so many requests, and its seconds begin again
            if latest[0] == known[0]:
                spent_s, counted = spent_s + latest[1] - known[1], counted + _STEP
            known = latest
    cpu_ms = 1000 * spent_s / max(1, counted)
    per_page_ms = 1000 * (time.perf_counter() - started) / PAGES
    first, last = statistics.mean(held[:4]), statistics.mean(held[-4:])
    print(f"| text of {PAGES} pages, per page | {per_page_ms:.0f} | {cpu_ms:.0f} |")
    print(
        f"\nMemory of the child: {first:.0f} MiB over the first 200 pages, "
        f"{last:.0f} over the last."
    )


def main() -> None:
    """Measure and print."""
    reader = DocumentReader(Settings(document_children=1))
    try:
        print("| what | wall, ms | CPU of the child, ms |\n|---|---|---|")
        _report_pages(reader)
        _report_memory(reader)
    finally:
        reader.close()


if __name__ == "__main__":
    main()
