"""A Redis that answers but refuses: the reason reaches whoever asks."""

from __future__ import annotations

import pytest

from shared.errors import StoreCannotWrite, StoreUnavailable
from shared.jobs import JobInput
from shared.settings import Settings
from shared.store import NewJob, Store, keys
from shared.store.redis_info import redis_state

CANNOT_WRITE = {
    "replicas": (["CONFIG", "SET", "min-replicas-to-write", "1"], "too few of its replicas"),
    "replica": (["REPLICAOF", "127.0.0.1", "1"], "read-only replica"),
    "memory": (["CONFIG", "SET", "maxmemory", "1kb"], "memory is full"),
}


def _add(store: Store) -> str:
    return store.add(NewJob("t", JobInput(prompt="?"))).doorbell.job_id


@pytest.mark.parametrize("cause", CANNOT_WRITE)
def test_a_redis_that_cannot_write_says_why(own_redis, cause):
    command, words = CANNOT_WRITE[cause]
    store = Store(Settings(redis_url=own_redis.url))
    _add(store)
    assert redis_state(store.redis).refusal is None
    own_redis.client().execute_command(*command)
    with pytest.raises(StoreCannotWrite, match=words) as caught:
        _add(store)
    assert caught.value.retry_after_s
    assert words in redis_state(store.redis).refusal.detail
    assert own_redis.client().zcard(keys.QUEUED) == 1


def test_a_user_without_rights_is_no_silence(own_redis):
    own_redis.client().execute_command(
        *["ACL", "SETUSER", "reader", "on", ">word", "~*", "&*", "+@read", "+@connection", "+info"]
    )
    url = own_redis.url.replace("redis://", "redis://reader:word@")
    with pytest.raises(StoreUnavailable, match="lacks rights"):
        _add(Store(Settings(redis_url=url)))
    with pytest.raises(StoreUnavailable, match="refuses the login"):
        _add(Store(Settings(redis_url=url.replace("word", "wrong"))))
    own_redis.client().execute_command("ACL", "SETUSER", "default", ">secret", "resetpass")


def test_a_wrong_command_is_not_called_silence(own_redis):
    store = Store(Settings(redis_url=own_redis.url))
    own_redis.client().set("sl:queued", "no zset")
    with pytest.raises(StoreUnavailable, match="refused a command"):
        _add(store)
