"""The command `find`: where words are printed and where things are, file by file."""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
from collections.abc import Iterator
from functools import partial

from sightline._api import find_options
from sightline._images import ImageSource
from sightline.cli.ask import document_password, send_unlocked, submit_options
from sightline.cli.terminal import (
    StatusLine,
    UsageError,
    connect,
    image_source,
    print_error,
    print_json,
    print_note,
    print_table,
    progress_line,
    shorten,
    wants_json,
)
from sightline.client import Client
from sightline.errors import SightlineError
from sightline.jobs import Answer, answer_of
from sightline.types import FoundObject, SubmitOptions

_HEADINGS = ("FILE", "WHERE", "LABEL", "BOX", "SURE", "SOURCE", "TEXT")
_TEXT_CHARS = 40


def find_in_files(args: argparse.Namespace) -> int:
    """Print each place of what is looked for; return 1 if nothing was found or a file failed.

    Raises UsageError, and WaitTimeout for the first file that is not done in time.
    """
    if bool(args.labels) == (args.phrase is not None):
        raise UsageError(
            "Say what to look for: --label X, which may be repeated, or --phrase TEXT.",
            "sightline find scan.pdf --label Total",
        )
    sources = [(name, image_source(name)) for name in args.images]
    options = find_options(args.labels or (), submit_options(args))
    password = document_password(args)
    rows: list[tuple[str, ...]] = []
    seen, failed = 0, 0
    with connect(args) as client:
        for name, source in sources:
            try:
                answer = _find(client, source, options, password, args)
            except SightlineError as error:
                if len(sources) == 1:
                    raise
                failed += 1
                print_error(f"{name}: {error}")
                continue
            seen += len(answer.objects)
            rows += _rows(name, answer)
            _print_answer(args, name, answer)
    if args.format != "json" and not wants_json(args):
        _print_rows(args, rows)
    return 0 if seen and not failed else 1


def _find(
    client: Client,
    source: ImageSource,
    options: SubmitOptions,
    password: str | None,
    args: argparse.Namespace,
) -> Answer:
    line = StatusLine(args)
    try:
        job = send_unlocked(partial(client.submit, None, source, **options), password)
        job.wait(args.timeout, lambda data: line.put(progress_line(data)))
    finally:
        line.clear()
    return answer_of(job.data)


def _print_answer(args: argparse.Namespace, name: str, answer: Answer) -> None:
    """Print what a file gave, as far as it is no row of the table."""
    print_json(args, answer.job)
    if args.format == "json" and not wants_json(args):
        fields = {"file": name, "text": answer.text, "objects": answer.objects}
        warnings = {"warnings": answer.job["warnings"]}
        print(json.dumps(fields | warnings, ensure_ascii=False), flush=True)
    if not answer.objects or answer.job["warnings"]:
        print_note(args, f"{name}: {answer.text}")
    for warning in answer.job["warnings"]:
        print_note(args, f"note: {name}: {warning['detail']}")


def _rows(name: str, answer: Answer) -> Iterator[tuple[str, ...]]:
    for one in answer.objects:
        box = " ".join(f"{edge:g}" for edge in one["box"])
        sure = one["confidence"]
        yield (
            name,
            _where(one),
            one["label"],
            box,
            "" if sure is None else f"{sure:.2f}",
            one["source"],
            one.get("text") or "",
        )


def _where(one: FoundObject) -> str:
    """Return the page that an object is on; that of an image needs no name."""
    page = one.get("page")
    return f"page {page}" if page is not None else "image"


def _print_rows(args: argparse.Namespace, rows: list[tuple[str, ...]]) -> None:
    if args.format == "csv":
        out = io.StringIO()
        csv.writer(out, lineterminator="\n").writerows(
            [[heading.lower() for heading in _HEADINGS], *rows]
        )
        sys.stdout.write(out.getvalue())
    elif rows:
        short = [(*row[:-1], shorten(row[-1], _TEXT_CHARS)) for row in rows]
        print_table([_HEADINGS, *short])
