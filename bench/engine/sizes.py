"""The sizes of a Qwen3-VL-2B, as its public configuration names them."""

from __future__ import annotations

from typing import Any

from worker.engine.config import TextShape, VisionShape

TEXT: dict[str, Any] = {
    "num_hidden_layers": 28,
    "hidden_size": 2048,
    "intermediate_size": 6144,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "vocab_size": 151_936,
    "max_position_embeddings": 262_144,
    "rope_parameters": {
        "rope_type": "default",
        "rope_theta": 5_000_000.0,
        "mrope_section": [24, 20, 20],
        "mrope_interleaved": True,
    },
    "tie_word_embeddings": True,
}
VISION: dict[str, Any] = {
    "depth": 24,
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_heads": 16,
    "patch_size": 16,
    "spatial_merge_size": 2,
    "temporal_patch_size": 2,
    "out_hidden_size": 2048,
    "deepstack_visual_indexes": [5, 11, 17],
    "num_position_embeddings": 2304,
}
_CHANNELS, _EPS, _VISION_THETA = 3, 1e-6, 10_000.0


def text_shape() -> TextShape:
    """Return the language model's shape without reading a configuration by transformers."""
    return TextShape(
        layers=TEXT["num_hidden_layers"],
        hidden=TEXT["hidden_size"],
        intermediate=TEXT["intermediate_size"],
        heads=TEXT["num_attention_heads"],
        kv_heads=TEXT["num_key_value_heads"],
        head_dim=TEXT["head_dim"],
        vocab=TEXT["vocab_size"],
        eps=_EPS,
        rope_theta=TEXT["rope_parameters"]["rope_theta"],
        mrope_section=tuple(TEXT["rope_parameters"]["mrope_section"]),
        context=TEXT["max_position_embeddings"],
        tied=TEXT["tie_word_embeddings"],
    )


def vision_shape() -> VisionShape:
    """Return the tower's shape without reading a configuration by transformers."""
    return VisionShape(
        depth=VISION["depth"],
        hidden=VISION["hidden_size"],
        intermediate=VISION["intermediate_size"],
        heads=VISION["num_heads"],
        patch=VISION["patch_size"],
        merge=VISION["spatial_merge_size"],
        patch_values=_CHANNELS * VISION["temporal_patch_size"] * VISION["patch_size"] ** 2,
        out_hidden=VISION["out_hidden_size"],
        deepstack=tuple(VISION["deepstack_visual_indexes"]),
        grid_side=int(VISION["num_position_embeddings"] ** 0.5),
        rope_theta=_VISION_THETA,
        frames=VISION["temporal_patch_size"],
    )
