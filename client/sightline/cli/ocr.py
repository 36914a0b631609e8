"""Reading many files into a folder: several at once, and where it was left off."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

from sightline.cli.asking import options
from sightline.cli.terminal import StatusLine, UsageError, complain, connect, say, show
from sightline.client import Client, Job
from sightline.errors import SightlineError
from sightline.jobs import Answer, answer_of
from sightline.types import SubmitOptions

_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".avif"}
#: A batch is patient with a service that is full or away for a while.
_RETRIES = 30
_BAR = 24


@dataclass(frozen=True, slots=True)
class Task:
    """A file and where its text goes."""

    source: Path
    out: Path

    @property
    def done(self) -> bool:
        """Tell whether the text is there, and as new as the file."""
        return self.out.exists() and self.out.stat().st_mtime >= self.source.stat().st_mtime


@dataclass(slots=True)
class BatchProgress:
    """How far the batch has come."""

    total: int
    kept: int = 0
    read: int = 0
    failed: int = 0
    began: float = field(default_factory=time.monotonic)

    def bar(self) -> str:
        """Return a bar, counts and the time that is left."""
        done = self.kept + self.read + self.failed
        full = _BAR * done // max(1, self.total)
        worked = self.read + self.failed
        text = f"[{'#' * full}{'-' * (_BAR - full)}] {done}/{self.total}"
        if self.failed:
            text += f", {self.failed} failed"
        if worked and done < self.total:
            left = (time.monotonic() - self.began) / worked * (self.total - done)
            text += f", {int(left) // 60}:{int(left) % 60:02} left"
        return text


def ocr(args: argparse.Namespace) -> int:
    """Read files into a folder; what is there already stays."""
    tasks = _tasks([Path(name) for name in args.files], args.out, args.format)
    waiting = [task for task in tasks if args.force or not task.done]
    tally = BatchProgress(len(tasks), kept=len(tasks) - len(waiting))
    args.out.mkdir(parents=True, exist_ok=True)
    line = StatusLine(args)
    line.put(tally.bar())
    with connect(args, retries=_RETRIES) as client:
        _each(waiting, _reader(args, client), args, tally, line)
    line.clear()
    say(args, f"{tally.read} read, {tally.kept} skipped, {tally.failed} failed")
    return 1 if tally.failed else 0


def _each(
    tasks: list[Task],
    read: Callable[[Task], None],
    args: argparse.Namespace,
    tally: BatchProgress,
    line: StatusLine,
) -> None:
    pool = ThreadPoolExecutor(args.parallel)
    try:
        futures: dict[Future[None], Task] = {pool.submit(read, task): task for task in tasks}
        for future in as_completed(futures):
            task, error = futures[future], future.exception()
            if error is None:
                tally.read += 1
            elif isinstance(error, (SightlineError, OSError)):
                tally.failed += 1
                line.clear()
                complain(f"{task.source}: {error}")
            else:
                raise error
            told = {"file": str(task.source), "out": str(task.out)}
            show(args, told | {"error": None if error is None else str(error)})
            line.put(tally.bar())
    except KeyboardInterrupt:
        line.clear()
        complain(f"stopped after {tally.read}; run the same command again to continue")
        # the service finishes what it has, and the next run finds it by its key
        pool.shutdown(wait=False, cancel_futures=True)
        sys.stderr.flush()
        os._exit(130)
    pool.shutdown()


def _reader(args: argparse.Namespace, client: Client) -> Callable[[Task], None]:
    asked = options(args)
    words = json.dumps([args.prompt, asked], sort_keys=True)

    def read(task: Task) -> None:
        data = task.source.read_bytes()
        key = "ocr-" + hashlib.sha256(words.encode() + b"\0" + data).hexdigest()
        answer = _answer(client, data, key, args.prompt, asked)
        _write(task.out, _text(answer, args.format))

    return read


def _answer(
    client: Client, data: bytes, key: str, prompt: str | None, asked: SubmitOptions
) -> Answer:
    """Return the answer; an interrupted run's job is found again by its key."""
    job: Job = client.submit(prompt, data, idempotency_key=key, **asked).wait()
    if job.replayed and job.status != "succeeded":
        # that was another run's misfortune: this one tries anew
        job = client.submit(prompt, data, **asked).wait()
    return answer_of(job.data)


def _text(answer: Answer, form: str) -> str:
    if form == "json":
        told = {"text": answer.text, "fields": answer.fields, "json": answer.json}
        return json.dumps(told | {"job": answer.job["id"]}, ensure_ascii=False, indent=1) + "\n"
    return answer.text + "\n"


def _write(path: Path, text: str) -> None:
    """Write all or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f".{path.name}.part")
    half.write_text(text, encoding="utf-8")
    half.replace(path)


def _tasks(names: list[Path], out: Path, form: str) -> list[Task]:
    tasks = [
        Task(source, out / f"{under}.{form}") for name in names for source, under in _sources(name)
    ]
    seen: dict[Path, Path] = {}
    for task in tasks:
        other = seen.setdefault(task.out, task.source)
        if not other.samefile(task.source):
            raise UsageError(
                f"{other} and {task.source} would both be written to {task.out}.",
                "Pass their common folder instead, or run two commands with different --out.",
            )
    if not tasks:
        raise UsageError("No images found.")
    return list({task.out: task for task in tasks}.values())


def _sources(name: Path) -> list[tuple[Path, Path]]:
    """Return files, and what each is called within the folder of texts."""
    if name.is_dir():
        found = sorted(path for path in name.rglob("*") if path.suffix.lower() in _SUFFIXES)
        return [(path, path.relative_to(name)) for path in found]
    if not name.is_file():
        raise UsageError(f"File not found: {name}.")
    return [(name, Path(name.name))]
