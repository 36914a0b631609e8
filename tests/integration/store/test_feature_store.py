"""The second level of the feature cache, on a real Redis."""

from __future__ import annotations

import contextlib

import pytest

from shared.errors import StoreUnavailable
from shared.settings import Settings
from shared.store import keys
from tests.support.harness import free_port, running_redis

pytest.importorskip("torch")
from shared.store.feature_store import RedisFeatures

pytestmark = pytest.mark.model


def features(redis_server, **settings) -> RedisFeatures:
    return RedisFeatures(Settings(redis_url=redis_server.url, **settings))


def test_another_worker_finds_what_one_has_put(redis_server):
    features(redis_server).put("tenant:image", b"\x00\xff")
    assert features(redis_server).get("tenant:image") == b"\x00\xff"
    assert features(redis_server).get("other:image") is None


def test_what_was_used_longest_ago_makes_room(redis_server):
    store = features(redis_server, features_redis_bytes=250)
    store.put("t:a", b"a" * 100)
    store.put("t:b", b"b" * 100)
    redis_server.client().zadd(keys.FEATURES_USED, {_oldest(redis_server, b"b"): 1})
    store.get("t:a")
    store.put("t:c", b"c" * 100)
    assert [store.get(f"t:{n}") is not None for n in "abc"] == [True, False, True]
    assert redis_server.client().hget(keys.FEATURES_BYTES, "") == "200"


def _oldest(redis_server, letter: bytes) -> str:
    client = redis_server.client()
    return next(
        key
        for key in client.zrange(keys.FEATURES_USED, 0, -1)
        if client.get(key).startswith(letter.decode())
    )


def test_a_value_that_can_never_fit_is_not_kept(redis_server):
    store = features(redis_server, features_redis_bytes=10)
    store.put("t:a", b"a" * 11)
    assert store.get("t:a") is None


def test_putting_again_counts_once(redis_server):
    store = features(redis_server)
    store.put("t:a", b"a" * 100)
    store.put("t:a", b"a" * 60)
    assert redis_server.client().hget(keys.FEATURES_BYTES, "") == "60"


def test_every_key_of_the_cache_fades(redis_server):
    features(redis_server).put("t:a", b"a")
    client = redis_server.client()
    assert all(client.ttl(key) > 0 for key in client.scan_iter("sl:*"))


def test_several_servers_share_the_images_out(redis_server, tmp_path):
    with running_redis(tmp_path) as other:
        both = f"{redis_server.url} {other.url}"
        one = RedisFeatures(Settings(redis_url=redis_server.url, cache_url=both))
        for number in range(40):
            one.put(f"file{number}:a", b"%d" % number)
        shares = [
            len(server.client().keys(f"{keys.FEATURES}*:*")) for server in (redis_server, other)
        ]
        assert sum(shares) == 40
        assert min(shares) >= 8
        # the order of the list says nothing, and another worker finds all of it
        turned = " ".join(reversed(both.split()))
        next_ = RedisFeatures(Settings(redis_url=redis_server.url, cache_url=turned))
        assert all(next_.get(f"file{number}:a") == b"%d" % number for number in range(40))


def test_a_dead_server_costs_its_own_share_only(redis_server):
    dead = f"redis://127.0.0.1:{free_port()}/0"
    settings = Settings(redis_url=redis_server.url, cache_url=f"{redis_server.url} {dead}")
    store = RedisFeatures(settings)
    values = []
    for number in range(40):
        with contextlib.suppress(StoreUnavailable):
            store.put(f"file{number}:a", b"x")
            values.append(store.get(f"file{number}:a"))
    assert 8 <= len(values) <= 32
    assert set(values) == {b"x"}


def test_a_missing_redis_is_told_and_not_hidden():
    store = RedisFeatures(Settings(redis_url=f"redis://127.0.0.1:{free_port()}/0"))
    with pytest.raises(StoreUnavailable):
        store.get("t:a")
