"""Quantised checkpoints in the forms that people have give the weights that they stand for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from safetensors.torch import load_file, save_file

from shared.settings import Settings
from tests.model.checkpoints import answer, request, write_tiny_model
from worker.engine.api import Message
from worker.engine.checkpoint.opening import open_checkpoint
from worker.engine.engine import load_engine

pytestmark = pytest.mark.model

#: What is quantised: of the language model all, as people's checkpoints do.
LINEAR = "_proj"
GROUP = 32
#: A form's tensors for a weight, and the weight that they stand for.
Quantized = tuple[dict[str, torch.Tensor], torch.Tensor]


def pack(levels: torch.Tensor, bits: int, order: tuple[int, ...] = ()) -> torch.Tensor:
    """Return (rows, columns) levels in int32 words along the columns, the first one lowest."""
    per_word = 32 // bits
    words = torch.zeros(levels.shape[0], levels.shape[1] // per_word, dtype=torch.int64)
    for at in range(per_word):
        column = order[at] if order else at
        words |= levels[:, column::per_word].long() << (bits * at)
    return torch.where(words >= 1 << 31, words - (1 << 32), words).int()


def levels_of(weight: torch.Tensor, bits: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return (out, in) levels, and (out, groups) scales and zero points."""
    groups = weight.float().view(len(weight), -1, GROUP)
    low, high = groups.amin(-1), groups.amax(-1)
    scale = ((high - low) / ((1 << bits) - 1)).half()
    zero = (-low / scale.float()).round().clamp(1, (1 << bits) - 1)
    levels = (groups / scale.float()[..., None] + zero[..., None]).round()
    return levels.clamp(0, (1 << bits) - 1).flatten(1), scale, zero


def widened(levels: torch.Tensor, scale: torch.Tensor, zero: torch.Tensor) -> torch.Tensor:
    wide = (part.float().repeat_interleave(GROUP, 1) for part in (zero, scale))
    return (levels - next(wide)) * next(wide)


def gptq(bits: int, version: int) -> Callable[[torch.Tensor], Quantized]:
    def quantize(weight: torch.Tensor) -> Quantized:
        levels, scale, zero = levels_of(weight, bits)
        # the inputs in another order, as desc_act leaves them
        index = torch.arange(levels.shape[1]) // GROUP
        index = index.flip(0)
        turned = (levels - zero[:, index]) * scale.float()[:, index]
        parts = {
            "qweight": pack(levels, bits).T.contiguous(),
            "qzeros": pack((zero - (1 if version == 1 else 0)).T.contiguous(), bits),
            "scales": scale.T.contiguous(),
            "g_idx": index.int(),
        }
        return parts, turned

    return quantize


def awq(weight: torch.Tensor) -> Quantized:
    levels, scale, zero = levels_of(weight, 4)
    order = (0, 2, 4, 6, 1, 3, 5, 7)
    parts = {
        "qweight": pack(levels.T.contiguous(), 4, order),
        "qzeros": pack(zero.T.contiguous(), 4, order),
        "scales": scale.T.contiguous(),
    }
    return parts, widened(levels, scale, zero)


def packed(bits: int, symmetric: bool) -> Callable[[torch.Tensor], Quantized]:
    def quantize(weight: torch.Tensor) -> Quantized:
        levels, scale, zero = levels_of(weight, bits)
        zero = torch.full_like(zero, 1 << (bits - 1)) if symmetric else zero
        parts = {
            "weight_packed": pack(levels, bits),
            "weight_scale": scale.bfloat16(),
            "weight_shape": torch.tensor(weight.shape),
        }
        if not symmetric:
            parts["weight_zero_point"] = pack(zero.T.contiguous(), bits).T.contiguous()
        return parts, widened(levels, scale.bfloat16(), zero)

    return quantize


def int8_rows(weight: torch.Tensor) -> Quantized:
    scale = (weight.float().abs().amax(1, keepdim=True) / 127).bfloat16()
    levels = (weight.float() / scale.float()).round().clamp(-127, 127)
    return {"weight": levels.to(torch.int8), "weight_scale": scale}, levels * scale.float()


def float8_rows(weight: torch.Tensor) -> Quantized:
    scale = (weight.float().abs().amax(1, keepdim=True) / 448).bfloat16()
    narrow = (weight.float() / scale.float()).to(torch.float8_e4m3fn)
    return {"weight": narrow, "weight_scale": scale}, narrow.float() * scale.float()


def float8_blocks(weight: torch.Tensor) -> Quantized:
    # blocks that do not divide the weight
    rows, columns = -(-weight.shape[0] // 48), -(-weight.shape[1] // 80)
    scale = torch.rand(rows, columns) / 1000 + 0.001
    wide = scale.repeat_interleave(48, 0).repeat_interleave(80, 1)
    wide = wide[: weight.shape[0], : weight.shape[1]]
    narrow = (weight.float() / wide).clamp(-448, 448).to(torch.float8_e4m3fn)
    return {"weight": narrow, "weight_scale_inv": scale}, narrow.float() * wide


def compressed(style: str, **weights: Any) -> dict[str, Any]:
    groups = {"group_0": {"targets": ["Linear"], "weights": weights}}
    return {"quant_method": "compressed-tensors", "format": style, "config_groups": groups}


FORMS: dict[str, tuple[dict[str, Any], Callable[[torch.Tensor], Quantized]]] = {
    "GPTQ, 4 bits": ({"quant_method": "gptq", "bits": 4}, gptq(4, 1)),
    "GPTQ, 8 bits": (
        {"quant_method": "gptq", "bits": 8, "checkpoint_format": "gptq_v2"},
        gptq(8, 2),
    ),
    "AWQ": ({"quant_method": "awq", "bits": 4, "version": "gemm"}, awq),
    "compressed-tensors, 4 bits": (
        compressed("pack-quantized", num_bits=4, type="int", symmetric=True),
        packed(4, symmetric=True),
    ),
    "compressed-tensors, 8 bits with zero points": (
        compressed("pack-quantized", num_bits=8, type="int", symmetric=False),
        packed(8, symmetric=False),
    ),
    "compressed-tensors, int8": (compressed("int-quantized", num_bits=8, type="int"), int8_rows),
    "compressed-tensors, float8": (
        compressed("float-quantized", num_bits=8, type="float"),
        float8_rows,
    ),
    "FP8": ({"quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [48, 80]}, float8_blocks),
}


def write_quantized(folder: Path, form: str) -> dict[str, torch.Tensor]:
    """Quantise a tiny model's checkpoint; return the weights that are meant, by their names."""
    settings, quantize = FORMS[form]
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"quantization_config": settings}))
    tensors, meant = load_file(folder / "model.safetensors"), {}
    for name in [name for name in tensors if name.endswith(f"{LINEAR}.weight")]:
        if ".language_model." in name:
            parts, weight = quantize(tensors.pop(name))
            module = name.removesuffix(".weight")
            tensors |= {f"{module}.{part}": value for part, value in parts.items()}
            meant[name] = weight.bfloat16()
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    return meant


@pytest.mark.parametrize("form", FORMS)
def test_weights_are_those_that_the_form_stands_for(form: str, tmp_path: Path) -> None:
    write_tiny_model(tmp_path)
    meant = write_quantized(tmp_path, form)
    weights = open_checkpoint(tmp_path).weights
    assert len(meant) == 3 * 7
    for name, weight in meant.items():
        assert name in weights
        got = weights.get(name)
        assert got.dtype is torch.bfloat16
        assert torch.equal(got, weight)
    plain = "model.language_model.embed_tokens.weight"
    assert weights.get(plain).shape[0] == weights.headers()[plain].shape[0]


def test_a_quantized_checkpoint_answers_like_its_weights_in_bfloat16(tmp_path: Path) -> None:
    folders = [tmp_path / "quantized", tmp_path / "plain"]
    for folder in folders:
        folder.mkdir()
        write_tiny_model(folder)
    meant = write_quantized(folders[0], "GPTQ, 4 bits")
    tensors = load_file(folders[1] / "model.safetensors") | meant
    save_file(tensors, folders[1] / "model.safetensors", {"format": "pt"})
    answers = []
    for folder in folders:
        engine = load_engine(Settings(model=str(folder), numerics="bf16", threads=1))
        answers.append(answer(engine, request(Message("user", "Hello"), tokens=12)).token_ids)
        engine.close()
    assert answers[0] == answers[1]


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown method": ({"quant_method": "hqq"}, r"quantised \(hqq\), and only fp8, compressed"),
    "3 bits": ({"quant_method": "gptq", "bits": 3}, "bits is 3, and only 4, 8"),
    "AWQ for another kernel": (
        {"quant_method": "awq", "bits": 4, "version": "gemv"},
        "version is gemv",
    ),
    "FP8 of another kind": ({"quant_method": "fp8", "fmt": "e5m2"}, "fmt is e5m2"),
    "FP8 without blocks": ({"quant_method": "fp8"}, "weight_block_size is None"),
    "sparse weights": (compressed("marlin-24"), "format is marlin-24"),
    "2 bits": (compressed("pack-quantized", num_bits=2), "num_bits is 2"),
    "several groups": (
        {"quant_method": "compressed-tensors", "format": "pack-quantized", "config_groups": {}},
        "config_groups",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_other_forms_are_refused_by_what_they_are(case: str, tmp_path: Path) -> None:
    settings, reason = REFUSED[case]
    write_tiny_model(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"quantization_config": settings}))
    with pytest.raises(ValueError, match=reason):
        open_checkpoint(tmp_path)


def test_parts_that_do_not_fit_are_named(tmp_path: Path) -> None:
    write_tiny_model(tmp_path)
    write_quantized(tmp_path, "AWQ")
    name = "model.language_model.layers.0.mlp.up_proj"
    tensors = load_file(tmp_path / "model.safetensors")
    tensors[f"{name}.scales"] = tensors[f"{name}.scales"][:, :-1].contiguous()
    save_file(tensors, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(ValueError, match=f"{name}.weight: its awq parts do not fit"):
        open_checkpoint(tmp_path).weights.get(f"{name}.weight")
    del tensors[f"{name}.scales"]
    save_file(tensors, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(ValueError, match=f"{name}.scales is missing"):
        open_checkpoint(tmp_path)
