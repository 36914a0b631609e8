"""A checkpoint is computed as its makers meant it, or refused in one line before any request."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from safetensors.torch import load_file, save_file
from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

from shared.settings import Settings
from tests.model.checkpoints import answer, image, request, user, write_tiny_model
from worker.engine.checkpoint.opening import open_checkpoint
from worker.engine.checkpoint.tensors import list_tensors
from worker.engine.kernels.build import load_kernels
from worker.engine.loader import ModelNotLoadable, load_model

pytestmark = pytest.mark.model

Change = Callable[[Path], object]
WEIGHTS, UP = "model.safetensors", "model.language_model.layers.0.mlp.up_proj.weight"
QUESTION = (user("What does the picture show? " * 8, image(1)),)


def edit(name: str, **fields: Any) -> Change:
    """Set fields of a JSON file; `None` removes one, and a `part__field` lies one level down."""

    def change(folder: Path) -> None:
        content = json.loads((folder / name).read_text())
        for path, value in fields.items():
            *parts, field = path.split("__")
            place = content[parts[0]] if parts else content
            place.pop(field, None)
            if value is not None:
                place[field] = value
        (folder / name).write_text(json.dumps(content))

    return change


def config(**fields: Any) -> Change:
    return edit("config.json", **fields)


def rope(**fields: Any) -> Change:
    def change(folder: Path) -> None:
        text = json.loads((folder / "config.json").read_text())["text_config"]
        config(text_config__rope_parameters=text["rope_parameters"] | fields)(folder)

    return change


def tensors(**changed: torch.Tensor | None) -> Change:
    """Replace tensors, add them, or remove those that are None; `UP` stands for a weight."""

    def change(folder: Path) -> None:
        all_ = load_file(folder / WEIGHTS) | {
            UP if name == "UP" else name.replace("__", "."): value
            for name, value in changed.items()
        }
        kept = {name: value for name, value in all_.items() if value is not None}
        save_file(kept, folder / WEIGHTS, {"format": "pt"})

    return change


def remove(*names: str) -> Change:
    return lambda folder: [(folder / name).unlink() for name in names]


def write(name: str, text: str) -> Change:
    return lambda folder: (folder / name).write_text(text)


def hold_only(*names: str) -> Change:
    """Leave nothing in the folder but other files."""

    def change(folder: Path) -> None:
        for path in folder.iterdir():
            path.unlink()
        for name in names:
            (folder / name).write_text("{}")

    return change


def rename_weights(name: str) -> Change:
    return lambda folder: (folder / WEIGHTS).rename(folder / name)


def quantized(method: str) -> Change:
    return config(quantization_config={"quant_method": method})


REFUSED: dict[str, tuple[Change, str]] = {
    # quantised
    "FP8, only in its tensors": (
        tensors(UP=torch.zeros(192, 128).to(torch.float8_e4m3fn)),
        "F8_E4M3.*bfloat16",
    ),
    "an unknown method": (quantized("hqq"), r"quantised \(hqq\), and only fp8"),
    "bitsandbytes": (
        config(text_config__quantization_config={"quant_method": "bitsandbytes"}),
        "bitsandbytes",
    ),
    "bitsandbytes, only in its tensors": (
        tensors(UP=torch.zeros(12288, 1, dtype=torch.uint8)),
        "of type U8",
    ),
    "MLX": (config(quantization={"group_size": 64, "bits": 4}), "MLX, 4 bits"),
    "MLX, only in its tensors": (
        tensors(UP=torch.zeros(192, 16, dtype=torch.uint32)),
        "of type U32",
    ),
    "scales beside weights": (tensors(a__weight_scale_inv=torch.ones(1)), "a.weight_scale_inv"),
    # tensors
    "a short tensor": (tensors(UP=torch.zeros(10, 128)), r"\(10, 128\).*\(192, 128\)"),
    "a turned tensor": (tensors(UP=torch.zeros(128, 192)), r"\(128, 192\).*\(192, 128\)"),
    "patches with channels last": (
        tensors(model__visual__patch_embed__proj__weight=torch.zeros(128, 2, 16, 16, 3)),
        "patch_embed",
    ),
    "a missing tensor": (tensors(UP=None), f"1 of 92 tensors are missing, as {UP}"),
    "a bias too many": (tensors(model__x__bias=torch.zeros(2)), "model.x.bias"),
    "wide integers": (tensors(UP=torch.zeros(192, 128, dtype=torch.int64)), "of type I64"),
    # arithmetic
    "another architecture": (
        config(model_type="qwen2_5_vl"),
        "qwen2_5_vl is not qwen3_vl or qwen3_vl_moe",
    ),
    "biased attention": (config(text_config__attention_bias=True), "attention_bias is True"),
    "another activation": (config(text_config__hidden_act="gelu"), "hidden_act is gelu"),
    "another activation in the tower": (
        config(vision_config__hidden_act="quick_gelu"),
        "hidden_act is quick_gelu",
    ),
    "frequencies that grow with the text": (rope(rope_type="dynamic", factor=2.0), "dynamic"),
    "rotary axes one after another": (rope(mrope_interleaved=False), "mrope_interleaved"),
    "rotary axes that do not add up": (rope(mrope_section=[1, 2, 3]), "mrope_section"),
    "half of each head rotated": (rope(partial_rotary_factor=0.5), "partial_rotary_factor"),
    "a window of attention": (config(text_config__sliding_window=64), "sliding_window is 64"),
    "a text for a number": (config(text_config__hidden_size="128"), "hidden_size"),
    "no heads": (config(text_config__num_attention_heads=0), "num_attention_heads is 0"),
    "a map of a missing block": (
        config(vision_config__deepstack_visual_indexes=[0, 7]),
        "deepstack_visual_indexes",
    ),
    "grey images": (config(vision_config__in_channels=1), "in_channels is 1"),
    "no head": (config(tie_word_embeddings=False), "missing, as lm_head.weight"),
    # inputs
    "no tokenizer": (remove("tokenizer.json", "tokenizer_config.json"), "add tokenizer.json"),
    "a damaged tokenizer": (write("tokenizer.json", "{}"), "tokenizer cannot be read"),
    "no chat template": (remove("chat_template.jinja"), "no chat template"),
    "a template that refuses": (
        write("chat_template.jinja", "{{ raise_exception('never') }}"),
        "template.*never",
    ),
    "a template without images": (
        write("chat_template.jinja", "{{ messages[0].content }}"),
        "no placeholder for an image",
    ),
    "a template that loses texts": (
        write("chat_template.jinja", "<|image_pad|>{{ messages[0].content }}"),
        "drops text of the conversation",
    ),
    "a template with an image too many": (
        write("chat_template.jinja", "<|image_pad|><|image_pad|>"),
        "template cannot lay out",
    ),
    "another token for images": (config(image_token_id=99), "no token 99 for images"),
    "an end that has no embedding": (
        edit("generation_config.json", eos_token_id=999),
        "token 999.*263 embeddings",
    ),
    "an end that is no token": (
        edit("generation_config.json", eos_token_id="x"),
        "no end-of-answer token is set",
    ),
    "other patches to a token": (
        edit("preprocessor_config.json", merge_size=1),
        "merge_size 1, and config.json 2",
    ),
    "other patches": (edit("preprocessor_config.json", patch_size=14), "patch_size 14"),
    "unscaled samples": (edit("preprocessor_config.json", do_rescale=False), "do_rescale off"),
    "another scale": (edit("preprocessor_config.json", rescale_factor=1.0), "rescale_factor 1.0"),
    "two means": (edit("preprocessor_config.json", image_mean=[0.5, 0.5]), "image_mean"),
    "no deviation": (edit("preprocessor_config.json", image_std=[0, 0, 0]), "image_std"),
    "another image processor": (
        edit("preprocessor_config.json", image_processor_type="CLIPImageProcessor"),
        "CLIPImageProcessor",
    ),
    "no image processor": (remove("preprocessor_config.json"), "preprocessor_config.json"),
    # files
    "GGUF": (hold_only("model-Q4_K_M.gguf"), "GGUF.*llama.cpp"),
    "GGUF beside a configuration": (rename_weights("model.gguf"), "GGUF.*llama.cpp"),
    "LoRA": (hold_only("adapter_config.json", "adapter_model.safetensors"), "LoRA.*merge"),
    "pickled weights": (rename_weights("pytorch_model.bin"), "save them as safetensors"),
    "parts without an index": (
        rename_weights("model-00001-of-00002.safetensors"),
        "files of the checkpoint are missing",
    ),
    "a part that is missing": (
        write("model.safetensors.index.json", '{"weight_map": {"a": "model-1.safetensors"}}'),
        "missing, as model-1.safetensors",
    ),
    "a damaged index": (write("model.safetensors.index.json", "{"), "index.json is damaged"),
    "a damaged configuration": (write("config.json", "{"), "config.json is damaged"),
    "a pointer in place of weights": (
        write(WEIGHTS, "version https://git-lfs.github.com/spec/v1\n"),
        "git lfs pull",
    ),
    "weights that are cut off": (write(WEIGHTS, "x" * 50), "damaged, download it again"),
}


@pytest.mark.parametrize(("change", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_what_would_be_computed_wrongly_is_refused_in_one_line(
    tiny: Path, tmp_path: Path, change: Change, reason: str
) -> None:
    folder = shutil.copytree(tiny, tmp_path / "changed")
    change(folder)
    with pytest.raises(ModelNotLoadable, match=reason) as refusal:
        load_model(Settings(model=str(folder), threads=1))
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 500


def test_the_model_of_the_benches_fits_together(tmp_path: Path, monkeypatch) -> None:
    from bench.engine import fullsize

    small = {"num_hidden_layers": 3, "hidden_size": 64, "intermediate_size": 64, "vocab_size": 300}
    monkeypatch.setattr(fullsize, "TEXT", fullsize.TEXT | small)
    vision = {"depth": 18, "hidden_size": 64, "intermediate_size": 64, "num_heads": 1}
    monkeypatch.setattr(fullsize, "VISION", fullsize.VISION | vision | {"out_hidden_size": 64})
    checkpoint = open_checkpoint(fullsize.ensure_model(tmp_path))
    assert checkpoint.reader.processor.merge_size == checkpoint.shape.vision.merge == 2


def test_a_file_is_named_for_what_it_is(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"GGUF")
    with pytest.raises(ModelNotLoadable, match=r"a file, not a folder; GGUF"):
        load_model(Settings(model=str(file)))


def test_a_vocabulary_smaller_than_the_tokenizer_is_refused(tiny: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny, tmp_path / "small")
    embedding = "model.language_model.embed_tokens.weight"
    known = load_file(folder / WEIGHTS)
    tensors(**{embedding.replace(".", "__"): known[embedding][:262].clone()})(folder)
    config(text_config__vocab_size=262)(folder)
    with pytest.raises(ModelNotLoadable, match="token 262, and the model only 262 embeddings"):
        load_model(Settings(model=str(folder)))


def old_rope_scaling(folder: Path) -> None:
    """Write the stretched context as transformers did before version 5."""
    text = json.loads((folder / "config.json").read_text())["text_config"]
    rope = text["rope_parameters"]
    scaling = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}
    config(
        text_config__rope_parameters=None,
        text_config__rope_theta=rope["rope_theta"],
        text_config__rope_scaling=scaling | {"mrope_section": rope["mrope_section"]},
    )(folder)


COMPUTED: dict[str, Change] = {
    "YaRN": rope(rope_type="yarn", factor=4.0, original_max_position_embeddings=64),
    "YaRN in the old form": old_rope_scaling,
    "a linear stretch": rope(rope_type="linear", factor=4.0),
    "a head beside tied embeddings": tensors(
        lm_head__weight=torch.randn(263, 128, generator=torch.Generator().manual_seed(5))
    ),
}


@pytest.mark.parametrize("change", COMPUTED.values(), ids=COMPUTED.keys())
def test_what_changes_answers_is_computed_as_in_transformers(
    tiny, tmp_path, engine_of, reference_of, change
) -> None:
    folder = shutil.copytree(tiny, tmp_path / "changed")
    change(folder)
    expected = reference_of(folder, torch.float32).answer(QUESTION, 24)
    assert expected != reference_of(tiny, torch.float32).answer(QUESTION, 24)
    assert list(answer(engine_of(folder), request(*QUESTION, tokens=24)).token_ids) == expected


def test_a_chat_template_in_a_file_of_its_own_is_used(tiny, tmp_path, engine_of) -> None:
    folder = shutil.copytree(tiny, tmp_path / "changed")
    template = (folder / "chat_template.jinja").read_text()
    (folder / "chat_template.jinja").unlink()
    (folder / "chat_template.json").write_text(json.dumps({"chat_template": template}))
    expected = answer(engine_of(tiny), request(*QUESTION)).token_ids
    assert answer(engine_of(folder), request(*QUESTION)).token_ids == expected


def test_the_tensors_that_are_needed_are_those_of_transformers(model: Path) -> None:
    with torch.device("meta"):
        theirs = Qwen3VLForConditionalGeneration(Qwen3VLConfig.from_pretrained(model))
    shapes = {name: tuple(value.shape) for name, value in theirs.state_dict().items()}
    del shapes["lm_head.weight"]
    assert list_tensors(open_checkpoint(model).shape) == shapes


@pytest.mark.parametrize("where", ["text", "image"])
def test_numbers_that_are_not_finite_are_an_error_and_no_answer(
    tiny, tmp_path, engine_of, where
) -> None:
    from shared.errors import InferenceFailed

    name = UP if where == "text" else "model.visual.merger.linear_fc2.weight"
    folder = shutil.copytree(tiny, tmp_path / "changed")
    value = load_file(folder / WEIGHTS)[name]
    value[0, 0] = torch.nan
    tensors(**{name.replace(".", "__"): value})(folder)
    with pytest.raises(InferenceFailed, match="finite"):
        answer(engine_of(folder), request(*QUESTION))


def test_a_tower_that_the_kernels_do_not_know_leaves_them_the_text(
    tmp_path, engine_of, reference_of
) -> None:
    if load_kernels() is None:
        pytest.skip("this CPU lacks AVX512-BF16, or there is no compiler")
    # as in the 8B model, heads of 72 values and a width that is no multiple of 32
    folder = write_tiny_model(tmp_path, hidden_size=144, intermediate_size=208)
    engine = engine_of(folder, "bf16")
    text, images = engine.info.arithmetic.split("; ")
    assert text.startswith("bfloat16 by compiled kernels for ")
    assert images == "images: bfloat16 by oneDNN"
    expected = reference_of(folder, torch.bfloat16).answer(QUESTION, 4)
    assert list(answer(engine, request(*QUESTION, tokens=4)).token_ids) == expected
