"""Writes the random model in llama.cpp's form, by llama.cpp's own converter.

python -m bench.cold.convert LLAMA_CPP FOLDER [--tower q8_0] [--text q8_0]

LLAMA_CPP is a folder of its sources, FOLDER gets `text.gguf` and `tower.gguf`. Its converter knows
no tokenizer of bytes: it is given the name of Qwen2's, and one merge, which never comes up.
"""

from __future__ import annotations

import argparse
import importlib
import runpy
import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch

from bench.engine.fullsize import default_folder, ensure_model

_FORMS = ("q8_0", "f16", "bf16", "f32")


def main() -> None:
    """Write both files."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("llama_cpp", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--text", choices=_FORMS, default="q8_0")
    parser.add_argument("--tower", choices=_FORMS, default="q8_0")
    parser.add_argument("--model", type=Path, default=default_folder())
    args = parser.parse_args()
    ensure_model(args.model)
    args.folder.mkdir(parents=True, exist_ok=True)
    _convert(args, args.text, args.folder / "text.gguf")
    _convert(args, args.tower, args.folder / "tower.gguf", "--mmproj")


def _convert(args: argparse.Namespace, form: str, file: Path, *more: str) -> None:
    script = args.llama_cpp / "convert_hf_to_gguf.py"
    # what the converter imports lies beside it
    sys.path[:0] = [str(args.llama_cpp), str(args.llama_cpp / "gguf-py")]
    model = importlib.import_module("conversion.base").TextModel
    vocabulary = importlib.import_module("gguf").SpecialVocab
    command = [str(script), str(args.model), "--outtype", form, "--outfile", str(file), *more]
    with (
        patch.object(sys, "argv", command),
        patch.object(model, "get_vocab_base_pre", lambda *_: "qwen2"),
        patch.object(model, "_set_vocab_sentencepiece", _refuse),
        patch.object(vocabulary, "add_to_gguf", _with_merges(vocabulary.add_to_gguf)),
    ):
        runpy.run_path(str(script), run_name="__main__")


def _refuse(*_: Any, **__: Any) -> None:
    """Say as the converter does that there is no such tokenizer; it tries the other kind then."""
    raise FileNotFoundError


def _with_merges(add: Any) -> Any:
    def add_with_merges(vocabulary: Any, *args: Any, **named: Any) -> None:
        vocabulary.merges = vocabulary.merges or ["a b"]
        add(vocabulary, *args, **named)

    return add_with_merges


if __name__ == "__main__":
    main()
