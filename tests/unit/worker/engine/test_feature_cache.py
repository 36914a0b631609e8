"""Features that need not be computed again."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.model


class Shelf:
    """A second level in memory that can be made to fail."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self.broken = False

    def get(self, key: str) -> bytes | None:
        if self.broken:
            raise ConnectionError("gone")
        return self.values.get(key)

    def put(self, key: str, value: bytes) -> None:
        if self.broken:
            raise ConnectionError("gone")
        self.values[key] = value


def features(tokens: int = 4):
    import torch

    return torch.randn(2, tokens, 8).bfloat16()


def cache(max_bytes: int = 1 << 20, store: Shelf | None = None):
    from worker.engine.memory.feature_cache import FeatureCache

    return FeatureCache(max_bytes, store)


def test_what_was_put_is_found() -> None:
    ram, some = cache(), features()
    ram.put("a", some)
    assert ram.get("a") is some


def test_the_least_recently_used_makes_room() -> None:
    some = features()
    ram = cache(max_bytes=2 * some.nbytes)
    for key in "ab":
        ram.put(key, some)
    ram.get("a")
    ram.put("c", some)
    assert [key for key in "abc" if ram.get(key) is not None] == ["a", "c"]
    assert ram.nbytes == 2 * some.nbytes


def test_features_larger_than_the_memory_are_not_kept_in_it() -> None:
    ram = cache(max_bytes=10)
    ram.put("a", features())
    assert ram.get("a") is None
    assert ram.nbytes == 0


def test_another_worker_finds_equal_features_behind() -> None:
    shelf, some = Shelf(), features()
    mine = cache(store=shelf)
    mine.put("a", some)
    mine.close()
    fetched = cache(store=shelf).get("a")
    assert fetched is not None
    assert fetched.equal(some)


def test_features_from_behind_stay_near() -> None:
    shelf = Shelf()
    mine = cache(store=shelf)
    mine.put("a", features())
    mine.close()
    other = cache(store=shelf)
    other.get("a")
    shelf.broken = True
    assert other.get("a") is not None


def test_damaged_features_are_a_miss() -> None:
    shelf = Shelf()
    shelf.values["a"] = b"\x08\x00\x00\x00\x00\x00\x00\x00{broken}"
    assert cache(store=shelf).get("a") is None


def test_a_store_that_is_gone_is_a_miss_and_no_error() -> None:
    shelf, some = Shelf(), features()
    shelf.broken = True
    ram = cache(store=shelf)
    assert ram.get("a") is None
    ram.put("a", some)
    assert ram.get("a") is some
    ram.close()
