"""Conversations in Redis: their turns, their images and the worker that remembers them best."""

from __future__ import annotations

from dataclasses import dataclass

from shared import keys
from shared.connection import Client, guard
from shared.errors import NotFound
from shared.jobs import Turn


@dataclass(frozen=True, slots=True)
class Session:
    """A conversation without its turns; times are milliseconds of Redis' clock."""

    id: str
    created_ms: int
    updated_ms: int
    ttl_ms: int
    #: Id of the worker that answered last and may still hold keys and values.
    worker: str | None
    #: The unfinished job of the session.
    busy: str | None


class SessionStore:
    """Reads and forgets conversations; the scripts of the Store write them."""

    def __init__(self, client: Client) -> None:
        self._redis = client

    def get(self, tenant: str, session_id: str) -> Session:
        """Return a conversation; raises NotFound."""
        with guard():
            fields = self._redis.hgetall(keys.session(tenant, session_id))
        if not fields:
            raise NotFound
        return _session(session_id, fields)

    def turns(self, tenant: str, session_id: str) -> list[Turn]:
        """Return the turns, oldest first; empty for an unknown session."""
        with guard():
            texts = self._redis.lrange(keys.session(tenant, session_id) + keys.SESSION_TURNS, 0, -1)
        return [Turn.model_validate_json(text) for text in texts]

    def page(self, tenant: str, limit: int) -> list[Session]:
        """Return the sessions used last, newest first."""
        index = keys.tenant_sessions(tenant)
        with guard():
            ids = self._redis.zrevrange(index, 0, limit - 1)
            pipe = self._redis.pipeline(transaction=False)
            for session_id in ids:
                pipe.hgetall(keys.session(tenant, session_id))
            rows = pipe.execute()
            dropped = [i for i, row in zip(ids, rows, strict=True) if not row]
            if dropped:
                self._redis.zrem(index, *dropped)
        return [_session(i, row) for i, row in zip(ids, rows, strict=True) if row]

    def delete(self, tenant: str, session_id: str) -> None:
        """Forget a conversation; its jobs stay until they are erased. Raises NotFound."""
        key = keys.session(tenant, session_id)
        with guard():
            pipe = self._redis.pipeline(transaction=True)
            pipe.delete(key)
            pipe.delete(key + keys.SESSION_TURNS, key + keys.SESSION_IMAGES)
            pipe.zrem(keys.tenant_sessions(tenant), session_id)
            if not pipe.execute()[0]:
                raise NotFound


def _session(session_id: str, fields: dict[str, str]) -> Session:
    return Session(
        session_id,
        int(fields["created_ms"]),
        int(fields["updated_ms"]),
        int(fields["ttl_ms"]),
        fields.get("worker"),
        fields.get("busy"),
    )
