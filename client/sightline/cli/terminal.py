"""Helpers that the commands share: the client, image arguments, terminal output."""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sightline._images import ImageSource

if TYPE_CHECKING:
    from sightline.client import Client

_IMAGE_NAME = re.compile(r"https?://|data:|(img|doc)_[0-9a-f]{64}$", re.IGNORECASE)


#: Seconds after which a service that does not answer is told.
_FIRST_ANSWER_S = 2.0


class UsageError(Exception):
    """The command line is wrong; `hint` says how to correct it."""

    def __init__(self, message: str, hint: str = "") -> None:
        self.hint = hint
        super().__init__(message)


def connect(args: argparse.Namespace, *, retries: int = 5) -> Client:
    """Return a client for the URL and key of the command line.

    Raises UsageError, and at once NoConnection and UnexpectedAnswer if there is no such service:
    a person shall not wait for retries that cannot help.
    """
    from sightline.client import Client

    url, key = getattr(args, "url", None), getattr(args, "api_key", None)
    try:
        _find_service(args, Client(url, api_key=key, timeout=_FIRST_ANSWER_S, retries=0))
        return Client(url, api_key=key, retries=retries)
    except ValueError as error:
        raise UsageError(str(error)) from None


def _find_service(args: argparse.Namespace, client: Client) -> None:
    """Ask for anything; raises NoConnection for a refused connection, and UnexpectedAnswer."""
    from sightline.errors import APIError, NoConnection

    started_s = time.monotonic()
    with client:
        try:
            client.limits()
        except APIError:
            # it is there, and the command's own request is refused for the same reason
            return
        except NoConnection as error:
            if time.monotonic() - started_s < _FIRST_ANSWER_S:
                raise
            print_note(args, f"{error} Still trying.")


def image_source(word: str) -> ImageSource:
    """Return the image that an argument names, `-` being standard input; raises UsageError."""
    if word == "-":
        data = sys.stdin.buffer.read()
        if not data:
            raise UsageError("No image on standard input.")
        return data
    if not _IMAGE_NAME.match(word):
        path = Path(word)
        if path.is_dir():
            raise UsageError(f"{word} is a folder.", "Use `sightline ocr` for folders.")
        if not path.exists():
            raise UsageError(f"File not found: {word}.", "Images must come before the question.")
    return word


def is_image(word: str) -> bool:
    """Tell whether an argument names an image."""
    return word == "-" or bool(_IMAGE_NAME.match(word)) or Path(word).is_file()


def print_json(args: argparse.Namespace, value: Any) -> None:
    """Under --json, print a value as one line of JSON."""
    if wants_json(args):
        print(json.dumps(value, ensure_ascii=False), flush=True)


def wants_json(args: argparse.Namespace) -> bool:
    """Tell whether --json is set."""
    return bool(getattr(args, "json", False))


def print_note(args: argparse.Namespace, text: str) -> None:
    """Print a note to standard error, unless --quiet is set."""
    if not getattr(args, "quiet", False):
        print(text, file=sys.stderr, flush=True)


def print_error(text: str, hint: str = "") -> None:
    """Print an error and a hint to standard error."""
    print(f"sightline: {text}" + (f"\n  {hint}" if hint else ""), file=sys.stderr)


def print_table(rows: Iterable[Sequence[str]]) -> None:
    """Print rows in aligned columns; the first row holds the headings."""
    lines = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        print("  ".join(cells).rstrip())


def shorten(text: str, chars: int) -> str:
    """Return the text in one line of so many characters."""
    line = " ".join(text.split())
    return line if len(line) <= chars else line[: chars - 1] + "…"


def format_age(moment: str) -> str:
    """Return the age of an RFC 3339 time, such as `5 min`."""
    import datetime as dt

    seconds = time.time() - dt.datetime.fromisoformat(moment).timestamp()
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0, seconds):.0f} s"


def progress_line(job: Mapping[str, Any]) -> str:
    """Return the state of an unfinished job in one line."""
    progress = job.get("progress") or {}
    if job["status"] == "queued" or not progress:
        queue = job.get("queue") or {}
        return f"{job['status']}, {queue.get('position', 0)} ahead{_time_left(job)}"
    tiles = (
        f", tile {progress['tiles_done']}/{progress['tiles_total']}"
        if (progress.get("tiles_total", 0) or 0) > 1
        else ""
    )
    if (progress.get("pages_total") or 0) > 1:
        tiles = f", page {progress['pages_done']}/{progress['pages_total']}"
    done = f"{progress.get('stage', 'running')} {progress.get('percent', 0)} %{tiles}"
    return f"{done}{_time_left(progress)}"


def _time_left(state: Mapping[str, Any]) -> str:
    eta_s = state.get("eta_s")
    return f", about {eta_s:.0f} s left" if eta_s else ""


class StatusLine:
    """A line on standard error that is overwritten, if that is a terminal."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._on = sys.stderr.isatty() and not getattr(args, "quiet", False)
        self._width = 0

    def put(self, text: str) -> None:
        """Replace the line."""
        if self._on:
            print("\r" + text.ljust(self._width), end="", file=sys.stderr, flush=True)
            self._width = len(text)

    def clear(self) -> None:
        """Erase the line."""
        if self._width:
            self.put("")
            self.put("")
