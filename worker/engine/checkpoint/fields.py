"""Refuses configurations that ask for arithmetic that the engine does not do.

Whatever transformers' Qwen3-VL reads of its configuration is either read in config.py, or checked
here to be what the engine computes: a field that is ignored would make answers silently wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

#: Architectures that are computed: of one feed-forward network a layer, and of experts.
_MODEL_TYPES = ("qwen3_vl", "qwen3_vl_moe")
#: The field in which transformers describes quantised weights.
QUANTIZATION = "quantization_config"
#: Fields by which a checkpoint says that its weights are quantised.
_QUANTIZED = (QUANTIZATION, "compression_config", "quantization")
QUANTIZED_HINT = (
    "use the checkpoint in bfloat16; with SIGHTLINE_NUMERICS=int8 the engine quantises it itself"
)
#: Forms of rotary embeddings whose frequencies do not depend on the length of the text.
_ROPES = ("default", "linear", "yarn", "llama3")
_ACTIVATIONS = {"text": ("silu", "swish"), "vision": ("gelu_pytorch_tanh", "gelu_tanh")}


def check_kind(config: Mapping[str, Any]) -> None:
    """Raise ValueError unless a config.json is that of a Qwen3-VL.

    Whether its `quantization_config` can be read is for quantized.py to say.
    """
    kind = config.get("model_type")
    if kind not in _MODEL_TYPES:
        known = " or ".join(_MODEL_TYPES)
        raise ValueError(f"{kind} is not {known}, which alone are computed{_way_out(kind)}")
    parts = [config, config.get("text_config"), config.get("vision_config")]
    for part in parts:
        if not isinstance(part, Mapping):
            raise ValueError("config.json has no text_config or no vision_config")  # noqa: TRY004
        for name in _QUANTIZED:
            if part.get(name) and not (part is config and _has_method(part[name], name)):
                raise ValueError(
                    f"the weights are quantised ({_method(part[name])}); {QUANTIZED_HINT}"
                )


def _way_out(kind: object) -> str:
    """Return how a model of another architecture can be run, "" where it cannot."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

    if kind not in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES:
        return ""
    return "; SIGHTLINE_ENGINE=transformers runs it with the generic engine, which is slower"


def _has_method(quantization: object, name: str) -> bool:
    """Tell whether the field describes its weights as transformers does."""
    return (
        name == QUANTIZATION
        and isinstance(quantization, Mapping)
        and bool(quantization.get("quant_method"))
    )


def _method(quantization: object) -> str:
    """Return the name of a quantisation."""
    if not isinstance(quantization, Mapping):
        return str(quantization)
    method = quantization.get("quant_method") or quantization.get("format")
    bits = quantization.get("bits")
    return str(method or (f"MLX, {bits} bits" if bits else "an unknown form"))


def check_fields(config: Any) -> None:
    """Raise ValueError for a configuration that the engine would compute wrongly.

    It is a transformers `Qwen3VLConfig` or `Qwen3VLMoeConfig`.
    """
    faults = [
        *(f"text_config.{fault}" for fault in _text_faults(config.text_config)),
        *(f"vision_config.{fault}" for fault in _vision_faults(config.vision_config)),
        *_joint_faults(config.text_config, config.vision_config),
    ]
    if faults:
        raise ValueError(f"config.json: {'; '.join(faults)}")


def _text_faults(text: Any) -> Iterator[str]:
    yield from _not_positive(
        text, "num_hidden_layers hidden_size intermediate_size num_attention_heads vocab_size"
        " num_key_value_heads head_dim max_position_embeddings rms_norm_eps",
    )  # fmt: skip
    yield from _other_than(text, "hidden_act", *_ACTIVATIONS["text"])
    yield from _other_than(text, "attention_bias", False)
    yield from _other_than(text, "sliding_window", None)
    kinds = set(getattr(text, "layer_types", None) or ()) - {"full_attention"}
    if kinds:
        yield f"layer_types has {min(kinds)}, and only full_attention is computed"
    if text.num_key_value_heads and text.num_attention_heads % text.num_key_value_heads:
        yield "num_attention_heads is no multiple of num_key_value_heads"
    yield from _rope_faults(text)
    if getattr(text, "num_experts", 0):
        yield from _expert_faults(text)


def _expert_faults(text: Any) -> Iterator[str]:
    yield from _not_positive(text, "moe_intermediate_size num_experts_per_tok decoder_sparse_step")
    # transformers makes the trust in the chosen experts 1 in all, whatever the field says
    yield from _other_than(text, "norm_topk_prob", True)
    if text.num_experts_per_tok and text.num_experts_per_tok > text.num_experts:
        yield f"num_experts_per_tok is {text.num_experts_per_tok} of {text.num_experts} experts"


def _rope_faults(text: Any) -> Iterator[str]:
    rope = text.rope_parameters
    if rope.get("rope_type") not in _ROPES:
        kinds = ", ".join(_ROPES)
        yield f"rope_parameters.rope_type is {rope.get('rope_type')}, not one of {kinds}"
    if rope.get("mrope_interleaved", True) is not True:
        yield "rope_parameters.mrope_interleaved is not true, and nothing else is computed"
    shares = rope.get("partial_rotary_factor"), getattr(text, "partial_rotary_factor", None)
    if any(share not in (None, 1, 1.0) for share in shares):
        yield "partial_rotary_factor is not 1, and only whole heads are rotated"
    yield from _not_positive(rope, "rope_theta")
    section = rope.get("mrope_section")
    if not isinstance(section, list | tuple) or len(section) != 3:
        yield "rope_parameters.mrope_section is missing"
    elif 2 * sum(section) != text.head_dim:
        yield f"rope_parameters.mrope_section does not add up to half of head_dim {text.head_dim}"


def _vision_faults(vision: Any) -> Iterator[str]:
    yield from _not_positive(
        vision, "depth hidden_size intermediate_size num_heads patch_size spatial_merge_size"
        " temporal_patch_size out_hidden_size num_position_embeddings",
    )  # fmt: skip
    yield from _other_than(vision, "hidden_act", *_ACTIVATIONS["vision"])
    yield from _other_than(vision, "in_channels", 3)
    yield from _not_positive(vision.rope_parameters, "rope_theta")
    if vision.rope_parameters.get("rope_type") not in ("axial", "default"):
        yield f"rope_parameters.rope_type is {vision.rope_parameters.get('rope_type')}, not axial"
    if vision.hidden_size % (4 * vision.num_heads or 1):
        yield "hidden_size is no multiple of 4 * num_heads"
    if round(vision.num_position_embeddings**0.5) ** 2 != vision.num_position_embeddings:
        yield "num_position_embeddings is no square"
    blocks = list(vision.deepstack_visual_indexes)
    if len(set(blocks)) < len(blocks) or any(not 0 <= at < vision.depth for at in blocks):
        yield f"deepstack_visual_indexes {blocks} are not different blocks of {vision.depth}"


def _joint_faults(text: Any, vision: Any) -> Iterator[str]:
    if vision.out_hidden_size != text.hidden_size:
        yield (
            f"vision_config.out_hidden_size {vision.out_hidden_size} is not"
            f" text_config.hidden_size {text.hidden_size}"
        )
    if len(vision.deepstack_visual_indexes) > text.num_hidden_layers:
        yield "vision_config.deepstack_visual_indexes are more than text_config.num_hidden_layers"


def _not_positive(part: Any, names: str) -> Iterator[str]:
    """Yield a fault for each of the named fields that is not a number above 0."""
    for name in names.split():
        value = part.get(name) if isinstance(part, Mapping) else getattr(part, name, None)
        if not isinstance(value, int | float) or not value > 0:
            yield f"{name} is {value}, not a number above 0"


def _other_than(part: Any, name: str, *computed: object) -> Iterator[str]:
    """Yield a fault if the field has a value that is not computed; a missing one is the default."""
    value = getattr(part, name, computed[0])
    if value not in computed:
        yield f"{name} is {value}, and only {computed[0]} is computed"
