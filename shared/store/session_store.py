"""The session store: conversations, their turns, and the worker that answered last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from shared.errors import NotFound
from shared.jobs import Turn
from shared.store import keys
from shared.store.connection import Client
from shared.store.failures import confirm, guard


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
    #: Its first turn, once that is answered.
    first: Turn | None = None


class SessionStore:
    """Reads and deletes conversations, which the scripts of the job store write.

    Every method raises StoreUnavailable without Redis.
    """

    def __init__(self, client: Client) -> None:
        self._redis = client

    def get(self, tenant: str, session_id: str) -> Session:
        """Return a conversation; raises NotFound."""
        with guard():
            fields, first = self._read(tenant, [session_id])
        if not fields:
            raise NotFound
        return _session(session_id, fields, first)

    def _read(self, tenant: str, session_ids: Sequence[str]) -> list[Any]:
        """Return the fields and the text of the first turn of each session, one after another."""
        pipe = self._redis.pipeline(transaction=False)
        for session_id in session_ids:
            key = keys.session(tenant, session_id)
            pipe.hgetall(key)
            pipe.lindex(key + keys.SESSION_TURNS, 0)
        return list(pipe.execute())

    def turns(self, tenant: str, session_id: str) -> list[Turn]:
        """Return the turns, oldest first; empty for an unknown session."""
        with guard():
            texts = self._redis.lrange(keys.session(tenant, session_id) + keys.SESSION_TURNS, 0, -1)
        return [Turn.model_validate_json(text) for text in texts]

    def page(self, tenant: str, limit: int) -> list[Session]:
        """Return up to `limit` sessions, the last used first."""
        index = keys.tenant_sessions(tenant)
        with guard():
            ids = self._redis.zrevrange(index, 0, limit - 1)
            flat = self._read(tenant, ids)
            sessions = list(zip(ids, flat[::2], flat[1::2], strict=True))
            expired = [session_id for session_id, fields, _ in sessions if not fields]
            if expired:
                self._redis.zrem(index, *expired)
        return [_session(i, fields, first) for i, fields, first in sessions if fields]

    def delete(self, tenant: str, session_id: str) -> None:
        """Delete a conversation; its jobs stay until they are erased.

        Raises NotFound, and OutcomeUnknown where Redis does not confirm it.
        """
        key = keys.session(tenant, session_id)
        with guard():
            if not self._redis.exists(key):
                raise NotFound
        pipe = self._redis.pipeline(transaction=True)

        def delete() -> None:
            pipe.reset()
            pipe.delete(key, key + keys.SESSION_TURNS, key + keys.SESSION_IMAGES)
            pipe.zrem(keys.tenant_sessions(tenant), session_id)
            pipe.execute()

        confirm(delete)


def _session(session_id: str, fields: dict[str, str], first: str | None) -> Session:
    return Session(
        session_id,
        int(fields["created_ms"]),
        int(fields["updated_ms"]),
        int(fields["ttl_ms"]),
        fields.get("worker"),
        fields.get("busy"),
        Turn.model_validate_json(first) if first else None,
    )
