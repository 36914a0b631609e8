"""The compiled kernels compute what torch computes, within the rounding of their numerics."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")

import torch
import torch.nn.functional as F  # noqa: N812

from shared.settings import Settings
from tests.support.long_form import ends_of
from worker.engine.batch import Batch, Segment
from worker.engine.checkpoint.opening import open_checkpoint
from worker.engine.config import TextShape
from worker.engine.kernels.build import load_kernels
from worker.engine.kernels.instructions import INSTRUCTION_SETS, choose_instructions
from worker.engine.memory.kv_cache import SequenceKV
from worker.engine.ops.base import HeadNorms, TorchOps
from worker.engine.ops.choice import choose_ops
from worker.engine.ops.native import NativeOps
from worker.engine.ops.onednn import Int8Ops

pytestmark = pytest.mark.model

REFERENCE = TorchOps(torch.float32)


#: Those that this CPU can run.
VARIANTS = [one.name for one in INSTRUCTION_SETS if choose_instructions(one.name) == one]


@pytest.fixture(scope="module", params=ends_of(VARIANTS))
def kernels(request):
    library = load_kernels(request.param)
    if library is None:
        pytest.skip("there is no compiler")
    assert library.instructions.name == request.param
    return library


@pytest.fixture(scope="module")
def ops(kernels):
    return NativeOps(kernels, "bf16", threads=2)


def noise(*shape: int, scale: float = 1.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return (torch.randn(shape, generator=generator) * scale).bfloat16()


def close(
    ours: torch.Tensor,
    theirs: torch.Tensor,
    tolerance: float = 0.01,
    dtype: torch.dtype = torch.bfloat16,
) -> None:
    """Compare to the reference, relative to its largest value."""
    assert ours.dtype is dtype
    assert (ours.float() - theirs).abs().max() <= tolerance * theirs.abs().max()


@pytest.mark.parametrize("rows", [1, 2, 5, 40])
@pytest.mark.parametrize("inputs", [96, 256])
def test_products_in_int4(kernels, rows, inputs) -> None:
    x, weight, bias, residual = (
        noise(rows, inputs),
        noise(100, inputs, scale=0.1),
        noise(100),
        noise(rows, 100),
    )
    linear = NativeOps(kernels, "int4", threads=2).linear(weight, bias)
    exact = F.linear(x.float(), weight.float())
    off = linear(x).float() - bias.float() - exact
    # the error of rounding to 16 levels, and no more: 8 % of what random weights multiply to
    assert off.norm() < 0.11 * exact.norm()
    off = linear(x, residual=residual).float() - bias.float() - residual.float() - exact
    assert off.norm() < 0.11 * exact.norm()
    alone = torch.cat([linear(row[None]) for row in x])
    assert alone.equal(linear(x))


def test_int4_is_refused_without_kernels() -> None:
    settings = Settings(native_kernels=False)
    shape = open_checkpoint(Path(settings.model)).shape
    with pytest.raises(ValueError, match="set SIGHTLINE_NUMERICS to int8"):
        choose_ops(settings, shape, "int4")


@pytest.mark.skipif(not VARIANTS, reason="this CPU has no kernels")
def test_the_tower_stays_in_int8_beside_int4() -> None:
    settings = Settings()
    chosen = choose_ops(settings, open_checkpoint(Path(settings.model)).shape, "int4")
    assert chosen.text.name.startswith("int4 by compiled kernels")
    assert chosen.images.name.startswith("int8 by compiled kernels")


def test_weights_of_int4_take_four_and_a_quarter_bits(kernels) -> None:
    assert kernels.int4_bytes(128, 640) == 128 * 640 * 4.25 / 8


@pytest.mark.parametrize("rows", [1, 2, 5, 6, 7, 13, 490])
@pytest.mark.parametrize(("outputs", "inputs"), [(64, 32), (200, 64), (128, 4224)])
def test_products(ops, rows, outputs, inputs) -> None:
    x, weight, bias, residual = (
        noise(rows, inputs),
        noise(outputs, inputs, scale=0.1),
        noise(outputs),
        noise(rows, outputs),
    )
    exact = F.linear(x.float(), weight.float(), bias.float())
    close(ops.linear(weight, bias)(x), exact)
    close(ops.linear(weight, bias)(x, residual=residual), exact + residual.float())


@pytest.mark.parametrize("then", ["gelu", "swiglu"])
def test_what_follows_a_product(ops, then) -> None:
    x, weight, bias = noise(9, 64), noise(256, 64, scale=0.3), noise(256)
    exact = REFERENCE.linear(weight, None if then == "swiglu" else bias, then)(x.float())
    close(ops.linear(weight, None if then == "swiglu" else bias, then)(x), exact)


@pytest.mark.parametrize("rows", [1, 8, 40])
def test_int8_products_are_those_of_onednn(kernels, rows) -> None:
    x, weight, bias = noise(rows, 256), noise(100, 256, scale=0.1), noise(100)
    ours = NativeOps(kernels, "int8", threads=2).linear(weight, bias)(x)
    # without VNNI our weights are rounded more coarsely
    tolerance = 0.02 if kernels.instructions.name in ("avx512", "avx2") else 0.01
    close(ours, Int8Ops().linear(weight, bias)(x).float(), tolerance)
    close(ours, F.linear(x.float(), weight.float(), bias.float()), tolerance=0.03)


def test_a_wild_row_does_not_spoil_its_neighbours_in_int8(kernels) -> None:
    x, weight = noise(2, 256), noise(64, 256, scale=0.1)
    linear = NativeOps(kernels, "int8", threads=2).linear(weight)
    alone = linear(x[:1])
    x[1] *= 1e4
    assert linear(x)[0].equal(alone[0])


@pytest.mark.parametrize("native", [True, False])
def test_a_wild_value_does_not_spoil_its_own_row_in_int8(kernels, native) -> None:
    x, weight = noise(40, 256), noise(64, 256, scale=0.1)
    x[:, 7] = 60.0
    narrow = NativeOps(kernels, "int8", threads=2) if native else Int8Ops()
    exact = F.linear(x.float(), weight.float())
    off = narrow.linear(weight)(x).float() - exact
    # steps of 60 / 127 would make it 3.5 %
    assert off.norm() < 0.015 * exact.norm()


def test_rows_do_not_depend_on_how_many_there_are(ops) -> None:
    x, weight = noise(14, 2112), noise(130, 2112, scale=0.1)
    linear = ops.linear(weight)
    assert torch.cat([linear(row[None]) for row in x]).equal(linear(x))


def test_logits_are_not_rounded_to_bfloat16(ops) -> None:
    x, weight = noise(11, 96), noise(75, 96, scale=0.1)
    exact = x.float() @ weight.float().T
    close(ops.head(weight)(x), exact, 1e-6, torch.float32)
    close(ops.head(weight.float())(x), exact, 1e-6, torch.float32)


@pytest.mark.parametrize("rows", [1, 8, 40])
def test_logits_in_int8_are_not_rounded_to_bfloat16(kernels, rows) -> None:
    x, weight = noise(rows, 256), noise(75, 256, scale=0.1)
    ours = NativeOps(kernels, "int8", threads=2).head(weight)(x)
    close(ours, Int8Ops().head(weight)(x), 0.02, torch.float32)
    close(ours, x.float() @ weight.float().T, 0.03, torch.float32)
    assert not ours.equal(ours.bfloat16().float())


def test_norms(ops) -> None:
    x, weight, bias = noise(20, 160, scale=3), noise(160), noise(160)
    close(ops.rms_norm(x, weight, 1e-6), REFERENCE.rms_norm(x.float(), weight.float(), 1e-6))
    close(
        ops.layer_norm(x, weight, bias),
        REFERENCE.layer_norm(x.float(), weight.float(), bias.float()),
    )


def angles(rows: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    turned = noise(rows, width // 2).float().repeat(1, 2)
    return turned.cos(), turned.sin()


@pytest.mark.parametrize("patches", [4, 60, 300, 1028])
def test_attention_of_an_image(ops, patches) -> None:
    qkv, rotary = noise(patches, 3 * 2 * 64), angles(patches, 64)
    close(ops.attend_image(qkv, 2, rotary), REFERENCE.attend_image(qkv.float(), 2, rotary))


@pytest.mark.parametrize("patches", [4, 300, 1028])
def test_attention_of_an_image_in_int8(kernels, patches) -> None:
    narrow = NativeOps(kernels, "int8", threads=2)
    qkv, rotary = noise(patches, 3 * 2 * 64), angles(patches, 64)
    # keys have a large part in common, as those of real towers do
    qkv.view(patches, 3, 128)[:, 1] += 4 * noise(1, 128)
    exact = REFERENCE.attend_image(qkv.float(), 2, rotary)
    off = narrow.attend_image(qkv, 2, rotary).float() - exact
    assert off.norm() < 0.03 * exact.norm()


def text_shape(width: int) -> TextShape:
    return TextShape(
        layers=2, hidden=256, intermediate=256, heads=6, kv_heads=2, head_dim=width, vocab=9,
        eps=1e-6, rope_theta=1e4, mrope_section=(2, 1, 1), context=999, tied=True,
    )  # fmt: skip


@pytest.mark.parametrize("width", [64, 128])
@pytest.mark.parametrize("past", [1, 15, 240, 300])
def test_a_row_attends_to_the_same_bit_alone_and_in_a_chunk(ops, width, past) -> None:
    rows = 29
    queries = noise(rows, 6 * width)
    kv = SequenceKV(text_shape(width), past + rows, torch.bfloat16)
    kv.data[:] = noise(*kv.data.shape)

    def attend(first: int, count: int) -> torch.Tensor:
        kv.length = past + first
        batch = Batch(torch.zeros(count), torch.zeros(3, count), (Segment(kv, 0, count),))
        return ops.attend(queries[first : first + count].contiguous(), batch, 1)

    whole = attend(0, rows)
    assert torch.cat([attend(row, 1) for row in range(rows)]).equal(whole)
    assert torch.cat([attend(0, 5), attend(5, 13), attend(18, 11)]).equal(whole)


@pytest.mark.parametrize("width", [64, 128])
def test_attention_of_a_batch_with_chunks_and_single_tokens(ops, width) -> None:
    shape = text_shape(width)
    norms = HeadNorms(noise(width), noise(width), eps=1e-6, heads=6, kv_heads=2)
    exact_norms = HeadNorms(
        norms.queries.float(), norms.keys.float(), eps=1e-6, heads=6, kv_heads=2
    )

    def batch(dtype: torch.dtype) -> Batch:
        segments, first = [], 0
        for past, count in ((0, 1), (300, 1), (0, 70), (290, 33)):
            kv = SequenceKV(shape, past + count + 3, dtype)
            kv.data[:, :, :, :past] = noise(2, 2, 2, past, width).to(dtype)
            kv.length = past
            segments.append(Segment(kv, first, count))
            first += count
        return Batch(torch.zeros(first), torch.zeros(3, first), tuple(segments))

    ours, theirs = batch(torch.bfloat16), batch(torch.float32)
    qkv, rotary = noise(105, 10 * width), angles(105, width)
    narrow = (rotary[0].bfloat16(), rotary[1].bfloat16())
    wide = (narrow[0].float(), narrow[1].float())
    queries = ops.store_keys(qkv, norms, narrow, ours, 1)
    exact_queries = REFERENCE.store_keys(qkv.float(), exact_norms, wide, theirs, 1)
    close(queries, exact_queries.flatten(1))
    for mine, exact in zip(ours.segments, theirs.segments, strict=True):
        close(mine.kv.data[1, :, :, : mine.total], exact.kv.data[1, :, :, : exact.total])
    close(ops.attend(queries, ours, 1), REFERENCE.attend(exact_queries, theirs, 1), 0.02)
