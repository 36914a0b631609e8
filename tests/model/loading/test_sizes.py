"""Every size of Qwen3-VL is computed as transformers computes it: small random models of each kind.

What differs between sizes is kept: whether the head is tied, how many heads share keys, whether
they are as wide together as a row, the tower's depth, its maps and the width of its heads.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from safetensors.torch import load_file, save_file

from tests.model.checkpoints import answer, image, request, user, write_tiny_model
from worker.engine.checkpoint.opening import open_checkpoint
from worker.engine.kernels.instructions import choose_instructions

pytestmark = pytest.mark.model

#: Towers of 2B and 4B, and of all larger ones, whose heads of 72 values no kernel knows.
_SMALL_TOWER = {"depth": 4, "num_heads": 2, "deepstack_visual_indexes": [0, 1, 2]}
_LARGE_TOWER = {
    "depth": 5,
    "hidden_size": 144,
    "num_heads": 2,
    "intermediate_size": 528,
    "deepstack_visual_indexes": [1, 2, 4],
}


def _text(hidden: int, inner: int, heads: int, kv_heads: int, **others: int) -> dict[str, int]:
    sizes = {"hidden_size": hidden, "intermediate_size": inner, "num_hidden_layers": 4}
    return {**sizes, "num_attention_heads": heads, "num_key_value_heads": kv_heads, **others}


_EXPERTS = {"num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 96}
#: By size: the language model, whether its head is tied, and the tower.
SIZES: dict[str, tuple[dict[str, Any], bool, dict[str, Any]]] = {
    "2B": (_text(128, 384, 2, 1), True, _SMALL_TOWER),
    "4B": (_text(160, 608, 8, 2), True, _SMALL_TOWER),
    "8B": (_text(256, 768, 4, 1), False, _LARGE_TOWER),
    "32B": (_text(160, 800, 8, 1), False, _LARGE_TOWER),
    "30B-A3B": (_text(128, 384, 8, 1, **_EXPERTS), False, _LARGE_TOWER),
}
QUESTION = (user("Compare them, please.", image(2), image(3, 64, 160)),)


@pytest.fixture(scope="module", params=SIZES)
def sized(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    text, tied, vision = SIZES[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    return write_tiny_model(folder, text, tied=tied, out_hidden_size=text["hidden_size"], **vision)


@pytest.fixture(scope="module")
def experts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose second layer alone has experts."""
    text = SIZES["30B-A3B"][0] | {"num_hidden_layers": 3, "decoder_sparse_step": 2}
    return write_tiny_model(tmp_path_factory.mktemp("experts"), text, tied=False)


def test_each_size_answers_as_transformers_does(sized, engine_of, reference_of) -> None:
    expected = reference_of(sized, torch.float32).answer(QUESTION, 12)
    engine = engine_of(sized)
    assert list(answer(engine, request(*QUESTION)).token_ids) == expected
    assert len(set(expected)) > 2


@pytest.mark.parametrize("numerics", ["bf16", "int8", "int4"])
def test_each_size_is_about_as_right_in_rounded_numbers(
    sized, engine_of, reference_of, numerics
) -> None:
    if numerics == "int4" and choose_instructions() is None:
        pytest.skip("this CPU has no kernels")
    model = reference_of(sized, torch.float32).model
    with torch.inference_mode():
        inputs = reference_of(sized, torch.float32).inputs(QUESTION)
        exact = model(**inputs).logits[0, -1]
    near = first_logits(engine_of(sized, numerics), request(*QUESTION, tokens=1))
    # random weights are the hardest to round to 16 levels
    least = {"bf16": 0.999, "int8": 0.99, "int4": 0.75}[numerics]
    assert torch.cosine_similarity(near.float(), exact, dim=0) > least


def first_logits(engine, question) -> torch.Tensor:
    """Return the (vocab,) logits of an answer's first token."""
    seen = []
    forward = engine.model.text.forward

    def watch(batch):
        seen.append(forward(batch))
        return seen[-1]

    engine.model.text.forward = watch
    answer(engine, question)
    return seen[-1][-1]


def test_layers_without_experts_stand_beside_those_with_them(
    experts, engine_of, reference_of
) -> None:
    shape = open_checkpoint(experts).shape.text.experts
    assert shape is not None
    assert shape.layers == {1}
    expected = reference_of(experts, torch.float32).answer(QUESTION, 12)
    assert list(answer(engine_of(experts), request(*QUESTION)).token_ids) == expected


def _one_by_one(name: str, value: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return a tensor of all experts as one of each, as quantised checkpoints have them."""
    prefix, _, part = name.rpartition(".")
    parts = {"gate_up_proj": ("gate_proj", "up_proj"), "down_proj": ("down_proj",)}[part]
    return {
        f"{prefix}.{at}.{one}.weight": half.contiguous()
        for at, expert in enumerate(value)
        for one, half in zip(parts, expert.chunk(len(parts)), strict=True)
    }


def _turned(name: str, value: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return a tensor of all experts with inputs before outputs, as the makers publish it."""
    return {name: value.transpose(1, 2).contiguous()}


@pytest.mark.parametrize("form", [_one_by_one, _turned])
def test_experts_are_read_in_every_form(experts, tmp_path, engine_of, form) -> None:
    folder = shutil.copytree(experts, tmp_path / "changed")
    changed = {}
    for name, value in load_file(folder / "model.safetensors").items():
        changed |= form(name, value) if ".experts." in name else {name: value}
    save_file(changed, folder / "model.safetensors")
    expected = answer(engine_of(experts), request(*QUESTION)).token_ids
    assert answer(engine_of(folder), request(*QUESTION)).token_ids == expected


def _blockwise(value: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return a float8 tensor, a scale for each 32 x 64 block, and what they stand for."""
    scale = (
        torch.rand(*value.shape[:-2], -(-value.shape[-2] // 32), -(-value.shape[-1] // 64)) + 0.5
    )
    narrow = value.float().to(torch.float8_e4m3fn)
    wide = scale.repeat_interleave(32, -2).repeat_interleave(64, -1)
    wide = wide[..., : value.shape[-2], : value.shape[-1]]
    return narrow, scale, (narrow.float() * wide).bfloat16()


@pytest.mark.parametrize("form", [_one_by_one, _turned])
def test_experts_in_fp8_are_what_they_stand_for(experts, tmp_path, engine_of, form) -> None:
    quantized = shutil.copytree(experts, tmp_path / "quantized")
    widened = shutil.copytree(experts, tmp_path / "widened")
    narrow, wide = {}, {}
    for name, value in load_file(experts / "model.safetensors").items():
        parts = form(name, value) if ".experts." in name else {name: value}
        for part, weight in parts.items():
            if ".experts." in part:
                narrow[part], narrow[f"{part}_scale_inv"], wide[part] = _blockwise(weight)
            else:
                narrow[part] = wide[part] = weight
    save_file(narrow, quantized / "model.safetensors")
    save_file(wide, widened / "model.safetensors")
    config = json.loads((quantized / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "fp8", "weight_block_size": [32, 64]}
    (quantized / "config.json").write_text(json.dumps(config))
    expected = answer(engine_of(widened), request(*QUESTION)).token_ids
    assert answer(engine_of(quantized), request(*QUESTION)).token_ids == expected


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("num_experts_per_tok", 9, "num_experts_per_tok is 9 of 8 experts"),
        ("norm_topk_prob", False, "norm_topk_prob is False"),
        ("num_local_experts", 16, "config.json says"),
    ],
)
def test_experts_that_would_be_computed_wrongly_are_refused(
    experts, tmp_path, field, value, reason
) -> None:
    folder = shutil.copytree(experts, tmp_path / "changed")
    config = json.loads((folder / "config.json").read_text())
    config["text_config"][field] = value
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=reason):
        open_checkpoint(folder)
