"""Reads checkpoints whose weights are quantised: each weight is widened to bfloat16 as it is read.

| form | method in config.json | tensors of a weight |
|---|---|---|
| FP8 | `fp8` | `weight` in float8, `weight_scale_inv` for each block; experts too, whose tensor |
|     |       | for all of them is (experts, …, …), with one of the same name and `_scale_inv` |
| compressed | `compressed-tensors` | `weight`, float8 or int8, or `weight_packed`; `weight_scale` |
| GPTQ | `gptq` | `qweight`, `qzeros`, `scales`, `g_idx` |
| AWQ | `awq` | `qweight`, `qzeros`, `scales` |

Whatever else such a configuration may say makes it refused: it would be computed wrongly.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from worker.engine.checkpoint.weights import TensorHeader, WeightFiles

#: Values of one int32 of packed weights, by the bits of each.
_BITS = (4, 8)
#: Columns in the order in which AWQ packs eight of them.
_AWQ_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)
_FLOAT8 = "F8_E4M3"
#: Sizes of a tensor of all experts, and what the name of its scales ends in.
_FUSED_SIZES, _FUSED_SCALE = 3, "_scale_inv"
#: Formats of compressed-tensors: whose weights are as they are, and packed.
_PLAIN = ("float-quantized", "int-quantized", "naive-quantized")
_PACKED = "pack-quantized"

Parts = Mapping[str, torch.Tensor]


class Form:
    """One way to quantise: the tensors that make up a weight, and what they come to."""

    def __init__(
        self,
        name: str,
        main: str,
        others: tuple[str, ...],
        shape: Callable[[tuple[int, ...]], tuple[int, ...]],
        widen: Callable[[Parts], torch.Tensor],
    ) -> None:
        """`shape` turns that of the `main` tensor into that of the weight."""
        self.name, self.main, self.others = name, main, others
        self.shape, self.widen = shape, widen


def read_form(config: Mapping[str, Any]) -> Form:
    """Return the form that a `quantization_config` describes; raises ValueError if unknown."""
    method = config.get("quant_method")
    reader = _READERS.get(str(method))
    if reader is None:
        known = ", ".join(_READERS)
        raise ValueError(f"the weights are quantised ({method}), and only {known} are read")
    return reader(config)


class QuantizedFiles:
    """A TensorSource of bfloat16 weights over files that hold them quantised."""

    def __init__(self, files: WeightFiles, form: Form) -> None:
        """Wrap the files; raises ValueError if parts of a quantised weight are missing."""
        self._files, self._form = files, form
        self._headers = files.headers()
        self._modules = {
            name.removesuffix(f".{form.main}"): header
            for name, header in self._headers.items()
            if name.endswith(f".{form.main}") and _is_quantized(header)
        }
        self._fused = {
            name
            for name, header in self._headers.items()
            if len(header.shape) == _FUSED_SIZES and f"{name}{_FUSED_SCALE}" in self._headers
        }
        needed = (f"{module}.{form.others[0]}" for module in self._modules)
        missing = next((name for name in needed if name not in self._headers), None)
        if missing:
            raise ValueError(f"{missing} is missing: {form.name} weights need it")

    def __contains__(self, name: object, /) -> bool:
        """See TensorSource."""
        return name in self.headers()

    def headers(self) -> dict[str, TensorHeader]:
        """Return what `WeightFiles.headers` would for the same weights in bfloat16."""
        parts = {
            f"{module}.{part}"
            for module in self._modules
            for part in (self._form.main, *self._form.others)
        }
        parts |= {f"{name}{_FUSED_SCALE}" for name in self._fused}
        plain = {name: header for name, header in self._headers.items() if name not in parts}
        plain |= {name: TensorHeader(plain[name].shape, "BF16") for name in self._fused}
        widened = {
            f"{module}.weight": TensorHeader(self._form.shape(header.shape), "BF16")
            for module, header in self._modules.items()
        }
        return plain | widened

    def get(self, name: str) -> torch.Tensor:
        """See TensorSource; raises ValueError where the parts do not fit together."""
        module = name.removesuffix(".weight")
        names = (self._form.main, *self._form.others)
        held = {part: f"{module}.{part}" for part in names if f"{module}.{part}" in self._headers}
        if name in self._fused:
            held = dict(zip(names, (name, f"{name}{_FUSED_SCALE}"), strict=False))
        elif module not in self._modules or not name.endswith(".weight"):
            return self._files.get(name)
        try:
            weight = self._form.widen({part: self._files.get(at) for part, at in held.items()})
        except (RuntimeError, IndexError, KeyError) as error:
            raise ValueError(f"{name}: its {self._form.name} parts do not fit: {error}") from error
        return weight.to(torch.bfloat16)


def _is_quantized(header: TensorHeader) -> bool:
    """Tell a quantised weight from one that was left out, which has the same name."""
    return header.dtype in (_FLOAT8, "I8", "I32")


def unpack(words: torch.Tensor, bits: int, order: tuple[int, ...] = ()) -> torch.Tensor:
    """Return (rows, columns * 32 / bits) values without signs from (rows, columns) int32.

    `order` says which column each part of a word is, beginning with the lowest.
    """
    per_word = 32 // bits
    parts = [(words >> (bits * at)) & ((1 << bits) - 1) for at in range(per_word)]
    if order:
        parts = [parts[order.index(at)] for at in range(per_word)]
    return torch.stack(parts, -1).flatten(-2)


def _require(config: Mapping[str, Any], name: str, *known: object) -> Any:
    """Return a field's value; raises ValueError if it is none of the known ones."""
    value = config.get(name)
    if value not in known:
        choices = ", ".join(map(str, known))
        raise ValueError(f"quantization_config.{name} is {value}, and only {choices} is read")
    return value


def _read_fp8(config: Mapping[str, Any]) -> Form:
    _require(config, "fmt", "e4m3", None)
    block = config.get("weight_block_size")
    if not isinstance(block, list | tuple) or len(block) != 2 or min(block) < 1:
        raise ValueError(f"quantization_config.weight_block_size is {block}, not two sizes")
    rows, columns = map(int, block)

    def widen(parts: Parts) -> torch.Tensor:
        weight = parts["weight"].float()
        scale = parts["weight_scale_inv"].float()
        wide = scale.repeat_interleave(rows, -2).repeat_interleave(columns, -1)
        return weight * wide[..., : weight.shape[-2], : weight.shape[-1]]

    return Form("fp8", "weight", ("weight_scale_inv",), lambda shape: shape, widen)


def _read_compressed(config: Mapping[str, Any]) -> Form:
    style = _require(config, "format", *_PLAIN, _PACKED)
    groups = config.get("config_groups")
    weights = [group.get("weights") or {} for group in (groups or {}).values()]
    if len(weights) != 1:
        raise ValueError(
            "quantization_config.config_groups has not one group, and only one is read"
        )
    if style == _PACKED:
        return _packed_form(weights[0])
    return Form("compressed-tensors", "weight", ("weight_scale",), lambda shape: shape, _scale_rows)


def _scale_rows(parts: Parts) -> torch.Tensor:
    weight, scale = parts["weight"].float(), parts["weight_scale"].float()
    if scale.numel() not in (1, len(weight)):
        raise RuntimeError(f"{scale.numel()} scales for {len(weight)} rows")
    return weight * scale.reshape(-1, 1)


def _packed_form(weights: Mapping[str, Any]) -> Form:
    bits = _require(weights, "num_bits", *_BITS)
    symmetric = weights.get("symmetric", True)
    _require(weights, "type", "int", None)

    def widen(parts: Parts) -> torch.Tensor:
        levels = unpack(parts["weight_packed"], bits).float()
        levels = levels[:, : int(parts["weight_shape"][1])]
        zeros: torch.Tensor | float = float(1 << (bits - 1))
        scale = parts["weight_scale"].float()
        if not symmetric:
            packed = parts["weight_zero_point"]
            zeros = unpack(packed.T.contiguous(), bits).T[: len(levels)].float()
        group = _groups(parts.get("weight_g_idx"), levels.shape[1], scale.shape[1])
        wide_zeros = zeros if isinstance(zeros, float) else zeros[:, group]
        return (levels - wide_zeros) * scale[:, group]

    others = ("weight_scale", "weight_shape", "weight_zero_point", "weight_g_idx")
    per_word = 32 // bits
    return Form(
        "compressed-tensors",
        "weight_packed",
        others,
        lambda shape: (shape[0], shape[1] * per_word),
        widen,
    )


def _groups(index: torch.Tensor | None, width: int, count: int) -> torch.Tensor:
    """Return the group of each input: as the file lists them, else equally many in each."""
    if index is not None and bool((index >= 0).all()):
        return index.long()
    if width % count:
        raise RuntimeError(f"{count} groups for {width} inputs")
    return torch.arange(width) // (width // count)


def _read_gptq(config: Mapping[str, Any]) -> Form:
    bits = _require(config, "bits", *_BITS)
    form = _require(config, "checkpoint_format", "gptq", "gptq_v2", None)
    # the first format stores zero points less one
    shift = 0 if form == "gptq_v2" else 1

    def widen(parts: Parts) -> torch.Tensor:
        levels = unpack(parts["qweight"].T.contiguous(), bits).T.float()
        zeros = unpack(parts["qzeros"], bits).float() + shift
        scales = parts["scales"].float()
        group = _groups(parts.get("g_idx"), len(levels), len(scales))
        return ((levels - zeros[group]) * scales[group]).T.contiguous()

    others = ("scales", "qzeros", "g_idx")
    per_word = 32 // bits
    return Form("gptq", "qweight", others, lambda shape: (shape[1], shape[0] * per_word), widen)


def _read_awq(config: Mapping[str, Any]) -> Form:
    _require(config, "bits", 4)
    version = config.get("version")
    if str(version or "gemm").lower() != "gemm":
        raise ValueError(f"quantization_config.version is {version}, and only gemm is read")

    def widen(parts: Parts) -> torch.Tensor:
        levels = unpack(parts["qweight"], 4, _AWQ_ORDER).float()
        zeros = unpack(parts["qzeros"], 4, _AWQ_ORDER).float()
        scales = parts["scales"].float()
        group = _groups(None, len(levels), len(scales))
        return ((levels - zeros[group]) * scales[group]).T.contiguous()

    others = ("scales", "qzeros")
    return Form("awq", "qweight", others, lambda shape: (shape[1] * 8, shape[0]), widen)


_READERS: dict[str, Callable[[Mapping[str, Any]], Form]] = {
    "fp8": _read_fp8,
    "compressed-tensors": _read_compressed,
    "gptq": _read_gptq,
    "awq": _read_awq,
}
