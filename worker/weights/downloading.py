"""Downloads one file: goes on where it was cut, and gives out only what the list promises."""

from __future__ import annotations

import errno
import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import httpx

from worker.weights.errors import (
    OTHER_PLACES,
    DiskFull,
    ServerDown,
    Unfinished,
    WeightsError,
    WrongChecksum,
)
from worker.weights.listing import RemoteFile
from worker.weights.requests import Patience, Requests, Transient

_PIECE = 1 << 20
#: Bytes that an attempt must bring to count as one that helped.
_HELPFUL = 1 << 16
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_NOT_WRITABLE = (errno.EROFS, errno.EACCES, errno.EPERM)
_RANGE = re.compile(r"bytes (\d+)-")


def download_file(requests: Requests, file: RemoteFile, part: Path) -> None:
    """Leave the whole file, checked, at `part`, which may hold its beginning.

    Raises WeightsError; what came stays for the next attempt, except where it is wrong.
    """
    for last in (False, True):
        with explaining_disk(part):
            _fetch_rest(requests, file, part)
            if is_right(part, file):
                return
            part.unlink()
        if last:
            raise WrongChecksum(
                f"{file.name} came twice with other bytes than its checksum says; {OTHER_PLACES}"
            )


def is_right(path: Path, file: RemoteFile) -> bool:
    """Tell whether a file has the size and the digest that the list promises."""
    return path.stat().st_size == file.size and compute_digest(path, file) == file.digest


def compute_digest(path: Path, file: RemoteFile) -> str:
    """Return the digest of a file's bytes, of the kind that the list has of it."""
    if file.sha256:
        digest = hashlib.sha256()
    else:
        # as git names a file of these bytes
        digest = hashlib.sha1(f"blob {file.size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as opened:
        while piece := opened.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()


@contextmanager
def explaining_disk(place: Path) -> Iterator[None]:
    """Turn what a disk refuses into WeightsError."""
    try:
        yield
    except OSError as error:
        raise explain_disk(error, place) from error


def explain_disk(error: OSError, place: Path) -> WeightsError:
    """Return why a file cannot be written, and what to do."""
    if error.errno in _NO_ROOM:
        return DiskFull(f"the disk of {place.parent} is full: make room, or set another folder")
    if error.errno in _NOT_WRITABLE:
        return Unfinished(
            f"{place.parent} cannot be written ({error.strerror}), and the model is not whole"
            " there: download it where the folder can be written"
        )
    return Unfinished(f"{error.strerror or error} at {place}")


def _fetch_rest(requests: Requests, file: RemoteFile, part: Path) -> None:
    patience = Patience(requests.stopping)
    while True:
        try:
            with part.open("ab") as out:
                if out.tell() > file.size:
                    _begin_anew(out)
                if out.tell() < file.size:
                    _receive(requests, file, out, patience)
                out.flush()
                os.fsync(out.fileno())
        except Transient as failure:
            patience.pause(failure)
        else:
            return


def _receive(requests: Requests, file: RemoteFile, out: BinaryIO, patience: Patience) -> None:
    """Append what is missing; raises Transient where the connection ends before."""
    begun = out.tell()
    headers = {"Range": f"bytes={begun}-{file.size - 1}"} if begun else {}
    with requests.stream(file.url, headers) as response:
        if begun and not _continues(response, begun):
            # a server that knows no ranges sends all of it
            _begin_anew(out)
            begun = 0
            if response.status_code != 200:
                raise Transient(ServerDown(f"{response.url.host} sent another part of {file.name}"))
        for piece in response.iter_bytes():
            if requests.stopping.is_set():
                raise ServerDown("stopped")
            if out.tell() + len(piece) > file.size:
                # the checksum says that these are other bytes
                return
            out.write(piece)
            if out.tell() - begun >= _HELPFUL:
                patience.note_success()
    if out.tell() < file.size:
        raise Transient(
            ServerDown(
                f"{response.url.host} sent {out.tell()} of {file.size} bytes of {file.name};"
                f" {OTHER_PLACES}"
            )
        )


def _begin_anew(out: BinaryIO) -> None:
    out.seek(0)
    out.truncate()


def _continues(response: httpx.Response, begun: int) -> bool:
    """Tell whether a response begins with the byte that was asked for."""
    answered = _RANGE.match(response.headers.get("Content-Range", ""))
    return response.status_code == 206 and answered is not None and int(answered[1]) == begun
