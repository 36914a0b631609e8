"""The shape of a Qwen3-VL model: what its forward pass needs of its configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ExpertShape:
    """The experts of a language model whose layers choose a few of them for each token."""

    count: int
    per_token: int
    intermediate: int
    #: Layers that have them; all others are as without experts.
    layers: frozenset[int]


@dataclass(frozen=True, slots=True)
class TextShape:
    """The language model: widths in values of a row, numbers of layers and heads."""

    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab: int
    eps: float
    rope_theta: float
    #: Rotary frequencies that follow the row and the column of an image token.
    mrope_section: tuple[int, int, int]
    #: Tokens that positions are made for.
    context: int
    #: The head's weights are the embedding's, if the checkpoint has none for the head.
    tied: bool
    #: (head_dim / 2,) rotary frequencies that replace those of rope_theta, and the factor of
    #: cosine and sine: both for a context that was stretched.
    frequencies: tuple[float, ...] | None = None
    rope_scale: float = 1.0
    experts: ExpertShape | None = None


@dataclass(frozen=True, slots=True)
class VisionShape:
    """The vision tower."""

    #: Blocks.
    depth: int
    hidden: int
    intermediate: int
    heads: int
    #: Pixels of a patch's side.
    patch: int
    #: Patches of a side that become one visual token.
    merge: int
    #: Input values of one patch: channels x frames x pixels.
    patch_values: int
    out_hidden: int
    #: Blocks after which a DeepStack map is taken.
    deepstack: tuple[int, ...]
    #: Side of the square grid of learned position embeddings.
    grid_side: int
    rope_theta: float
    #: Frames of a patch: an image is repeated for so many.
    frames: int = 2

    @property
    def head_dim(self) -> int:
        """Width of one attention head."""
        return self.hidden // self.heads

    @property
    def factor(self) -> int:
        """Pixels of a side that one visual token covers."""
        return self.patch * self.merge


@dataclass(frozen=True, slots=True)
class ModelShape:
    """A whole model."""

    text: TextShape
    vision: VisionShape
    image_token: int
    #: Tokens that end an answer.
    end_tokens: frozenset[int]


def read_shape(config: Any, end_tokens: frozenset[int]) -> ModelShape:
    """Read a transformers `Qwen3VLConfig` or `Qwen3VLMoeConfig`.

    Raises AttributeError or KeyError for another one.
    """
    return ModelShape(
        text=_text_shape(config.text_config, bool(config.tie_word_embeddings)),
        vision=_vision_shape(config.vision_config),
        image_token=config.image_token_id,
        end_tokens=end_tokens,
    )


def _text_shape(text: Any, tied: bool) -> TextShape:
    rope = text.rope_parameters
    temporal, rows, columns = rope["mrope_section"]
    frequencies, scale = _stretched_rope(text)
    return TextShape(
        layers=text.num_hidden_layers,
        hidden=text.hidden_size,
        intermediate=text.intermediate_size,
        heads=text.num_attention_heads,
        kv_heads=text.num_key_value_heads,
        head_dim=text.head_dim,
        vocab=text.vocab_size,
        eps=text.rms_norm_eps,
        rope_theta=rope["rope_theta"],
        mrope_section=(temporal, rows, columns),
        context=text.max_position_embeddings,
        tied=tied,
        frequencies=frequencies,
        rope_scale=scale,
        experts=_expert_shape(text),
    )


def _expert_shape(text: Any) -> ExpertShape | None:
    """Return the experts' shape as transformers spreads them over the layers; None without any."""
    count = getattr(text, "num_experts", 0)
    layers = frozenset(
        at
        for at in range(text.num_hidden_layers)
        if count and at not in text.mlp_only_layers and (at + 1) % text.decoder_sparse_step == 0
    )
    if not layers:
        return None
    return ExpertShape(count, text.num_experts_per_tok, text.moe_intermediate_size, layers)


def _stretched_rope(text: Any) -> tuple[tuple[float, ...] | None, float]:
    """Return the frequencies and the scale of a stretched context as transformers computes them."""
    kind = text.rope_parameters["rope_type"]
    if kind == "default":
        return None, 1.0
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    frequencies, scale = ROPE_INIT_FUNCTIONS[kind](text)
    return tuple(frequencies.tolist()), float(scale)


def _vision_shape(vision: Any) -> VisionShape:
    return VisionShape(
        depth=vision.depth,
        hidden=vision.hidden_size,
        intermediate=vision.intermediate_size,
        heads=vision.num_heads,
        patch=vision.patch_size,
        merge=vision.spatial_merge_size,
        patch_values=vision.in_channels * vision.temporal_patch_size * vision.patch_size**2,
        out_hidden=vision.out_hidden_size,
        deepstack=tuple(vision.deepstack_visual_indexes),
        grid_side=int(vision.num_position_embeddings**0.5),
        rope_theta=vision.rope_parameters["rope_theta"],
        frames=vision.temporal_patch_size,
    )
