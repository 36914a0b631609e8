"""The command `ocr`: prints the text of one file, or reads many into a folder, in parallel."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sightline.cli.reading import (
    FileReader,
    export_answer,
    is_partial,
    warnings_of,
)
from sightline.cli.terminal import (
    StatusLine,
    UsageError,
    connect,
    print_error,
    print_json,
    print_note,
    progress_line,
    wants_json,
)
from sightline.client import Client
from sightline.errors import SightlineError
from sightline.jobs import Answer, answer_of
from sightline.types import JobData

_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".avif", ".pdf"}
#: A batch waits for a service that is full or down for a while.
_RETRIES = 30
_BAR_CHARS = 24
_NAMES_SHOWN = 5


@dataclass(frozen=True, slots=True)
class ReadTask:
    """A file and where its text goes."""

    source: Path
    out: Path

    @property
    def up_to_date(self) -> bool:
        """Tell whether the whole text exists and is as new as the file."""
        if self.gaps.exists() or not self.out.exists():
            return False
        return self.out.stat().st_mtime >= self.source.stat().st_mtime

    @property
    def gaps(self) -> Path:
        """Return the mark beside a text that has gaps, which the next run fills."""
        return self.out.with_name(f".{self.out.name}.gaps")


@dataclass(slots=True)
class BatchProgress:
    """Counts of a batch; `skipped` files had a text already."""

    total: int
    skipped: int = 0
    read: int = 0
    failed: int = 0
    #: Files whose text was cut off at the longest answer, and files without any text.
    cut_off: list[Path] = field(default_factory=list)
    empty: list[Path] = field(default_factory=list)
    #: Documents with pages, or images with parts, that could not be read.
    partial: list[Path] = field(default_factory=list)
    #: Of the documents that are being read: pages that are ready, and all.
    pages: dict[Path, tuple[int, int]] = field(default_factory=dict)
    #: By code: what warnings say, and the files that they are about.
    warnings: dict[str, tuple[str, list[Path]]] = field(default_factory=dict)
    started_s: float = field(default_factory=time.monotonic)

    def bar(self) -> str:
        """Return a bar, the counts and the remaining time."""
        done = self.skipped + self.read + self.failed
        full = _BAR_CHARS * done // max(1, self.total)
        processed = self.read + self.failed
        text = f"[{'#' * full}{'-' * (_BAR_CHARS - full)}] {done}/{self.total}"
        if self.failed:
            text += f", {self.failed} failed"
        ready = [sum(counts) for counts in zip(*self.pages.copy().values(), strict=True)]
        if ready:
            text += f", page {ready[0]}/{ready[1]}"
        if processed and done < self.total:
            left = (time.monotonic() - self.started_s) / processed * (self.total - done)
            text += f", {int(left) // 60}:{int(left) % 60:02} left"
        return text


def read_files(args: argparse.Namespace) -> int:
    """Read files into a folder, without those that are up to date; return 1 if one failed.

    Without a folder, the text of one file is printed. Raises UsageError for files that are missing
    or clash or need a folder, and for one file JobFailed.
    """
    if args.out is None:
        return _print_text(args)
    tasks = _plan_tasks([Path(name) for name in args.files], args.out, args.format)
    waiting = [task for task in tasks if args.force or not task.up_to_date]
    progress = BatchProgress(len(tasks), skipped=len(tasks) - len(waiting))
    args.out.mkdir(parents=True, exist_ok=True)
    line = StatusLine(args)
    line.put(progress.bar())
    with connect(args, retries=_RETRIES) as client:
        _read_all(waiting, _make_reader(args, client, progress, line), args, progress, line)
    line.clear()
    print_note(args, f"{progress.read} read, {progress.skipped} skipped, {progress.failed} failed")
    _tell_doubts(args, progress)
    _tell_ignored(args)
    return 1 if progress.failed or progress.partial else 0


def _print_text(args: argparse.Namespace) -> int:
    """Print the text of the only file; return 1 if it has gaps."""
    source = _only_source(args)
    line, progress = StatusLine(args), BatchProgress(1)
    with connect(args, retries=_RETRIES) as client:
        try:
            reader = FileReader.of(client, args)
            job = reader.read(source, lambda data: line.put(progress_line(data)))
        finally:
            line.clear()
        answer = answer_of(job.data)
        print_json(args, job.data)
        if not wants_json(args):
            print(export_answer(job, answer, args.format).decode(), end="")
    _note_doubts(ReadTask(source, source), answer, progress)
    _tell_doubts(args, progress)
    return 1 if progress.partial else 0


def _only_source(args: argparse.Namespace) -> Path:
    """Return the file whose text can be printed; raises UsageError."""
    example = f"sightline ocr {' '.join(args.files)} --out texts"
    if len(args.files) > 1 or Path(args.files[0]).is_dir():
        raise UsageError("Several files need a folder for their texts: --out DIR.", example)
    if args.format == "pdf":
        raise UsageError("A PDF needs a folder: --out DIR.", f"{example} --format pdf")
    ((source, _),) = _list_sources(Path(args.files[0]))
    return source


def _tell_doubts(args: argparse.Namespace, progress: BatchProgress) -> None:
    """Print which texts are not whole, or empty."""
    if progress.cut_off:
        print_note(
            args,
            f"cut off at the answer limit; read them again with a larger --max-tokens: "
            f"{_some_names(progress.cut_off)}",
        )
    if progress.partial:
        print_note(
            args, f"with gaps, run the command again to fill them: {_some_names(progress.partial)}"
        )
    if progress.empty:
        print_note(args, f"no text: {_some_names(progress.empty)}")
    for detail, about in progress.warnings.values():
        example = detail if len(about) == 1 else f"{len(about)} files, such as: {detail}"
        print_note(args, f"note: {example} ({_some_names(about)})")


def _tell_ignored(args: argparse.Namespace) -> None:
    """Print which files of the folders are no images, by their names."""
    ignored = [
        path
        for name in map(Path, args.files)
        if name.is_dir()
        for path in sorted(name.rglob("*"))
        if path.is_file() and path.suffix.lower() not in _SUFFIXES
    ]
    if ignored:
        print_note(
            args,
            f"skipped, not named like images or documents: {_some_names(ignored)}",
        )


def _some_names(paths: Sequence[Path]) -> str:
    shown = ", ".join(map(str, paths[:_NAMES_SHOWN]))
    more = len(paths) - _NAMES_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown


def _read_all(
    tasks: list[ReadTask],
    read: Callable[[ReadTask], Answer],
    args: argparse.Namespace,
    progress: BatchProgress,
    line: StatusLine,
) -> None:
    pool = ThreadPoolExecutor(args.parallel)
    try:
        futures: dict[Future[Answer], ReadTask] = {pool.submit(read, task): task for task in tasks}
        for future in as_completed(futures):
            task, error = futures[future], future.exception()
            if error is None:
                progress.read += 1
                _note_doubts(task, future.result(), progress)
            elif isinstance(error, (SightlineError, OSError)):
                progress.failed += 1
                line.clear()
                print_error(f"{task.source}: {error}")
            else:
                raise error
            record: dict[str, Any] = {"file": str(task.source), "out": str(task.out)}
            cut_off = error is None and future.result().truncated
            record |= {"error": None if error is None else str(error), "truncated": cut_off}
            print_json(args, record)
            line.put(progress.bar())
    except KeyboardInterrupt:
        line.clear()
        print_error(f"stopped after {progress.read}; run the same command again to continue")
        # the service finishes submitted jobs, and the next run finds them by their keys
        pool.shutdown(wait=False, cancel_futures=True)
        sys.stderr.flush()
        os._exit(130)
    pool.shutdown()


def _note_doubts(task: ReadTask, answer: Answer, progress: BatchProgress) -> None:
    if answer.truncated:
        progress.cut_off.append(task.source)
    if is_partial(answer):
        progress.partial.append(task.source)
    for warning in warnings_of(answer):
        _, about = progress.warnings.setdefault(warning["code"], (warning["detail"], []))
        about.append(task.source)
    if not answer.text.strip():
        progress.empty.append(task.source)


def _make_reader(
    args: argparse.Namespace, client: Client, progress: BatchProgress, line: StatusLine
) -> Callable[[ReadTask], Answer]:
    reader = FileReader.of(client, args)

    def read(task: ReadTask) -> Answer:
        def show(job: JobData) -> None:
            counts = job["progress"] or {}
            if counts.get("pages_total"):
                progress.pages[task.source] = (counts["pages_done"], counts["pages_total"])
                line.put(progress.bar())

        try:
            job = reader.read(task.source, show)
        finally:
            progress.pages.pop(task.source, None)
        answer = answer_of(job.data)
        _write(task.out, export_answer(job, answer, args.format))
        if is_partial(answer):
            _write(task.gaps, job.id.encode())
        else:
            task.gaps.unlink(missing_ok=True)
        return answer

    return read


def _write(path: Path, data: bytes) -> None:
    """Write the whole file or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.part")
    partial.write_bytes(data)
    partial.replace(path)


def _plan_tasks(names: list[Path], out: Path, form: str) -> list[ReadTask]:
    listed = [entry for name in names for entry in _list_sources(name)]
    stems = Counter(under.with_suffix("") for _, under in dict(listed).items())
    tasks = [
        ReadTask(source, out / _name_output(under, form, alone=stems[under.with_suffix("")] == 1))
        for source, under in listed
    ]
    sources: dict[Path, Path] = {}
    read = {source.resolve() for source, _ in listed}
    for task in tasks:
        if task.out.resolve() in read:
            raise UsageError(
                f"{task.out} would overwrite itself.", "Choose another folder with --out."
            )
        other = sources.setdefault(task.out, task.source)
        if not other.samefile(task.source):
            raise UsageError(
                f"{other} and {task.source} would both be written to {task.out}.",
                "Pass their common folder instead, or run two commands with different --out.",
            )
    if not tasks:
        raise UsageError("No images or documents found.")
    return list({task.out: task for task in tasks}.values())


def _name_output(under: Path, form: str, *, alone: bool) -> Path:
    """Return `invoice.txt`; `invoice.png.txt` beside another file of that stem."""
    return under.with_suffix(f".{form}") if alone else under.with_name(f"{under.name}.{form}")


def _list_sources(name: Path) -> list[tuple[Path, Path]]:
    """Return the image files under a name, each with its path within the output folder."""
    if name.is_dir():
        images = sorted(path for path in name.rglob("*") if path.suffix.lower() in _SUFFIXES)
        return [(path, path.relative_to(name)) for path in images]
    if not name.is_file():
        raise UsageError(f"File not found: {name}.")
    return [(name, Path(name.name))]
