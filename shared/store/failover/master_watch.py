"""Knows which server is the master of a Redis service, by what its sentinels say."""

from __future__ import annotations

import functools
import logging
import os
import threading
import time
import weakref
from dataclasses import dataclass
from typing import Any, Protocol

import redis
from redis.backoff import NoBackoff
from redis.connection import parse_url
from redis.retry import Retry

from shared.redis_url import Address, SentinelUrl

_log = logging.getLogger(__name__)

#: Seconds between two rounds of questions, and that one sentinel has to answer.
_POLL_S = 1.0
_TIMEOUT_S = 0.5
#: Seconds after which a process gets a thread of its own that asks: what ends or forks before that,
#: such as a command or the parent of gateways, needs none.
_SETTLED_S = 5.0


class Followers(Protocol):
    """A pool of connections to the master."""

    def hang_up(self, *, unless_at: Address | None = None) -> None:
        """Fail commands that are under way on a connection to any other server."""


@dataclass(frozen=True, slots=True)
class _Word:
    """What one sentinel says."""

    #: Counts failovers: of two sentinels that disagree the higher one is right.
    epoch: int
    address: Address


class MasterWatch:
    """Asks the sentinels every second, and hangs up on a master that is no longer one.

    A master that was frozen or cut off, and comes back, does not know that it was replaced; until
    its sentinels reach it, it takes writes that will be lost. So connections to it are not used.
    """

    def __init__(self, url: SentinelUrl) -> None:
        self._url = url
        self._sentinels = [_connect_sentinel(url, address) for address in url.sentinels]
        self._pools: weakref.WeakSet[Any] = weakref.WeakSet()
        self._asking = threading.Lock()
        #: Where the master was last seen; None as `_address` asks for a new look.
        self._last: Address | None = None
        self._address: Address | None = None
        self._thread: threading.Thread | None = None
        self._silent = False
        self._born = time.monotonic()
        self._asked_at = 0.0

    def follow(self, pool: Followers) -> None:
        """Hang up this pool's connections whenever the master changes."""
        self._pools.add(pool)

    def master(self) -> Address:
        """Return the master's address; raises redis.ConnectionError while it is not known."""
        if self._thread is None:
            self._ask_without_thread()
        address = self._address
        if address is None:
            with self._asking:
                # another thread may have asked meanwhile
                address = self._address or self._ask_all()
        return address

    def suspect(self) -> None:
        """Ask the sentinels again before the next connection: a server was not the master."""
        self._address = None

    def _ask_without_thread(self) -> None:
        now = time.monotonic()
        if now - self._asked_at > _POLL_S:
            self.suspect()
        if now - self._born > _SETTLED_S:
            self._thread = threading.Thread(target=self._poll, name="master-watch", daemon=True)
            self._thread.start()

    def _poll(self) -> None:
        while True:
            time.sleep(_POLL_S)
            if not self._pools:
                self._thread = None
                return
            try:
                with self._asking:
                    self._ask_all()
            except redis.RedisError as error:
                self._note_silence(error)

    def _note_silence(self, error: redis.RedisError) -> None:
        # the last known master stays: the service needs sentinels only for a failover
        if not self._silent:
            _log.error("sentinels.silent", extra={"cause": str(error)})
        self._silent = True

    def _ask_all(self) -> Address:
        """Return where the master is now; raises redis.ConnectionError."""
        words, troubles = [], []
        for sentinel in self._sentinels:
            try:
                words.append(_ask(sentinel, self._url.service))
            except redis.RedisError as error:
                troubles.append(str(error))
        if not words:
            raise redis.ConnectionError(
                f"no sentinel knows the master of {self._url.service}: {'; '.join(troubles)}"
            )
        self._silent, self._asked_at = False, time.monotonic()
        newest = max(words, key=lambda word: word.epoch)
        self._note(newest.address)
        return newest.address

    def _note(self, address: Address) -> None:
        last, self._last, self._address = self._last, address, address
        if last is None or last == address:
            return
        _log.warning("redis.master_changed", extra={"cause": f"{last[0]} to {address[0]}"})
        for pool in list(self._pools):
            pool.hang_up(unless_at=address)


def _connect_sentinel(url: SentinelUrl, address: Address) -> Any:
    host, port = address
    # certificates are those of the servers; what else the URL says is not meant for sentinels
    said: dict[str, Any] = parse_url(url.server)  # type: ignore[no-untyped-call]
    secured = {name: value for name, value in said.items() if name.startswith("ssl_")}
    return redis.Redis(
        host=host,
        port=port,
        username=url.username,
        password=url.password,
        decode_responses=True,
        socket_timeout=_TIMEOUT_S,
        socket_connect_timeout=_TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
        ssl=url.tls,
        **(secured if url.tls else {}),
    )


def _ask(sentinel: Any, service: str) -> _Word:
    """Return what a sentinel says; raises redis.RedisError."""
    address = sentinel.sentinel_get_master_addr_by_name(service, return_responses=True)
    if not address:
        raise redis.ConnectionError(f"a sentinel watches no service {service!r}")
    try:
        epoch = sentinel.sentinel_master(service, return_responses=True).get("config-epoch", 0)
    except redis.ResponseError:
        # a user without the right to ask for it
        epoch = 0
    return _Word(int(epoch), (str(address[0]), int(address[1])))


@functools.lru_cache(maxsize=16)
def watch_master(url: SentinelUrl) -> MasterWatch:
    """Return this process's watch of a service."""
    return MasterWatch(url)


# threads do not survive a fork, and a lock may be held in it
os.register_at_fork(after_in_child=watch_master.cache_clear)
