"""The command `batch`: run the lines of a file as jobs, and fetch their results."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sightline.cli.terminal import (
    StatusLine,
    UsageError,
    connect,
    print_error,
    print_json,
    print_note,
)

if TYPE_CHECKING:
    from sightline.client import Client

_UNFINISHED = ("validating", "in_progress", "cancelling")
#: The exit status of --timeout.
_TIMEOUT_STATUS = 5
#: Seconds between two looks, which grow with the time that has passed.
_FIRST_LOOK_S, _LAST_LOOK_S, _SHARE = 0.5, 15.0, 0.1


def run_batch(args: argparse.Namespace) -> int:
    """Upload a file and run its lines; return an exit status. Raises UsageError."""
    data = _read(args.file)
    endpoint = _endpoint(data, args.file)
    _check_output(args.out)
    with connect(args) as client:
        batch = client.create_batch(
            data, endpoint=endpoint, window=args.window, name=Path(args.file).name
        )
        again = f"sightline batch wait {batch['id']} --out {args.out}"
        print_note(args, f"{batch['id']}; if this stops, go on with: {again}")
        return _finish(args, client, batch)


def wait_for_batch(args: argparse.Namespace) -> int:
    """Wait for a batch and fetch its results; return an exit status. Raises UsageError."""
    _check_output(args.out)
    with connect(args) as client:
        return _finish(args, client, client.batch(args.batch))


def _read(path: str) -> bytes:
    file = Path(path)
    if not file.is_file():
        raise UsageError(f"File not found: {path}.", "Each line must be one request as JSON.")
    return file.read_bytes()


def _endpoint(data: bytes, path: str) -> str:
    """Return the endpoint that the first line names."""
    try:
        endpoint = json.loads(data.partition(b"\n")[0])["url"]
    except (ValueError, KeyError, TypeError):
        raise UsageError(
            f"The first line of {path} is not a request.",
            'A line looks like {"custom_id": …, "method": "POST", "url": …, "body": …}.',
        ) from None
    return str(endpoint)


def _check_output(path: Path) -> None:
    if path.exists():
        raise UsageError(f"{path} exists.", "Name another file with --out.")
    if not path.parent.is_dir():
        raise UsageError(f"Folder not found: {path.parent}.")


def _finish(args: argparse.Namespace, client: Client, batch: dict[str, Any]) -> int:
    batch = _wait(args, client, batch)
    if batch["status"] in _UNFINISHED:
        print_error(f"{batch['id']} is still {batch['status']}; it goes on.")
        return _TIMEOUT_STATUS
    errors = args.out.with_name(args.out.name + ".errors")
    _fetch(client, batch["output_file_id"], args.out)
    _fetch(client, batch["error_file_id"], errors)
    print_json(args, batch)
    counts = batch["request_counts"]
    failed = f", {counts['failed']} failed: {errors}" if batch["error_file_id"] else ""
    print_note(args, f"{batch['status']}: {counts['completed']} of {counts['total']}{failed}")
    for error in (batch["errors"] or {}).get("data", []):
        print_note(args, f"line {error['line']}: {error['message']}")
    return 0 if batch["status"] == "completed" and not counts["failed"] else 1


def _wait(args: argparse.Namespace, client: Client, batch: dict[str, Any]) -> dict[str, Any]:
    """Return the batch when it has ended, or as it is after --timeout."""
    began, status = time.monotonic(), StatusLine(args)
    try:
        while batch["status"] in _UNFINISHED:
            waited_s = time.monotonic() - began
            if args.timeout is not None and waited_s >= args.timeout:
                break
            counts = batch["request_counts"]
            done = counts["completed"] + counts["failed"]
            status.put(f"{batch['status']} {done}/{counts['total']}")
            time.sleep(min(_LAST_LOOK_S, max(_FIRST_LOOK_S, _SHARE * waited_s)))
            batch = client.batch(batch["id"])
    finally:
        status.clear()
    return batch


def _fetch(client: Client, file_id: str | None, path: Path) -> None:
    """Write a file of the service in one piece, if there is one."""
    if file_id is None:
        return
    part = path.with_name(path.name + ".part")
    part.write_bytes(client.file_content(file_id))
    part.replace(path)
