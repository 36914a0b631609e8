"""Writes random checkpoints of other architectures: what their makers publish, only tiny.

Each has a tokenizer with one token a byte, special tokens, chat template and processor in the form
of its family.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from demo.checkpoint import byte_names

_TEXT = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "num_hidden_layers": 2,
    "head_dim": 16,
    "max_position_embeddings": 4096,
}
_VISION = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}
_NORMAL = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}

_GEMMA3_CHAT = """\
{{ bos_token }}
{%- set first = '' -%}{%- set turns = messages -%}
{%- if messages[0]['role'] == 'system' -%}
    {%- set first = messages[0]['content'][0]['text'] + '\n\n' -%}{%- set turns = messages[1:] -%}
{%- endif -%}
{%- for message in turns -%}
    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) -%}
        {{ raise_exception("Conversation roles must alternate user/assistant/user/assistant/...") }}
    {%- endif -%}
    {{ '<start_of_turn>' + ('model' if message['role'] == 'assistant' else 'user') + '\n' }}
    {{- first if loop.first else '' -}}
    {%- for item in message['content'] -%}
        {%- if item['type'] == 'image' -%}{{ '<start_of_image>' }}
        {%- else -%}{{ item['text'] | trim }}{%- endif -%}
    {%- endfor -%}
    {{ '<end_of_turn>\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<start_of_turn>model\n' }}{%- endif -%}
"""
_THINKING = """\
{%- if add_generation_prompt and enable_thinking is not false -%}{{ '<think>\n' }}{%- endif -%}
"""
_IDEFICS3_CHAT = """\
{%- for message in messages -%}
    {{ message['role'] | capitalize }}:
    {%- for item in message['content'] -%}
        {%- if item['type'] == 'text' -%}{{ ' ' + item['text'] }}{%- else -%}<image>{%- endif -%}
    {%- endfor -%}
    {{ '<end_of_utterance>\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}Assistant:{%- endif -%}
"""
#: Leaves out the words of the system, which its makers did not think of.
_PADDLEOCR_CHAT = """\
{{ '<s>' }}
{%- for message in messages if message['role'] != 'system' -%}
    {{ 'User: ' if message['role'] == 'user' else 'Assistant:\n' }}
    {%- for item in message['content'] -%}
        {%- if item['type'] == 'image' -%}
            {{ '<|IMAGE_START|><|IMAGE_PLACEHOLDER|><|IMAGE_END|>' }}
        {%- else -%}{{ item['text'] }}{%- endif -%}
    {%- endfor -%}
    {{ '</s>' if message['role'] == 'assistant' else '\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ 'Assistant:\n' }}{%- endif -%}
"""


def write_gemma3(folder: Path, *, thinks: bool = False) -> Path:
    """Write one whose images have 16 tokens each, with layers that see only what is near.

    Where it `thinks`, its chat template opens the thinking unless it is told not to.
    """
    special = ["<pad>", "<eos>", "<bos>", "<start_of_turn>", "<end_of_turn>"]
    special += ["<think>", "</think>"] if thinks else []
    image = {
        "boi_token": "<start_of_image>",
        "image_token": "<image_soft_token>",
        "eoi_token": "<end_of_image>",
    }
    tokenizer = _write_tokenizer(
        folder,
        (*special, *image.values()),
        _GEMMA3_CHAT + (_THINKING if thinks else ""),
        named=image,
        eos_token="<eos>",
        bos_token="<bos>",
        pad_token="<pad>",
    )
    ids = tokenizer.convert_tokens_to_ids
    config = transformers.Gemma3Config(
        text_config={
            **_TEXT,
            "vocab_size": len(tokenizer),
            "sliding_window": 32,
            "layer_types": ["sliding_attention", "full_attention"],
            "query_pre_attn_scalar": 16,
        },
        vision_config={
            **_VISION,
            "model_type": "siglip_vision_model",
            "image_size": 64,
            "patch_size": 8,
            "vision_use_head": False,
        },
        mm_tokens_per_image=16,
        boi_token_index=ids("<start_of_image>"),
        eoi_token_index=ids("<end_of_image>"),
        image_token_index=ids("<image_soft_token>"),
    )
    ends = [ids("<eos>"), ids("<end_of_turn>")]
    _write_weights(folder, transformers.Gemma3ForConditionalGeneration, config, ends)
    images = {"image_processor_type": "Gemma3ImageProcessor", "size": {"height": 64, "width": 64}}
    _write_processor(folder, "Gemma3Processor", images | _NORMAL, image_seq_length=16)
    return folder


def write_idefics3(folder: Path) -> Path:
    """Write one that cuts images into parts of 64 × 64 pixels, as SmolVLM does."""
    places = [f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7)]
    special = ("<end_of_utterance>", "<image>", "<fake_token_around_image>", "<global-img>")
    tokenizer = _write_tokenizer(
        folder,
        (*special, *places),
        _IDEFICS3_CHAT,
        named={"image_token": "<image>"},
        eos_token="<end_of_utterance>",
        pad_token="<end_of_utterance>",
    )
    ids = tokenizer.convert_tokens_to_ids
    config = transformers.Idefics3Config(
        text_config={
            **_TEXT,
            "model_type": "llama",
            "vocab_size": len(tokenizer),
            "pad_token_id": None,
        },
        vision_config={**_VISION, "image_size": 64, "patch_size": 8},
        scale_factor=2,
        image_token_id=ids("<image>"),
        pad_token_id=tokenizer.pad_token_id,
    )
    ends = [ids("<end_of_utterance>")]
    _write_weights(folder, transformers.Idefics3ForConditionalGeneration, config, ends)
    images = {
        "image_processor_type": "Idefics3ImageProcessor",
        "do_image_splitting": True,
        "max_image_size": {"longest_edge": 64},
        "size": {"longest_edge": 128},
    }
    _write_processor(folder, "Idefics3Processor", images | _NORMAL, image_seq_len=16)
    return folder


def write_paddleocr(folder: Path) -> Path:
    """Write one whose images have tokens by their size, at places in three directions."""
    special = ("<s>", "</s>", "<|IMAGE_PLACEHOLDER|>", "<|IMAGE_START|>", "<|IMAGE_END|>")
    tokenizer = _write_tokenizer(
        folder,
        special,
        _PADDLEOCR_CHAT,
        named={"image_token": "<|IMAGE_PLACEHOLDER|>"},
        eos_token="</s>",
        bos_token="<s>",
        pad_token="</s>",
    )
    ids = tokenizer.convert_tokens_to_ids
    config = transformers.PaddleOCRVLConfig(
        text_config={
            **_TEXT,
            "vocab_size": len(tokenizer),
            "bos_token_id": ids("<s>"),
            "eos_token_id": ids("</s>"),
            "pad_token_id": None,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10_000.0,
                "mrope_section": [2, 3, 3],
            },
        },
        vision_config={**_VISION, "image_size": 56, "patch_size": 14},
        image_token_id=ids("<|IMAGE_PLACEHOLDER|>"),
        video_token_id=len(tokenizer) + 1,
        vision_start_token_id=ids("<|IMAGE_START|>"),
        vision_end_token_id=ids("<|IMAGE_END|>"),
    )
    kind = transformers.PaddleOCRVLForConditionalGeneration
    _write_weights(folder, kind, config, [ids("</s>")])
    images = {
        "image_processor_type": "PaddleOCRVLImageProcessor",
        "patch_size": 14,
        "merge_size": 2,
        "temporal_patch_size": 1,
        "min_pixels": 3136,
        "max_pixels": 1_003_520,
    }
    _write_processor(folder, "PaddleOCRVLProcessor", images | _NORMAL)
    # as its makers publish it: with code of its own, which transformers does not need
    _add_code(folder / "config.json", AutoConfig="configuration_paddleocr_vl.PaddleOCRVLConfig")
    _add_code(folder / "processor_config.json", AutoProcessor="processing.PaddleOCRVLProcessor")
    return folder


#: By the names that config.json has for them.
OTHERS: dict[str, Callable[[Path], Path]] = {
    "gemma3": write_gemma3,
    "idefics3": write_idefics3,
    "paddleocr_vl": write_paddleocr,
}


def _write_tokenizer(
    folder: Path, special: Sequence[str], chat: str, *, named: dict[str, str], **marks: str
) -> Any:
    letters = {name: byte for byte, name in enumerate(byte_names())}
    bytes_ = Tokenizer(models.BPE(vocab=letters, merges=[]))
    bytes_.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    bytes_.decoder = decoders.ByteLevel()
    bytes_.add_special_tokens(
        [AddedToken(name, special=True, normalized=False) for name in special]
    )
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=bytes_, extra_special_tokens=named, **marks
    )
    tokenizer.chat_template = chat
    tokenizer.save_pretrained(folder)
    return tokenizer


def _write_weights(folder: Path, kind: Any, config: Any, end_tokens: list[int]) -> None:
    with torch.random.fork_rng(), torch.no_grad():
        # the same weights each time, and no others for whoever draws after this
        torch.manual_seed(1)
        model = kind(config)
        for weight in model.parameters():
            # larger than usual, so that every part tells on the chosen tokens
            weight.add_(torch.randn_like(weight) * 0.1)
        # some other token is always likelier: what is greedily written does not end by itself
        model.get_output_embeddings().weight[end_tokens] = 0.0
    model.generation_config.eos_token_id = end_tokens
    model.save_pretrained(folder)


def _add_code(file: Path, **classes: str) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | {"auto_map": classes}))


def _write_processor(folder: Path, kind: str, images: dict[str, Any], **more: int) -> None:
    (folder / "preprocessor_config.json").write_text(json.dumps(images))
    (folder / "processor_config.json").write_text(json.dumps({"processor_class": kind, **more}))
