"""What a place for blobs must be able to do, and how it says that it cannot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol


class BackendDown(Exception):
    """The place does not answer or refuses; the message is one sentence for operators."""


class BlobWriter(Protocol):
    """A blob that is written piece by piece; nobody sees it before `close`."""

    def write(self, data: bytes) -> None:
        """Add to it; raises BackendDown."""

    def close(self) -> None:
        """Let it be there; raises BackendDown."""

    def abandon(self) -> None:
        """Leave nothing of it, as far as that can be had; raises nothing."""


class BlobBackend(Protocol):
    """A place for blobs; all methods block and raise BackendDown.

    A name is made of parts with slashes between them, each of letters, digits, `-` and `_`.
    """

    def put(self, name: str, data: bytes) -> None:
        """Store a blob; it is there as a whole or not at all, also after a power cut."""

    def open_writer(self, name: str) -> BlobWriter:
        """Return a writer of a new blob."""

    def get(self, name: str) -> bytes | None:
        """Return a blob; None if there is none."""

    def get_range(self, name: str, first: int, end: int) -> bytes | None:
        """Return the bytes from `first` up to `end`; None if there is no such blob."""

    def size(self, name: str) -> int | None:
        """Return the bytes of a blob; None if there is none."""

    def delete(self, names: Sequence[str]) -> None:
        """Delete blobs; those that are gone already count as deleted."""

    def iter_older(self, folder: str, than_s: float) -> Iterator[list[str]]:
        """Yield names below a folder that were last changed more than `than_s` seconds ago."""

    def sign(self, method: str, name: str, for_s: int) -> str | None:
        """Return a URL that lets its holder GET or PUT a blob; None where there are none."""
