"""Finds a checkpoint's folder, on this machine or on the hub, and says what else it is if not."""

from __future__ import annotations

import json
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

from shared.long_steps import long_step

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_FILES = ["*.json", "*.jinja", "*.safetensors", "*.txt"]
_GGUF = "GGUF files are for llama.cpp; use the checkpoint that they were made from"
_ADAPTER = "this is a LoRA adapter; merge it into its base model and save that"
_PICKLED = "pickled weights can run code and are not read; save them as safetensors"
#: Forms of models that the engine does not read, by the names of their files.
_OTHER_FORMS = {
    "*.gguf": _GGUF,
    "adapter_config.json": _ADAPTER,
    "adapter_model.*": _ADAPTER,
    "*.bin": _PICKLED,
    "*.pt": _PICKLED,
    "*.pth": _PICKLED,
}
#: Longest reason that is passed on from a library.
_REASON_LETTERS = 300


def find_folder(model: str) -> Path:
    """Return the folder of a checkpoint, downloaded first for a hub id.

    Raises ValueError, in one line that says what there is instead.
    """
    folder = Path(model)
    if not folder.is_dir() and HUB_ID.fullmatch(model) and not folder.exists():
        folder = _fetch(model)
    else:
        _check_folder(folder)
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
    if not (folder / "config.json").is_file():
        raise ValueError(f"the folder has no config.json: {describe_contents(folder)}")
    return folder


def describe_contents(folder: Path) -> str:
    """Return what a folder without a readable model holds, and what to do about it."""
    for pattern, hint in _OTHER_FORMS.items():
        if any(folder.glob(pattern)):
            return hint
    if any(folder.glob("*.safetensors")):
        return "files of the checkpoint are missing; download it again"
    return "it holds no model in the form of transformers"


def read_json(file: Path) -> dict[str, Any]:
    """Return the object in a JSON file, empty without the file; raises ValueError if damaged."""
    if not file.is_file():
        return {}
    try:
        # some editors and tools write a byte order mark
        content = json.loads(file.read_text("utf-8-sig"))
    except ValueError as error:
        raise ValueError(f"{file.name} is damaged: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{file.name} is damaged: it does not contain a JSON object")  # noqa: TRY004
    return content


def describe_error(error: Exception) -> str:
    """Return an error's reason in one line; those that speak for themselves go without a type."""
    reason = " ".join(str(error).split())[:_REASON_LETTERS]
    if not reason or isinstance(error, KeyError):
        return repr(error)[:_REASON_LETTERS]
    return (
        reason if isinstance(error, ValueError | OSError) else f"{type(error).__name__}: {reason}"
    )


def _check_folder(folder: Path) -> None:
    if folder.is_file():
        hint = next((h for form, h in _OTHER_FORMS.items() if folder.match(form)), "")
        raise ValueError(f"a file, not a folder; {hint or 'name the folder of the checkpoint'}")
    if not folder.is_dir():
        raise ValueError("no such folder")


def _megabytes(hub_id: str) -> str:
    """Return how much of a checkpoint is in the hub's cache."""
    from huggingface_hub.constants import HF_HUB_CACHE

    blobs = Path(HF_HUB_CACHE) / f"models--{hub_id.replace('/', '--')}" / "blobs"
    size = 0
    for file in blobs.glob("*"):
        # it may be renamed meanwhile
        with suppress(OSError):
            size += file.stat().st_blocks * 512
    return f"{size / 1e6:,.0f} MB so far"


def _fetch(hub_id: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        with long_step(f"downloading {hub_id}", lambda: _megabytes(hub_id)):
            return Path(snapshot_download(hub_id, allow_patterns=_FILES))
    except Exception as error:
        reason = describe_error(error)
        raise ValueError(f"not a folder, and the hub responded: {reason}") from error
