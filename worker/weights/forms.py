"""Forms of models that the engine does not read, by the names of their files."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

_GGUF = "GGUF files are for llama.cpp; use the checkpoint that they were made from"
_ADAPTER = "this is a LoRA adapter; merge it into its base model and save that"
_PICKLED = "pickled weights can run code and are not read; save them as safetensors"
_OTHER_FORMS = {
    "*.gguf": _GGUF,
    "adapter_config.json": _ADAPTER,
    "adapter_model.*": _ADAPTER,
    "*.bin": _PICKLED,
    "*.pt": _PICKLED,
    "*.pth": _PICKLED,
    "*.onnx": "ONNX files are not read; use the checkpoint that they were made from",
}


def explain_other_form(names: Iterable[str]) -> str:
    """Return what a folder with these files is instead of a checkpoint; empty where unknown."""
    held = list(names)
    for pattern, hint in _OTHER_FORMS.items():
        if any(fnmatchcase(name, pattern) for name in held):
            return hint
    return ""
