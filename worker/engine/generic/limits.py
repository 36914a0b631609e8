"""What a configuration of transformers says of a model's context and of its memory per token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

#: Of a model that does not tell.
_CONTEXT = 4096


@dataclass(frozen=True, slots=True)
class ModelLimits:
    """The sizes of one model that bound a request."""

    context: int
    #: Keys and values of one token.
    kv_bytes: int
    #: Numbers that one patch of an image has in a layer of the tower, at its widest.
    patch_values: int


def read_limits(config: Any, width: int) -> ModelLimits:
    """Return the limits of a model that computes with numbers of `width` bytes."""
    text = config.get_text_config()
    heads = _number(text, "num_attention_heads", 1)
    head = _number(text, "head_dim", _number(text, "hidden_size", 1) // heads)
    kv_heads = _number(text, "num_key_value_heads", heads)
    layers = _number(text, "num_hidden_layers", 1)
    vision = getattr(config, "vision_config", None) or text
    hidden = _number(vision, "hidden_size", _number(vision, "embed_dim", 1024))
    return ModelLimits(
        context=_number(text, "max_position_embeddings", _CONTEXT),
        kv_bytes=2 * layers * kv_heads * head * width,
        patch_values=7 * hidden + 2 * _number(vision, "intermediate_size", 4 * hidden),
    )


def _number(part: Any, name: str, default: int) -> int:
    value = getattr(part, name, None)
    return value if isinstance(value, int) and value > 0 else default
