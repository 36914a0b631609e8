"""Compares a checkpoint's tensors, by name, shape and type, with those that its shape needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from worker.engine.checkpoint.fields import QUANTIZED_HINT
from worker.engine.checkpoint.weights import TensorHeader
from worker.engine.config import ExpertShape, ModelShape, TextShape, VisionShape
from worker.engine.model.feed_forward import EXPERT_PARTS, FUSED_DOWN, FUSED_GATE_UP

Shapes = dict[str, tuple[int, ...]]

_TEXT, _VISION, _HEAD = "model.language_model", "model.visual", "lm_head.weight"
#: Types that are widened or rounded to the engine's own without harm.
_TYPES = frozenset({"BF16", "F16", "F32"})
#: Ends of names of tensors that are computed from the configuration.
_COMPUTED = "inv_freq"


def check_tensors(headers: Mapping[str, TensorHeader], shape: ModelShape) -> None:
    """Raise ValueError unless the tensors are exactly those of such a model, in plain numbers.

    The head may be there beside tied embeddings.
    """
    needed = list_tensors(shape, headers)
    known = needed | _head_shape(shape.text)
    fault = next(_faults(headers, needed, known), None)
    if fault:
        raise ValueError(fault)


def list_tensors(shape: ModelShape, headers: Mapping[str, TensorHeader] | None = None) -> Shapes:
    """Return the shape of every tensor that such a model needs, by its name.

    Experts come in three forms: the one that `headers` have is listed, or what transformers saves.
    """
    head = {} if shape.text.tied else _head_shape(shape.text)
    text = _text_tensors(shape.text, headers or {})
    return dict(text) | dict(_vision_tensors(shape.vision)) | head


def _faults(headers: Mapping[str, TensorHeader], needed: Shapes, known: Shapes) -> Iterator[str]:
    for name, header in headers.items():
        if header.dtype not in _TYPES:
            yield (
                f"{name} is of type {header.dtype}, and only bfloat16, float16 and float32 are"
                f" read: if the weights are quantised, {QUANTIZED_HINT}"
            )
    missing = sorted(needed.keys() - headers.keys())
    if missing:
        yield f"{len(missing)} of {len(needed)} tensors are missing, as {missing[0]}"
    for name in sorted(known.keys() & headers.keys()):
        if headers[name].shape != known[name]:
            yield f"{name} is {headers[name].shape}, and config.json says {known[name]}"
    others = sorted(n for n in headers.keys() - known.keys() if not n.endswith(_COMPUTED))
    if others:
        yield (
            f"{len(others)} tensors are none of this model's, as {others[0]}:"
            " it is quantised, adapted or of another architecture"
        )


def _head_shape(text: TextShape) -> Shapes:
    return {_HEAD: (text.vocab, text.hidden)}


def _text_tensors(
    text: TextShape, headers: Mapping[str, TensorHeader]
) -> Iterator[tuple[str, tuple[int, ...]]]:
    queries, keys = text.heads * text.head_dim, text.kv_heads * text.head_dim
    layer: Shapes = {
        "input_layernorm": (text.hidden,),
        "post_attention_layernorm": (text.hidden,),
        "self_attn.q_proj": (queries, text.hidden),
        "self_attn.k_proj": (keys, text.hidden),
        "self_attn.v_proj": (keys, text.hidden),
        "self_attn.o_proj": (text.hidden, queries),
        "self_attn.q_norm": (text.head_dim,),
        "self_attn.k_norm": (text.head_dim,),
    }
    dense = _gated("mlp", text.intermediate, text.hidden)
    yield f"{_TEXT}.embed_tokens.weight", (text.vocab, text.hidden)
    yield f"{_TEXT}.norm.weight", (text.hidden,)
    for at in range(text.layers):
        prefix, experts = f"{_TEXT}.layers.{at}", text.experts
        for name, size in layer.items():
            yield f"{prefix}.{name}.weight", size
        if experts and at in experts.layers:
            yield from _expert_tensors(f"{prefix}.mlp", experts, text.hidden, headers)
            continue
        for name, size in dense.items():
            yield f"{prefix}.{name}.weight", size


def _gated(prefix: str, inner: int, hidden: int) -> Shapes:
    """Return the three weights of a SwiGLU, without the ends of their names."""
    gate, up, down = (f"{prefix}.{part}" for part in EXPERT_PARTS)
    return {gate: (inner, hidden), up: (inner, hidden), down: (hidden, inner)}


def _expert_tensors(
    prefix: str, experts: ExpertShape, hidden: int, headers: Mapping[str, TensorHeader]
) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{prefix}.gate.weight", (experts.count, hidden)
    if f"{prefix}.experts.0.{EXPERT_PARTS[0]}.weight" in headers:
        for expert in range(experts.count):
            single = _gated(f"{prefix}.experts.{expert}", experts.intermediate, hidden)
            for name, size in single.items():
                yield f"{name}.weight", size
        return
    fused: Shapes = {
        f"{prefix}.{FUSED_GATE_UP}": (experts.count, 2 * experts.intermediate, hidden),
        f"{prefix}.{FUSED_DOWN}": (experts.count, hidden, experts.intermediate),
    }
    for name, (count, outputs, inputs) in fused.items():
        turned = (count, inputs, outputs)
        is_turned = name in headers and headers[name].shape == turned
        yield name, turned if is_turned else (count, outputs, inputs)


def _vision_tensors(vision: VisionShape) -> Iterator[tuple[str, tuple[int, ...]]]:
    hidden, inner = vision.hidden, vision.intermediate
    channels = vision.patch_values // (vision.frames * vision.patch**2)
    block: Shapes = {
        "norm1": (hidden,),
        "attn.qkv": (3 * hidden, hidden),
        "attn.proj": (hidden, hidden),
        "norm2": (hidden,),
        "mlp.linear_fc1": (inner, hidden),
        "mlp.linear_fc2": (hidden, inner),
    }
    patch = (hidden, channels, vision.frames, vision.patch, vision.patch)
    yield f"{_VISION}.pos_embed.weight", (vision.grid_side**2, hidden)
    yield from _biased("patch_embed.proj", patch)
    for at in range(vision.depth):
        for name, size in block.items():
            yield from _biased(f"blocks.{at}.{name}", size)
    yield from _merger_tensors("merger", vision, hidden)
    for at in range(len(vision.deepstack)):
        wide = hidden * vision.merge**2
        yield from _merger_tensors(f"deepstack_merger_list.{at}", vision, wide)


def _merger_tensors(
    name: str, vision: VisionShape, norm: int
) -> Iterator[tuple[str, tuple[int, ...]]]:
    wide = vision.hidden * vision.merge**2
    yield from _biased(f"{name}.norm", (norm,))
    yield from _biased(f"{name}.linear_fc1", (wide, wide))
    yield from _biased(f"{name}.linear_fc2", (vision.out_hidden, wide))


def _biased(name: str, size: tuple[int, ...]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield a weight, and its bias with one value for each output."""
    yield f"{_VISION}.{name}.weight", size
    yield f"{_VISION}.{name}.bias", size[:1]
