"""One model in a cache, laid out as huggingface_hub lays out its own, so that both share files.

`blobs/` has whole, checked files by their digest, `snapshots/<revision>/` links to them by their
names, `refs/<name>` says which revision a name stands for. In `sightline/` are the files that are
only begun, the lock, and a manifest of each revision, written last: without it, none is whole.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import re
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from worker.weights.downloading import explain_disk
from worker.weights.errors import Unfinished, WeightsError
from worker.weights.listing import INDEX, SINGLE, SMALL, Listing, RemoteFile, read_index

_log = logging.getLogger(__name__)

_REVISION = re.compile(r"[0-9a-f]{40}")
_LOOK_S = 0.5
_TOKENIZERS = ("tokenizer.json", "vocab.json", "tokenizer.model")


class ModelFolder:
    """The folder of one model; several processes and machines may use it at once."""

    def __init__(self, cache: Path, model: str) -> None:
        self.path = cache / f"models--{model.replace('/', '--')}"
        self._own = self.path / "sightline"
        #: Follows the names of files that are only begun, where no lock keeps others away.
        self._mark = ""

    def find_whole(self, revision: str) -> Path | None:
        """Return the folder of a revision all of whose files are there; None without it."""
        commit = self._commit(revision)
        manifest = _read_json(self._own / f"{commit}.json") if commit else {}
        snapshot = self.path / "snapshots" / commit
        whole = bool(manifest) and all(
            _size(snapshot / name) == size for name, size in manifest.items()
        )
        return snapshot if whole else None

    def find_foreign(self, revision: str) -> Path | None:
        """Return a folder that another program fetched and that looks whole; None without one."""
        commit = self._commit(revision)
        snapshot = self.path / "snapshots" / commit
        return snapshot if commit and _looks_whole(snapshot) else None

    def prepare(self) -> None:
        """Make the folders; raises WeightsError where that is not allowed."""
        try:
            for name in ("blobs", "refs", "snapshots", "sightline/parts"):
                (self.path / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise explain_disk(error, self.path / "blobs") from error

    def blob(self, file: RemoteFile) -> Path:
        """Return where the whole file is, or will be."""
        return self.path / "blobs" / file.digest

    def part(self, file: RemoteFile) -> Path:
        """Return where the file is while it is fetched."""
        return self._own / "parts" / (file.digest + self._mark)

    def plan(self, files: Iterable[RemoteFile]) -> None:
        """Note which files are to come, for those who wait."""
        sizes = {file.digest: file.size for file in files}
        _write(self._own / "plan.json", json.dumps(sizes))

    def measure(self) -> tuple[int, int]:
        """Return how many bytes are there, and how many of how many are to be; 0 while unknown."""
        sizes = _read_json(self._own / "plan.json")
        there = sum(min(size, self._held(digest)) for digest, size in sizes.items())
        return there, sum(sizes.values())

    def publish(self, listing: Listing, files: Iterable[RemoteFile], revision: str) -> Path:
        """Make a revision of whole files, and say last that it is whole."""
        snapshot = self.path / "snapshots" / listing.revision
        snapshot.mkdir(parents=True, exist_ok=True)
        for file in files:
            _link(self.blob(file), snapshot / file.name)
        if revision != listing.revision:
            _write(self.path / "refs" / revision, listing.revision)
        manifest = {file.name: file.size for file in files}
        _write(self._own / f"{listing.revision}.json", json.dumps(manifest, indent=1))
        self._tidy()
        return snapshot

    def _tidy(self) -> None:
        """Remove what is only begun, of revisions that nobody fetches any more."""
        for part in (self._own / "parts").glob(f"*{self._mark}"):
            part.unlink(missing_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep others from fetching the same; waits as long as one of them does.

        A killed process leaves no lock behind. Without locks (some network file systems have none)
        each fetches for itself, under names of its own.
        """
        with (self._own / "lock").open("ab") as lock:
            if not _acquire(lock):
                _log.warning("weights.no_lock", extra={"folder": str(self.path)})
                self._mark = f".{socket.gethostname()}.{os.getpid()}"
            yield

    def _commit(self, revision: str) -> str:
        """Return what a revision stands for here; empty where it is not known."""
        # ModelScope's commits too stand for contents that have another name here
        with contextlib.suppress(OSError):
            named = (self.path / "refs" / revision).read_text().strip()
            return named if _REVISION.fullmatch(named) else ""
        return revision if _REVISION.fullmatch(revision) else ""

    def _held(self, digest: str) -> int:
        places = (self.path / "blobs" / digest, self._own / "parts" / digest)
        return max(_size(place) or 0 for place in places)


def _acquire(lock: IO[bytes]) -> bool:
    """Wait for the lock; return False where the file system has none."""
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_LOOK_S)
        except OSError:
            return False
        else:
            return True


def _link(blob: Path, place: Path) -> None:
    """Put a file under its name: as a link, or itself where there are no links."""
    if place.exists() and place.resolve() == blob.resolve():
        return
    new = place.with_name(f".{place.name}.{os.getpid()}")
    new.unlink(missing_ok=True)
    try:
        new.symlink_to(os.path.relpath(blob, place.parent))
    except OSError:
        blob.replace(place)
    else:
        new.replace(place)


def _looks_whole(folder: Path) -> bool:
    """Tell whether a configuration, a tokenizer and all weights are there, to their last byte."""
    try:
        list_whole(folder)
    except (WeightsError, OSError):
        return False
    return True


def list_whole(folder: Path) -> list[Path]:
    """Return the files of a model's folder that an engine needs, and no others.

    Raises Unfinished where a configuration, a tokenizer or a part of the weights is missing,
    NotReadable for a damaged index.
    """
    index = folder / INDEX
    spread = read_index(index.read_bytes()) if index.is_file() else [SINGLE]
    weights = [folder / name for name in sorted(spread)]
    cut = next((file.name for file in weights if not _ends_where_it_says(file)), None)
    if cut:
        raise Unfinished(f"{folder / cut} is missing or not whole")
    small = sorted(file for file in folder.iterdir() if file.name.endswith(SMALL))
    names = {file.name for file in small}
    if "config.json" not in names or not names.intersection(_TOKENIZERS):
        raise Unfinished(f"{folder} has no configuration or no tokenizer")
    return [*small, *weights]


def _ends_where_it_says(weights: Path) -> bool:
    """Tell whether a safetensors file is there, and as long as its header says."""
    try:
        with weights.open("rb") as opened:
            length = int.from_bytes(opened.read(8), "little")
            if length > weights.stat().st_size:
                return False
            header: dict[str, Any] = json.loads(opened.read(length))
        ends = [at["data_offsets"][1] for name, at in header.items() if name != "__metadata__"]
        return weights.stat().st_size == 8 + length + max(ends, default=0)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _size(path: Path) -> int | None:
    with contextlib.suppress(OSError):
        return path.stat().st_size
    return None


def _read_json(file: Path) -> dict[str, int]:
    with contextlib.suppress(OSError, ValueError):
        content = json.loads(file.read_text("utf-8"))
        return content if isinstance(content, dict) else {}
    return {}


def _write(file: Path, text: str) -> None:
    """Write a file so that others see all of it or none."""
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name(f".{file.name}.{socket.gethostname()}.{os.getpid()}")
    with new.open("w", encoding="utf-8") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    new.replace(file)
