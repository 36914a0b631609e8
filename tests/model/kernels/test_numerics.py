"""`SIGHTLINE_NUMERICS=auto`: the fastest numerics that is about as right as bfloat16."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch")

from shared.settings import Settings
from worker.engine.checkpoint.opening import open_checkpoint
from worker.engine.checkpoint.tensors import list_tensors
from worker.engine.config import ModelShape
from worker.engine.kernels.instructions import choose_instructions
from worker.engine.loader import ModelNotLoadable, load_model
from worker.engine.memory.weight_need import weight_bytes
from worker.engine.model_check import describe_arithmetic
from worker.engine.ops import numerics

pytestmark = pytest.mark.model


@pytest.fixture
def shape(bundled: Path) -> ModelShape:
    return open_checkpoint(bundled).shape


def test_the_setting_comes_before_the_checkpoint(shape: ModelShape) -> None:
    chosen = numerics.choose_numerics(Settings(numerics="fp32"), shape, "int8")
    assert chosen.name == "fp32"
    assert "SIGHTLINE_NUMERICS" in chosen.reason


def test_the_checkpoint_comes_before_the_cpu(shape: ModelShape) -> None:
    chosen = numerics.choose_numerics(Settings(), shape, "int4")
    assert chosen.name == "int4"
    assert "sightline.json" in chosen.reason


@pytest.mark.skipif(choose_instructions() is None, reason="this CPU has no kernels")
def test_kernels_compute_int8(shape: ModelShape) -> None:
    assert numerics.choose_numerics(Settings(), shape, None).name == "int8"


@pytest.mark.parametrize(("levels", "name"), [(127, "int8"), (63, "bf16"), (None, "bf16")])
def test_without_kernels_the_exactness_of_int8_decides(
    shape: ModelShape, monkeypatch: pytest.MonkeyPatch, levels: int | None, name: str
) -> None:
    def try_out() -> int:
        if levels is None:
            raise ValueError
        return levels

    monkeypatch.setattr(numerics, "int8_levels", try_out)
    chosen = numerics.choose_numerics(Settings(native_kernels=False), shape, None)
    assert chosen.name == name
    assert chosen.reason


def test_the_bundled_model_is_computed_as_it_was_evaluated() -> None:
    model = load_model(Settings(threads=1))
    assert model.numerics.name == "bf16"
    assert model.arithmetic.startswith("bfloat16")


def test_the_check_says_what_was_chosen_and_why(tiny: Path) -> None:
    (text,) = describe_arithmetic(Settings(model=str(tiny)), 1 << 40)
    model = load_model(Settings(model=str(tiny), threads=1))
    assert text.startswith(f"{model.arithmetic} ({model.numerics.name}: {model.numerics.reason})")
    assert "GB" in text
    assert model.numerics.name in ("int8", "bf16")
    *_, risk = describe_arithmetic(Settings(model=str(tiny)), 1 << 20)
    assert "this machine has 0.0 GB" in risk


def test_the_memory_of_a_model_is_about_what_its_weights_take(bundled: Path) -> None:
    shape = open_checkpoint(bundled).shape
    need = {name: weight_bytes(shape, name) for name in ("fp32", "bf16", "int8", "int4")}
    parameters = sum(math.prod(size) for size in list_tensors(shape).values())
    assert need["fp32"] - need["bf16"] >= 2 * (parameters - shape.text.vocab * shape.text.hidden)
    assert need["bf16"] > need["int8"] > need["int4"]
    untied = replace(shape, text=replace(shape.text, tied=False))
    head = shape.text.vocab * shape.text.hidden
    assert weight_bytes(untied, "bf16") == need["bf16"] + 2 * head


def test_a_checkpoint_that_names_unknown_numerics_is_refused(bundled: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(bundled, folder)
    flags = json.loads((folder / "sightline.json").read_text()) | {"numerics": "fp4"}
    (folder / "sightline.json").write_text(json.dumps(flags))
    with pytest.raises(ModelNotLoadable, match="numerics is not one of bf16, int8, int4, fp32"):
        load_model(Settings(model=str(folder), threads=1))
