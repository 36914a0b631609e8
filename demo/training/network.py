"""The network: transformers' Qwen3-VL, and batched passes over its weights for training."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import nn
from torch.nn import functional
from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration
from transformers.models.qwen3_vl.modeling_qwen3_vl import apply_rotary_pos_emb, rotate_half
from transformers.vision_utils import (
    get_vision_interpolation_indices_and_weights,
    get_vision_position_ids,
)

from demo.training import labels
from demo.training.tokens import IDS, VOCABULARY

if TYPE_CHECKING:
    from torch import Tensor

HIDDEN = 256
#: Longest rows that a CPU attends without the fused kernel.
SHORT = 640
#: The attention heads with a loss of their own: one reads, one counts.
SUPERVISED_HEADS = (0, 3)


def model_config(depth: int = 4, layers: int = 5) -> Qwen3VLConfig:
    """Describe a Qwen3-VL of about 7 million parameters."""
    return Qwen3VLConfig(
        text_config={
            "vocab_size": VOCABULARY,
            "hidden_size": HIDDEN,
            "intermediate_size": 3 * HIDDEN,
            "num_hidden_layers": layers,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 64,
            "max_position_embeddings": 16384,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10000.0,
                "mrope_section": [12, 10, 10],
                "mrope_interleaved": True,
            },
            "tie_word_embeddings": True,
        },
        vision_config={
            "depth": depth,
            "hidden_size": HIDDEN,
            "intermediate_size": 3 * HIDDEN,
            "num_heads": 4,
            "patch_size": labels.PATCH,
            "spatial_merge_size": labels.MERGE,
            "temporal_patch_size": 2,
            "out_hidden_size": HIDDEN,
            "num_position_embeddings": 256,
            "deepstack_visual_indexes": [1],
        },
        image_token_id=IDS["<|image_pad|>"],
        video_token_id=IDS["<|video_pad|>"],
        vision_start_token_id=IDS["<|vision_start|>"],
        vision_end_token_id=IDS["<|vision_end|>"],
        tie_word_embeddings=True,
    )


def build_model() -> Qwen3VLForConditionalGeneration:
    return Qwen3VLForConditionalGeneration(model_config())


def is_block_matrix(name: str, value: Tensor) -> bool:
    """Whether it is a matrix inside the blocks of the tower or of the language model."""
    return value.ndim == 2 and (".blocks." in name or ".layers." in name)


class TowerOutput(NamedTuple):
    """The tower's output for a batch of images of one size."""

    #: (images, patches, hidden)
    patches: Tensor
    #: (images, tokens, hidden)
    tokens: Tensor
    #: one (images, tokens, hidden) for each DeepStack layer
    deepstack: list[Tensor]


def run_tower(visual: nn.Module, pixels: Tensor, height: int, width: int) -> TowerOutput:
    """Run the tower on images of one size: pixels (images, patches, 768) in -1…1, sizes in patches.

    Equal to the module's own forward, which takes the images one after the other.
    """
    grid = torch.tensor([[1, height, width]])
    indices, weights = get_vision_interpolation_indices_and_weights(
        grid,
        num_grid_per_side=visual.num_grid_per_side,
        mode=visual.interpolation_mode,
        align_corners=visual.interpolation_align_corners,
        spatial_merge_size=labels.MERGE,
    )
    projection = visual.patch_embed.proj
    # both frames of a still image are the same picture
    kernel = projection.weight.sum(2).flatten(1)
    places = (visual.pos_embed(indices.to(pixels.device)) * weights.to(pixels)[:, :, None]).sum(1)
    hidden = functional.linear(pixels, kernel, projection.bias) + places
    rotation = visual.rotary_pos_emb(
        hidden, get_vision_position_ids(grid, labels.MERGE).to(pixels.device)
    )
    deepstack = []
    for number, block in enumerate(visual.blocks):
        hidden = hidden + _attend(block.attn, block.norm1(hidden), rotation)
        hidden = hidden + block.mlp(block.norm2(hidden))
        if number in visual.deepstack_visual_indexes:
            merger = visual.deepstack_merger_list[len(deepstack)]
            deepstack.append(_merge(merger, hidden))
    return TowerOutput(hidden, _merge(visual.merger, hidden), deepstack)


def slice_images(output: TowerOutput, first: int, last: int) -> TowerOutput:
    """Return the output of the images from `first` up to `last`."""
    return TowerOutput(
        output.patches[first:last],
        output.tokens[first:last],
        [level[first:last] for level in output.deepstack],
    )


def _merge(merger: nn.Module, hidden: Tensor) -> Tensor:
    return merger(hidden.flatten(0, 1)).unflatten(0, (len(hidden), -1))


def _attend(attention: nn.Module, hidden: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
    cos, sin = rotation
    queries, keys, values = (
        attention.qkv(hidden)
        .unflatten(-1, (3, attention.num_heads, attention.head_dim))
        .permute(2, 0, 3, 1, 4)
    )
    queries, keys = (
        (part * cos + rotate_half(part) * sin).to(values.dtype) for part in (queries, keys)
    )
    mixed, _ = attend(queries, keys, values, causal=False)
    return attention.proj(mixed.transpose(1, 2).flatten(2))


class LanguageOutput(NamedTuple):
    """The language model's output for a batch of sequences."""

    #: (sequences, length, hidden), after the last norm
    last: Tensor
    #: (sequences, length, hidden) of each layer's output
    layers: list[Tensor]
    #: (sequences, heads, length, length) raw scores of the heads TOLD in each pointing layer
    scores: list[Tensor]


def run_language_model(
    language: nn.Module,
    embeddings: Tensor,
    positions: Tensor,
    deepstack: list[Tensor],
    image_mask: Tensor,
    pointing: tuple[int, ...] = (),
) -> LanguageOutput:
    """Run the language model on right-padded rows.

    embeddings (rows, length, hidden), positions (3, rows, length), image_mask (rows, length) true
    at image tokens, deepstack each (image tokens in all rows, hidden).
    """
    hidden = embeddings
    rotation = language.rotary_emb(hidden, positions)
    layers, scores = [], []
    for number, layer in enumerate(language.layers):
        mixed, score = _causal(
            layer.self_attn, layer.input_layernorm(hidden), rotation, number in pointing
        )
        hidden = hidden + mixed
        hidden = hidden + layer.mlp(layer.post_attention_layernorm(hidden))
        if number < len(deepstack):
            hidden = hidden.index_put(
                (image_mask,), deepstack[number].to(hidden.dtype), accumulate=True
            )
        layers.append(hidden)
        if score is not None:
            scores.append(score)
    return LanguageOutput(language.norm(hidden), layers, scores)


def _causal(
    attention: nn.Module, hidden: Tensor, rotation: tuple[Tensor, Tensor], pointing: bool
) -> tuple[Tensor, Tensor | None]:
    queries, keys, values = (
        projection(hidden).unflatten(-1, (-1, attention.head_dim))
        for projection in (attention.q_proj, attention.k_proj, attention.v_proj)
    )
    queries, keys = (
        attention.q_norm(queries).transpose(1, 2),
        attention.k_norm(keys).transpose(1, 2),
    )
    queries, keys = apply_rotary_pos_emb(queries, keys, *rotation)
    values = values.transpose(1, 2)
    queries, keys = queries.to(values.dtype), keys.to(values.dtype)
    shared = attention.num_key_value_groups
    mixed, scores = attend(
        queries, keys.repeat_interleave(shared, 1), values.repeat_interleave(shared, 1), causal=True
    )
    mixed = attention.o_proj(mixed.transpose(1, 2).flatten(2))
    if not pointing:
        return mixed, None
    if scores is not None:
        return mixed, scores[:, SUPERVISED_HEADS]
    key_heads = [head // shared for head in SUPERVISED_HEADS]
    return mixed, queries[:, SUPERVISED_HEADS] @ keys[:, key_heads].transpose(
        -1, -2
    ) * attention.scaling


def attend(
    queries: Tensor, keys: Tensor, values: Tensor, *, causal: bool
) -> tuple[Tensor, Tensor | None]:
    """Attend within rows (rows, heads, length, size); also the raw scores of short rows.

    Short rows are computed step by step, which on a CPU takes half the time of the fused kernel.
    """
    length, size = queries.shape[-2:]
    if queries.is_cuda or length > SHORT:
        fused = functional.scaled_dot_product_attention(queries, keys, values, is_causal=causal)
        return fused, None
    with torch.autocast(queries.device.type, enabled=False):
        scores = (queries * size**-0.5) @ keys.transpose(-1, -2)
        if causal:
            later = torch.full((length, length), -1e9, dtype=scores.dtype, device=scores.device)
            scores = scores + later.triu(1)
        return torch.softmax(scores, -1) @ values, scores


class Heads(nn.Module):
    """Linear read-outs for the losses of the training; they are not in the checkpoint."""

    def __init__(self) -> None:
        super().__init__()
        quarters = labels.MERGE**2
        self.patch_chars = nn.Linear(HIDDEN, labels.SLOTS * labels.CHARS)
        self.token_chars = nn.Linear(HIDDEN, quarters * labels.SLOTS * labels.CHARS)
        self.patch_line = nn.Linear(HIDDEN, labels.LINES)
        self.patch_column = nn.Linear(HIDDEN, labels.COLUMNS)
        self.patch_kind = nn.Linear(HIDDEN, labels.KINDS)
        self.patch_centre = nn.Linear(HIDDEN, labels.CENTRES)
        self.text_line = nn.Linear(HIDDEN, labels.LINES)
        self.text_column = nn.Linear(HIDDEN, labels.COLUMNS)
