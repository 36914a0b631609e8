"""Features that need not be computed again."""

from __future__ import annotations

import pytest

from tests.support.harness import eventually

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

    def forget(self, mark: str) -> None:
        if self.broken:
            raise ConnectionError("gone")
        for key in [key for key in self.values if key.startswith(f"{mark}:")]:
            del self.values[key]


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


def test_what_was_computed_from_an_erased_file_is_forgotten_near_and_behind() -> None:
    shelf = Shelf()
    mine = cache(store=shelf)
    for key in ("one:8x8", "one:16x16", "other:8x8"):
        mine.put(key, features())
    eventually(lambda: len(shelf.values) == 3, 60)
    mine.forget(frozenset({"one"}))
    assert [key for key in ("one:8x8", "one:16x16", "other:8x8") if mine.get(key) is not None] == [
        "other:8x8"
    ]
    assert shelf.values.keys() == {"other:8x8"}
    assert mine.nbytes == features().nbytes


def test_late_features_of_an_erased_file_are_not_kept_until_it_is_stored_again() -> None:
    shelf = Shelf()
    mine = cache(store=shelf)
    mine.forget(frozenset({"one"}))
    mine.put("one:8x8", features())
    assert mine.get("one:8x8") is None
    mine.forget(frozenset())
    mine.put("one:8x8", features())
    assert mine.get("one:8x8") is not None
    mine.close()
    assert shelf.values.keys() == {"one:8x8"}


def test_a_store_that_was_away_forgets_when_it_is_back() -> None:
    shelf = Shelf()
    shelf.values["one:8x8"] = b"of an erased picture"
    mine = cache(store=shelf)
    shelf.broken = True
    mine.forget(frozenset({"one"}))
    shelf.broken = False
    assert shelf.values
    mine.forget(frozenset({"one"}))
    assert not shelf.values
