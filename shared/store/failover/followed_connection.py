"""Connections that go to the master of a replicated Redis, wherever it is by now."""

from __future__ import annotations

from typing import Any

import redis
from redis.utils import str_if_bytes

from shared.store.failover.master_watch import MasterWatch
from shared.store.failures import NotMaster, refuses_as_replica


class _Followed:
    """What both kinds of connection do; comes before one of redis-py's in the bases."""

    def __init__(self, *, watch: MasterWatch, **options: Any) -> None:
        """`watch` tells the address each time that it connects; `options` as redis-py's."""
        self._watch = watch
        super().__init__(**options)

    def _connect(self) -> Any:
        self.host, self.port = self._watch.master()
        return super()._connect()  # type: ignore[misc]

    def on_connect_check_health(self, check_health: bool = True) -> None:
        """Log in, and make sure that this is the master; raises redis.ConnectionError."""
        super().on_connect_check_health(check_health=check_health)  # type: ignore[misc]
        if self._role() == "slave":
            self._watch.suspect()
            raise redis.ConnectionError(f"{self.host}:{self.port} is a replica, not the master")

    def _role(self) -> str:
        """Return what the server says of itself; empty for a user who may not ask."""
        connection: Any = self
        connection.send_command("INFO", "replication", check_health=False)
        try:
            text = str_if_bytes(connection.read_response())
        except redis.ResponseError:
            return ""
        lines = (line.partition(":") for line in str(text).splitlines())
        return next((value.strip() for name, _, value in lines if name == "role"), "")

    def read_response(self, *args: Any, **options: Any) -> Any:
        """Return a reply; raises NotMaster where a replica has refused the command."""
        try:
            return super().read_response(*args, **options)  # type: ignore[misc]
        except redis.ResponseError as error:
            if not refuses_as_replica(error):
                raise
            connection: Any = self
            connection.disconnect()
            self._watch.suspect()
            raise NotMaster(str(error)) from error


class FollowedConnection(_Followed, redis.Connection):
    """A connection to the master."""


class FollowedTlsConnection(_Followed, redis.SSLConnection):
    """A connection to the master through TLS."""
