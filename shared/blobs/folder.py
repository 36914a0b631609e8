"""Blobs in a folder, which may be a volume that several machines share."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from shared.blobs.backend import BackendDown

#: Ends the name of what is being written; no blob's name has a dot.
_UNFINISHED = ".part"
_LIST_SIZE = 500


@contextmanager
def _as_down() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        # without the path, which callers need not know
        raise BackendDown(f"The folder of blobs fails: {error.strerror or error}.") from error


class FolderBackend:
    """A BlobBackend in a file system: written beside, made durable, then renamed."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)

    def put(self, name: str, data: bytes) -> None:
        """Store a blob."""
        writer = self.open_writer(name)
        try:
            writer.write(data)
            writer.close()
        except BackendDown:
            writer.abandon()
            raise

    def open_writer(self, name: str) -> FolderWriter:
        """Return a writer of a new blob."""
        with _as_down():
            return FolderWriter(self._folder / name)

    def get(self, name: str) -> bytes | None:
        """Return a blob; None if there is none."""
        with _as_down():
            try:
                return (self._folder / name).read_bytes()
            except FileNotFoundError:
                return None

    def get_range(self, name: str, first: int, end: int) -> bytes | None:
        """Return the bytes from `first` up to `end`; None if there is no such blob."""
        with _as_down():
            try:
                with (self._folder / name).open("rb") as file:
                    file.seek(first)
                    return file.read(end - first)
            except FileNotFoundError:
                return None

    def size(self, name: str) -> int | None:
        """Return the bytes of a blob; None if there is none."""
        with _as_down():
            try:
                return (self._folder / name).stat().st_size
            except FileNotFoundError:
                return None

    def delete(self, names: Sequence[str]) -> None:
        """Delete blobs."""
        with _as_down():
            for name in names:
                (self._folder / name).unlink(missing_ok=True)

    def iter_older(self, folder: str, than_s: float) -> Iterator[list[str]]:
        """Yield names of blobs and of what was never finished."""
        before, old = time.time() - than_s, list[str]()
        with _as_down():
            for root, _, names in os.walk(self._folder / folder, onerror=_raise):
                for name in names:
                    path = Path(root) / name
                    if _changed_before(path, before):
                        old.append(str(path.relative_to(self._folder)))
                    if len(old) == _LIST_SIZE:
                        yield old
                        old = []
        if old:
            yield old

    def sign(self, method: str, name: str, for_s: int) -> str | None:  # noqa: ARG002
        """Return None: a folder has no URLs."""
        return None


class FolderWriter:
    """A file that takes its name when it is closed."""

    def __init__(self, path: Path) -> None:
        """Make the file beside its place; raises OSError."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._draft = path.with_name(f"{path.name}-{secrets.token_hex(4)}{_UNFINISHED}")
        self._file: BinaryIO = self._draft.open("xb")

    def write(self, data: bytes) -> None:
        """Add to it."""
        with _as_down():
            self._file.write(data)

    def close(self) -> None:
        """Make it durable, then let it be there."""
        with _as_down():
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._draft.rename(self._path)
            _make_names_durable(self._path.parent)

    def abandon(self) -> None:
        """Leave nothing of it."""
        with suppress(OSError):
            self._file.close()
        with suppress(OSError):
            self._draft.unlink(missing_ok=True)


def _make_names_durable(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _changed_before(path: Path, before: float) -> bool:
    try:
        return path.stat().st_mtime < before
    except FileNotFoundError:
        return False


def _raise(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error
