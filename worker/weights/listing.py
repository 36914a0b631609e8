"""The files of a model on a server, and which of them are needed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from worker.weights.errors import NotReadable, ServerDown
from worker.weights.forms import explain_other_form

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
#: Beside the weights: configuration, tokenizer, templates.
SMALL = (".json", ".jinja", ".txt", ".model")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SHA1 = re.compile(r"[0-9a-f]{40}")
#: No folder, no file that a shell hides, nothing that leads elsewhere.
_PLAIN_NAME = re.compile(r"[\w][\w.@+ -]*", re.ASCII)
_MAX_FILES = 2000


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file as the server lists it."""

    name: str
    size: int
    url: str
    #: Hexadecimal digest of the bytes, or that which git gives them; the server has one of both.
    sha256: str = ""
    git_sha1: str = ""

    @property
    def digest(self) -> str:
        """The digest that names the file's bytes."""
        return self.sha256 or self.git_sha1


@dataclass(frozen=True, slots=True)
class Listing:
    """All files of one revision of a model."""

    #: Names these contents and no others.
    revision: str
    files: tuple[RemoteFile, ...]

    def find(self, name: str) -> RemoteFile | None:
        """Return the file of that name."""
        return next((file for file in self.files if file.name == name), None)


def make_file(
    name: object, size: object, url: str, digests: Mapping[str, object]
) -> RemoteFile | None:
    """Return a file of a server's list; None for one that is not of the model's own folder.

    `digests` has `sha256`, or `git_sha1`. Raises ServerDown for an entry that cannot be meant.
    """
    if not isinstance(name, str) or not _PLAIN_NAME.fullmatch(name):
        return None
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise ServerDown(f"the server lists {name} with the size {size!r}")
    sha256, git_sha1 = (str(digests.get(kind) or "").lower() for kind in ("sha256", "git_sha1"))
    return RemoteFile(name, size, url, sha256, git_sha1)


def check_digests(files: Iterable[RemoteFile]) -> None:
    """Raise ServerDown unless the bytes of each file can be checked."""
    for file in files:
        if not (_SHA256.fullmatch(file.sha256) or _SHA1.fullmatch(file.git_sha1)):
            raise ServerDown(
                f"the server lists {file.name} without a checksum, so it cannot be checked"
            )


def choose_small(listing: Listing) -> list[RemoteFile]:
    """Return the files beside the weights, with the index of these.

    Raises NotReadable, before anything large is fetched, for a model that is in no form we read.
    """
    names = [file.name for file in listing.files]
    if "config.json" not in names or not any(name.endswith(".safetensors") for name in names):
        reason = explain_other_form(names) or "it holds no model in the form of transformers"
        raise NotReadable(reason)
    small = [file for file in listing.files if file.name.endswith(SMALL)]
    if len(small) > _MAX_FILES:
        raise NotReadable(f"it has {len(small)} files beside its weights")
    return small


def choose_weights(listing: Listing, index: bytes | None) -> list[RemoteFile]:
    """Return the files of weights that `index`, the contents of that file, names.

    Without it model.safetensors alone. Raises NotReadable where one is missing.
    """
    names = sorted(read_index(index)) if index is not None else [SINGLE]
    listed = [listing.find(name) for name in names]
    missing = [name for name, file in zip(names, listed, strict=True) if file is None]
    if missing:
        raise NotReadable(
            f"{len(missing)} of its {len(names)} weight files are missing: {missing[0]}"
        )
    return [file for file in listed if file is not None]


def read_index(index: bytes) -> Iterable[str]:
    """Return the files that an index spreads its tensors over; raises NotReadable if damaged."""
    try:
        content: Any = json.loads(index)
        names = set(content["weight_map"].values())
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise NotReadable(f"{INDEX} is damaged") from error
    if not names or len(names) > _MAX_FILES or not all(isinstance(name, str) for name in names):
        raise NotReadable(f"{INDEX} is damaged: it names no files of weights")
    return names
