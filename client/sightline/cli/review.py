"""The command `review`: what of an answer to look at, and what is right there."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import Any

from sightline.cli.terminal import (
    UsageError,
    connect,
    print_json,
    print_note,
    print_table,
    shorten,
    wants_json,
)
from sightline.client import Job
from sightline.types import ReviewData

_VALUE_CHARS = 60


def review_job(args: argparse.Namespace) -> None:
    """Store corrections and confirmations, if any are given, then list what to look at.

    Raises UsageError and APIError.
    """
    with connect(args) as client:
        job = client.job(args.job)
        review = job.data.get("review")
        if args.set or args.confirm:
            corrections = dict(_correction(job, text) for text in args.set or ())
            review = client.review(
                job.id, corrections, confirmed=args.confirm or (), reviewer=args.reviewer
            )
    print_json(args, review)
    if not wants_json(args):
        _print_review(args, job, review)


def _correction(job: Job, text: str) -> tuple[str, Any]:
    """Return pointer and value of POINTER=VALUE, which is JSON where no text stands."""
    pointer, equals, value = text.partition("=")
    if not equals or not pointer.startswith("/"):
        raise UsageError(f"{text} is not a correction.", "--set /lines/3/text='What it says'")
    if isinstance(_value_at(job, pointer), str):
        return pointer, value
    try:
        return pointer, json.loads(value)
    except ValueError:
        return pointer, value


def _value_at(job: Job, pointer: str) -> Any:
    """Return what the output has there; None where it has nothing."""
    value: Any = job.data["output"]
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        try:
            value = value[int(name)] if isinstance(value, list) else value[name]
        except (LookupError, TypeError, ValueError):
            return None
    return value


def _print_review(args: argparse.Namespace, job: Job, review: ReviewData | None) -> None:
    rows = list(_rows(job, review)) if review else []
    if rows:
        print_table([("POINTER", "STATE", "ANSWER", "CORRECTED"), *rows])
    if review is None:
        print_note(args, "the job was submitted without a review; use --review-below")
    else:
        print_note(args, f"review: {review['state']}")


def _rows(job: Job, review: ReviewData) -> Iterator[tuple[str, ...]]:
    corrections = {one["pointer"]: one for one in review["corrections"] or ()}
    confirmed = [one["pointer"] for one in review["confirmed"] or ()]
    pointers = [*(review["pointers"] or ()), *corrections, *confirmed]
    for pointer in dict.fromkeys(pointers):
        correction = corrections.get(pointer)
        inner = any(other.startswith(f"{pointer}/") for other in corrections)
        if correction is None and inner and pointer not in confirmed:
            # its correction has a row of its own
            continue
        state = "confirmed" if pointer in confirmed else "open"
        answer = shorten(_as_text(_value_at(job, pointer)), _VALUE_CHARS)
        value = shorten(_as_text(correction["value"]), _VALUE_CHARS) if correction else ""
        yield pointer, "corrected" if correction else state, answer, value


def _as_text(value: Any) -> str:
    """Return a value in words: of a line or page its text."""
    if isinstance(value, dict) and isinstance(value.get("text"), str):
        return str(value["text"])
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
