"""Reads a checkpoint's tensors straight from its memory-mapped files."""

from __future__ import annotations

import hashlib
import json
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError, safe_open

from shared.long_steps import HowFar
from worker.engine.checkpoint.folder import describe_contents

_INDEX = "model.safetensors.index.json"
_METADATA = "__metadata__"
#: Bytes of each tensor that a revision depends on.
_SAMPLE = 4096


@dataclass(frozen=True, slots=True)
class TensorHeader:
    """What a file says of a tensor before its values are read."""

    shape: tuple[int, ...]
    #: As safetensors names it: BF16, F32, U8, F8_E4M3 and so on.
    dtype: str


class TensorSource(Protocol):
    """Anything that returns a model's tensors by their checkpoint names."""

    def __contains__(self, name: object, /) -> bool:
        """Tell whether there is a tensor of that name."""

    def get(self, name: str) -> torch.Tensor:
        """Return the tensor; raises KeyError when the checkpoint has none of that name."""


#: What git leaves in place of a large file where its extension LFS is not installed.
_POINTER = b"version https://git-lfs"
_POINTER_REASON = "is a pointer of Git LFS, not the weights: run git lfs pull in that folder"


class WeightFiles:
    """The safetensors files of a folder; a tensor's pages are read when they are touched."""

    def __init__(self, folder: Path) -> None:
        """Open the files; raises FileNotFoundError without weights, ValueError for damaged ones."""
        self._stack = ExitStack()
        self._by_name: dict[str, Any] = {}
        self._read: set[str] = set()
        for path in _weight_files(folder):
            try:
                handle = self._stack.enter_context(safe_open(path, framework="pt"))
            except SafetensorError as error:
                if _is_pointer(path):
                    raise ValueError(f"{path.name} {_POINTER_REASON}") from error
                raise ValueError(f"{path.name} is damaged, download it again: {error}") from error
            self._by_name |= dict.fromkeys(handle.keys(), handle)

    def __contains__(self, name: object, /) -> bool:
        """Tell whether there is a tensor of that name."""
        return name in self._by_name

    def headers(self) -> dict[str, TensorHeader]:
        """Return the shape and the type of every tensor by its name; no values are read."""
        slices = {name: file.get_slice(name) for name, file in self._by_name.items()}
        return {
            name: TensorHeader(tuple(part.get_shape()), part.get_dtype())
            for name, part in slices.items()
        }

    def get(self, name: str) -> torch.Tensor:
        """Return a tensor that shares the file's pages; raises KeyError for an unknown name."""
        tensor: torch.Tensor = self._by_name[name].get_tensor(name)
        self._read.add(name)
        return tensor

    def how_far(self) -> HowFar:
        """Return which part of the tensors was asked for."""
        return HowFar(len(self._read) / max(1, len(self._by_name)))


def _is_pointer(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_POINTER)) == _POINTER


def revision_of(folder: Path) -> str:
    """Return 16 hex digits that change with the configuration or the weights.

    Of the weights, each file's header and the middle 4 KiB of every tensor count: that is cheap,
    and notices when only a part was trained further. The files must be whole; raises
    FileNotFoundError without config.json or weights.
    """
    digest = hashlib.sha256((folder / "config.json").read_bytes())
    for path in _weight_files(folder):
        digest.update(path.name.encode())
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            header = file.read(size)
            digest.update(header)
            tensors = {name: at for name, at in json.loads(header).items() if name != _METADATA}
            for begin, end in sorted(at["data_offsets"] for at in tensors.values()):
                file.seek(8 + size + max(begin, (begin + end - _SAMPLE) // 2))
                digest.update(file.read(min(_SAMPLE, end - begin)))
    return digest.hexdigest()[:16]


def _weight_files(folder: Path) -> list[Path]:
    """Return the files in the order of their names; raises FileNotFoundError for missing ones."""
    index = folder / _INDEX
    if not index.is_file():
        single = folder / "model.safetensors"
        if not single.is_file():
            raise FileNotFoundError(f"no model.safetensors: {describe_contents(folder)}")
        return [single]
    files = sorted(folder / name for name in set(_weight_map(index).values()))
    missing = [path.name for path in files if not path.is_file()]
    if missing:
        raise FileNotFoundError(
            f"{len(missing)} of {len(files)} weight files are missing, as {missing[0]}: "
            "download the checkpoint again"
        )
    return files


def _weight_map(index: Path) -> dict[str, str]:
    """Return the file of each tensor; raises ValueError for a damaged index."""
    try:
        files: dict[str, str] = json.loads(index.read_text("utf-8-sig"))["weight_map"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{index.name} is damaged: download it again") from error
    if not isinstance(files, dict) or not files:
        raise ValueError(f"{index.name} is damaged: it names no file of weights")
    return files
