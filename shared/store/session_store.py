"""The session store: conversations, their turns, and the worker that answered last."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shared.errors import ImageNotFound, NotFound, SessionBusy
from shared.jobs import ROW_VERSION, Turn
from shared.jobs.model import ADDED_TURN
from shared.jobs.row import JobRow, dump
from shared.store import keys
from shared.store.connection import Client, load_script, pairs
from shared.store.failures import confirm, guard, tidying

#: Images of a deleted conversation that are released in one step, and for how long the names of the
#: others are kept if the gateway dies meanwhile.
_DROPPED_AT_ONCE = 100
_LEFT_IMAGES_MS = 3_600_000
_MADE_HERE = re.compile(r"conv_[0-9a-f]{32}")


def new_conversation_id() -> str:
    """Return `conv_` and 128 random bits."""
    return "conv_" + secrets.token_hex(16)


def is_made_here(session_id: str) -> bool:
    """Tell whether a name looks like one of `new_conversation_id`: no caller chooses such a one."""
    return _MADE_HERE.fullmatch(session_id) is not None


def new_turn_id() -> str:
    """Return the id of a turn that a caller adds: what no job is called, and 128 random bits."""
    return ADDED_TURN + secrets.token_hex(16)


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
    #: What its caller has noted of it.
    metadata: Mapping[str, str] = field(default_factory=dict)


class SessionStore:
    """Reads and deletes conversations, which the scripts of the job store write.

    Every method raises StoreUnavailable without Redis.
    """

    def __init__(self, client: Client) -> None:
        self._redis = client
        self._delete = load_script(client, "sessions/delete")
        self._create = load_script(client, "sessions/create")
        self._describe = load_script(client, "sessions/describe")
        self._drop_images = load_script(client, "sessions/drop_images")
        self._add_turns = load_script(client, "sessions/add_turns")
        self._change_turn = load_script(client, "sessions/change_turn")

    def get(self, tenant: str, session_id: str) -> Session:
        """Return a conversation; raises NotFound."""
        with guard():
            fields, first = self._read(tenant, [session_id])
        if not fields:
            raise NotFound
        return _session(session_id, fields, first)

    def create(
        self, tenant: str, session_id: str, ttl_s: int, metadata: Mapping[str, str]
    ) -> Session:
        """Begin a conversation without a question; raises OutcomeUnknown."""
        args: list[str | int] = [tenant, session_id, ttl_s * 1000, dump(dict(metadata))]
        fields = confirm(lambda: self._create(keys=[], args=args), session_id=session_id)
        return _session(session_id, pairs(fields), None)

    def describe(self, tenant: str, session_id: str, metadata: Mapping[str, str]) -> Session:
        """Replace the metadata of a conversation; raises NotFound and OutcomeUnknown."""
        args = [tenant, session_id, dump(dict(metadata))]
        fields = confirm(lambda: self._describe(keys=[], args=args), session_id=session_id)
        if fields is None:
            raise NotFound
        return _session(session_id, pairs(fields), None)

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

    def add_turns(
        self, tenant: str, session_id: str, turns: Sequence[Turn], *, maker: str, turns_max: int
    ) -> None:
        """Add turns whose images `maker` has stored.

        Raises NotFound, SessionBusy, ImageNotFound and OutcomeUnknown.
        """
        images = dict.fromkeys(image for turn in turns for image in turn.images)
        names = [keys.image(tenant, image) for image in images]
        args: list[str | int] = [tenant, session_id, maker, turns_max, ROW_VERSION]
        args += [turn.model_dump_json() for turn in turns]
        outcome = confirm(lambda: self._add_turns(keys=names, args=args), session_id=session_id)
        match outcome:
            case ["missing"]:
                raise NotFound
            case ["busy", job_id]:
                raise SessionBusy(f"The session is answering {job_id}.")
            case ["image_missing", _]:
                raise ImageNotFound

    def change_turn(self, tenant: str, session_id: str, turn: Turn, left: Turn | None) -> bool:
        """Put what is left of a turn into its place; return False where it stands there no longer.

        Raises OutcomeUnknown.
        """
        with guard():
            texts = self._redis.lrange(keys.session(tenant, session_id) + keys.SESSION_TURNS, 0, -1)
        # what an older version wrote has fewer members
        text = next((one for one in texts if Turn.model_validate_json(one) == turn), None)
        if text is None:
            return False
        shown = [*turn.images, *turn.tiles, *(part.id for part in turn.parts)]
        names = [keys.image(tenant, image) for image in dict.fromkeys(shown)]
        names += [keys.document(tenant, turn.document.id)] if turn.document else []
        args = [tenant, session_id, text, left.model_dump_json() if left else "", ROW_VERSION]
        return bool(confirm(lambda: self._change_turn(keys=names, args=args)))

    def turns_before(self, row: JobRow) -> list[Turn]:
        """Return the turns that a job goes on from, oldest first.

        There are none when its conversation was deleted, also if it was begun again since.
        """
        if row.session_id is None:
            return []
        key = keys.session(row.tenant, row.session_id)
        with guard():
            # a full Redis refuses MULTI. Read first, turns that another conversation of this id has
            # replaced meanwhile are not taken for its own
            pipe = self._redis.pipeline(transaction=False)
            pipe.lrange(key + keys.SESSION_TURNS, 0, -1)
            pipe.hmget(key, "generation", "created_ms")
            texts, (generation, created_ms) = pipe.execute()
        if not _is_conversation_of(row, generation, created_ms):
            return []
        return [Turn.model_validate_json(text) for text in texts]

    def has_lost_turns(self, row: JobRow) -> bool:
        """Tell whether a job goes on from a conversation that is gone, or was begun again since.

        The job that began it needs no earlier turn.
        """
        if row.session_id is None or row.session_generation is None:
            return False
        with guard():
            pipe = self._redis.pipeline(transaction=False)
            pipe.hget(keys.session(row.tenant, row.session_id), "generation")
            pipe.hget(keys.job(row.id), "number")
            present, number = pipe.execute()
        return str(row.session_generation) not in (present, number)

    def has_lost_picture(self, row: JobRow) -> bool:
        """Tell whether the picture that a job's conversation was about last was erased."""
        if row.session_id is None:
            return False
        with guard():
            key = keys.session(row.tenant, row.session_id)
            return bool(self._redis.hget(key, "picture_erased"))

    def page(self, tenant: str, limit: int) -> list[Session]:
        """Return up to `limit` sessions, the last used first."""
        index = keys.tenant_sessions(tenant)
        with guard():
            ids = self._redis.zrevrange(index, 0, limit - 1)
            flat = self._read(tenant, ids)
            sessions = list(zip(ids, flat[::2], flat[1::2], strict=True))
            expired = [session_id for session_id, fields, _ in sessions if not fields]
            if expired:
                with tidying():
                    self._redis.zrem(index, *expired)
        return [_session(i, fields, first) for i, fields, first in sessions if fields]

    def delete(self, tenant: str, session_id: str) -> None:
        """Delete a conversation and the images that only it needed; its jobs stay until erased.

        Raises NotFound, and OutcomeUnknown where Redis does not confirm it.
        """
        key = keys.session(tenant, session_id)
        born = self._born_ms(key)
        if born is None:
            raise NotFound
        # Redis may come back without the first step while we wait to take the next one
        while self._born_ms(key) == born:
            self._delete_at(key, tenant, session_id)

    def _born_ms(self, key: str) -> str | None:
        with guard():
            born_ms: str | None = self._redis.hget(key, "created_ms")
        return born_ms

    def _delete_at(self, key: str, tenant: str, session_id: str) -> None:
        # under a name of its own: the same conversation may be begun again at once
        images = f"{key}{keys.SESSION_IMAGES}/{secrets.token_hex(8)}"
        args: list[str | int] = [tenant, session_id, _LEFT_IMAGES_MS]
        confirm(lambda: self._delete(keys=[key, images], args=args))
        while confirm(lambda: self._drop_images(keys=[images, key], args=[_DROPPED_AT_ONCE])):
            pass


def _is_conversation_of(row: JobRow, generation: str | None, created_ms: str | None) -> bool:
    """Tell whether a stored conversation is the one that a job belongs to, as is_same_session."""
    if created_ms is None:
        return False
    if row.session_generation is None:
        return int(created_ms) <= row.created_ms
    return generation == str(row.session_generation)


def _session(session_id: str, fields: dict[str, str], first: str | None) -> Session:
    return Session(
        session_id,
        int(fields["created_ms"]),
        int(fields["updated_ms"]),
        int(fields["ttl_ms"]),
        fields.get("worker"),
        fields.get("busy"),
        Turn.model_validate_json(first) if first else None,
        json.loads(fields.get("metadata") or "{}"),
    )
