"""The files beside the weights of a checkpoint."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from worker.engine.checkpoint.folder import read_json


def test_a_file_with_a_byte_order_mark_is_read_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    for mark in ("", "\ufeff"):
        file.write_text(mark + json.dumps({"model_type": "qwen3_vl"}), encoding="utf-8")
        assert read_json(file) == {"model_type": "qwen3_vl"}
    for damaged in (b"{", b"\xff\xfe{\x00}\x00", b"[]"):
        file.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"config\.json is damaged"):
            read_json(file)
