"""Keys and values that are kept for the next turn."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

pytestmark = pytest.mark.model


@pytest.fixture
def make():
    """Return a function that makes an entry of so many tokens, 64 bytes each."""
    import torch

    from worker.engine.config import TextShape
    from worker.engine.memory.kv_cache import KVEntry, SequenceKV

    shape = TextShape(
        layers=1, hidden=8, intermediate=8, heads=1, kv_heads=1, head_dim=8, vocab=9, eps=1e-6,
        rope_theta=1e4, mrope_section=(2, 1, 1), context=99, tied=True,
    )  # fmt: skip

    def entry(identity: list[int]):
        kv = SequenceKV(shape, len(identity), torch.float32)
        kv.length = len(identity)
        return KVEntry(kv, np.array(identity, dtype=np.int64))

    return entry


@pytest.fixture
def pool():
    from worker.engine.memory.kv_cache import KVPool

    return KVPool(max_bytes=64 * 10)


def ids(*values: int):
    return np.array(values, dtype=np.int64)


def test_a_longer_conversation_gets_the_buffer_of_its_beginning(pool, make) -> None:
    pool.put("a", make([1, 2, 3]))
    kv = pool.take("a", ids(1, 2, 3, 4, 5))
    assert kv.length == 3


def test_a_buffer_is_cut_where_the_conversation_differs(pool, make) -> None:
    pool.put("a", make([1, 2, 3, 4]))
    assert pool.take("a", ids(1, 2, 9, 9)).length == 2


def test_the_last_token_is_always_left_to_compute(pool, make) -> None:
    pool.put("a", make([1, 2, 3]))
    assert pool.take("a", ids(1, 2, 3)).length == 2


def test_another_scope_finds_nothing(pool, make) -> None:
    pool.put("a", make([1, 2, 3]))
    assert pool.take("b", ids(1, 2, 3, 4)) is None


def test_without_a_scope_nothing_is_kept(pool, make) -> None:
    pool.put("", make([1, 2, 3]))
    assert pool.take("", ids(1, 2, 3, 4)) is None


def test_a_buffer_is_lent_to_one_only(pool, make) -> None:
    pool.put("a", make([1, 2, 3]))
    assert pool.take("a", ids(1, 2, 3, 4)) is not None
    assert pool.take("a", ids(1, 2, 3, 4)) is None
    assert pool.nbytes == 0


def test_the_longest_common_beginning_is_chosen(pool, make) -> None:
    pool.put("a", make([1, 2, 3]))
    pool.put("a", make([1, 2, 3, 4]))
    assert pool.take("a", ids(1, 2, 3, 4, 5)).length == 4


def test_the_least_recently_used_buffer_makes_room(pool, make) -> None:
    for scope in "abc":
        pool.put(scope, make([1, 2, 3, 4]))
    assert pool.take("a", ids(1, 2, 3, 4, 5)) is None
    assert pool.take("c", ids(1, 2, 3, 4, 5)) is not None


def test_an_equal_text_over_another_image_is_not_the_same_beginning() -> None:
    from shared.prediction.visual_tokens import VisualSize
    from worker.engine.api import ImageInput
    from worker.engine.input.chat_template import LaidOut
    from worker.engine.input.prompt import build_prompt
    from worker.engine.memory.kv_cache import common_prefix

    def identity(image_id: str):
        source = ImageInput(image_id, None, 1)  # type: ignore[arg-type]
        return build_prompt(
            LaidOut([5, source, 6]),
            image_token=9,
            factor=32,
            size_of=lambda _: VisualSize(64, 32, 2),
            key_of=lambda source, _: source.id,
        ).identity

    assert common_prefix(identity("img_a"), identity("img_a")) == 4
    assert common_prefix(identity("img_a"), identity("img_b")) == 1


def test_what_shows_an_erased_picture_is_dropped_and_not_kept_again(pool, make) -> None:
    with_picture = dataclasses.replace(make([1, 2, 3]), file_marks=frozenset({"one"}))
    pool.put("a", with_picture)
    pool.put("b", make([1, 2, 3]))
    pool.forget(frozenset({"one"}))
    assert [pool.count_reusable(scope, ids(1, 2, 3)) for scope in "ab"] == [0, 2]
    assert pool.nbytes == 64 * 3
    pool.put("a", with_picture)
    assert pool.count_reusable("a", ids(1, 2, 3)) == 0
    pool.forget(frozenset())
    pool.put("a", with_picture)
    assert pool.count_reusable("a", ids(1, 2, 3)) == 2
