"""Writes that are on enough replicas before they count as done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import redis
from redis.client import Pipeline

from shared.store import keys

#: Whether the commands of this thread or greenlet are promised to somebody.
_promised: ContextVar[bool] = ContextVar("promised", default=False)
#: Milliseconds that the key of a fence lives.
_FENCE_MS = 60_000


class TooFewReplicas(redis.RedisError):
    """Too few replicas have confirmed a write, which the master has done."""


@contextmanager
def promised() -> Iterator[None]:
    """Let commands of the block return only when enough replicas have what they wrote."""
    token = _promised.set(True)
    try:
        yield
    finally:
        _promised.reset(token)


@dataclass(frozen=True, slots=True)
class Replicas:
    """How many replicas must confirm a write, and within how many milliseconds."""

    count: int
    within_ms: int

    def confirm(self, connection: Any) -> None:
        """Wait for what was written before, through this very connection to this very server.

        Raises TooFewReplicas, and redis.ResponseError where the server refuses.
        """
        commands: Sequence[tuple[Any, ...]] = (
            # a command that is sent again may write nothing, and WAIT then confirms at once: this
            # one stands behind all that the server has written so far
            ("SET", keys.REPLICATION_FENCE, "", "PX", _FENCE_MS),
            ("WAIT", self.count, self.within_ms),
        )
        connection.send_packed_command(connection.pack_commands(commands))
        fence, confirmed = [_read(connection) for _ in commands]
        for reply in (fence, confirmed):
            if isinstance(reply, redis.ResponseError):
                raise reply
        if int(confirmed) < self.count:
            raise TooFewReplicas(f"{confirmed} of {self.count} replicas confirmed the write")


def _read(connection: Any) -> Any:
    """Return the next reply, or the refusal that it is: all must be read."""
    try:
        return connection.read_response()
    except redis.ResponseError as error:
        return error


class SureRedis(redis.Redis):
    """A client whose promised commands wait for replicas."""

    def __init__(self, *, replicas: Replicas, **options: Any) -> None:
        super().__init__(**options)
        self._replicas = replicas

    def _send_command_parse_response(
        self, conn: Any, command_name: Any, *args: Any, **options: Any
    ) -> Any:
        reply = super()._send_command_parse_response(  # type: ignore[no-untyped-call]
            conn, command_name, *args, **options
        )
        if _promised.get():
            self._replicas.confirm(conn)
        return reply

    def pipeline(self, transaction: bool = True, shard_hint: Any = None) -> Pipeline:
        """Return a pipeline whose promised executions wait for replicas."""
        pipe = SurePipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)
        pipe.replicas = self._replicas
        return pipe


class SurePipeline(Pipeline):
    """A pipeline of a SureRedis."""

    replicas: Replicas

    def _execute_transaction(self, connection: Any, commands: Any, raise_on_error: Any) -> Any:
        replies = super()._execute_transaction(connection, commands, raise_on_error)
        return self._confirmed(connection, replies)

    def _execute_pipeline(self, connection: Any, commands: Any, raise_on_error: Any) -> Any:
        replies = super()._execute_pipeline(  # type: ignore[no-untyped-call]
            connection, commands, raise_on_error
        )
        return self._confirmed(connection, replies)

    def _confirmed(self, connection: Any, replies: Any) -> Any:
        if _promised.get():
            self.replicas.confirm(connection)
        return replies
