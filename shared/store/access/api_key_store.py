"""The API key store: creates, changes, rotates and revokes keys, and admits each request."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields

from shared.errors import Unauthorized
from shared.store import keys
from shared.store.access.api_key_types import (
    ALL,
    ANONYMOUS,
    BUDGETS,
    DEFAULT,
    SCOPES,
    USUAL_SCOPES,
    Anonymous,
    ApiKey,
    ApiKeyError,
    Caller,
    Charged,
    KeyTerms,
    Scope,
)
from shared.store.access.rate_limits import RateLimits
from shared.store.connection import Client, load_script
from shared.store.failures import confirm, guard
from shared.store.fleet.forecasts import LAST_SCORES, QueuePosition

_PREFIX = "slk_"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,63}")


class ApiKeyStore:
    """Reads and changes API keys; every method raises StoreUnavailable without Redis.

    Those that change something raise OutcomeUnknown where Redis does not confirm it.
    """

    def __init__(self, client: Client) -> None:
        self._redis = client
        self._admit = load_script(client, "admission/admit_request")

    # for each request

    def admit(
        self, secret: str, anonymous: Anonymous, charged: Charged, default: RateLimits
    ) -> Caller:
        """Return the caller, and charge the request or refuse it; raises Unauthorized."""
        limits = [getattr(default, field.name) for field in fields(RateLimits)]
        with guard():
            reply = self._admit(
                args=[
                    *(_digest(secret), anonymous, ANONYMOUS, charged),
                    *limits,
                    secrets.token_hex(8),
                    *LAST_SCORES,
                ]
            )
        if reply[0] == "missing":
            raise Unauthorized("This service requires an API key.")
        if reply[0] == "unknown":
            raise Unauthorized("This API key is invalid or was revoked.")
        verdict, tenant, name, scopes, retention_s, *numbers, standing = reply
        return Caller(
            tenant,
            name,
            RateLimits(*numbers[:5]),
            RateLimits(*numbers[5:10]),
            reset_s=int(numbers[10]) / 1000,
            refused_s=int(numbers[11]) / 1000 if verdict == "limited" else None,
            charged=charged,
            queue_position=QueuePosition.parse(standing) if standing else None,
            scopes=_read_scopes(scopes),
            retention_s=int(retention_s) if retention_s else None,
        )

    def any(self) -> bool:
        """Tell whether a key was ever made."""
        with guard():
            return bool(self._redis.exists(keys.API_KEYS))

    # for the operator

    def create(self, name: str, terms: KeyTerms) -> tuple[ApiKey, str]:
        """Return a new key and its secret, which is not stored; raises ApiKeyError."""
        if not _NAME.fullmatch(name):
            raise ApiKeyError(
                "a name may have up to 64 letters, digits, dots, dashes and underscores"
            )
        terms.check()
        key_id, secret = "key_" + secrets.token_hex(10), _new_secret()
        confirm(
            lambda: self._redis.transaction(
                lambda pipe: self._store_key(pipe, key_id, name, secret), keys.API_KEY_NAMES
            ),
            key_id=key_id,
        )
        self.change(key_id, terms)
        return self.get(key_id), secret

    def _store_key(self, pipe: Client, key_id: str, name: str, secret: str) -> None:
        """Queue the commands that make a key, unless it is made; raises ApiKeyError."""
        owner = pipe.hget(keys.API_KEY_NAMES, name)
        if owner not in (None, key_id):
            raise ApiKeyError(f"a key named {name} already exists")
        now = self._now_ms()
        pipe.multi()
        if owner is None:
            pipe.hset(keys.API_KEY_NAMES, name, key_id)
            row = {"id": key_id, "name": name, "created_ms": now}
            pipe.hset(keys.API_KEY + key_id, mapping=row)
            pipe.zadd(keys.API_KEYS, {key_id: now})
            _store_secret(pipe, key_id, secret, now)

    def change(self, which: str, terms: KeyTerms) -> ApiKey:
        """Set these terms in one step; raises ApiKeyError."""
        terms.check()
        key_id = self._find(which)

        def write(pipe: Client) -> None:
            _change_fields(pipe, keys.API_KEY + key_id, terms.fields())
            _change_fields(pipe, keys.BUDGET + key_id, terms.budget_fields(key_id))
            if terms.weight is not None:
                pipe.hset(keys.WEIGHTS, key_id, terms.weight)
            if terms.retention_s == DEFAULT:
                pipe.hdel(keys.RETENTION, key_id)
            elif terms.retention_s is not None:
                pipe.hset(keys.RETENTION, key_id, terms.retention_s)

        self._confirm(write)
        return self.get(key_id)

    def rotate(self, which: str, overlap_s: int) -> str:
        """Return a second secret; the first one stays valid for `overlap_s`.

        Raises ApiKeyError.
        """
        key_id = self._find(which)
        index = keys.API_KEY + key_id + keys.API_KEY_SECRETS
        secret = _new_secret()
        with guard():
            if self._redis.hexists(keys.API_KEY + key_id, "revoked_ms"):
                raise ApiKeyError("the key was revoked; create a new one")
            digests = [one for one in self._redis.zrange(index, 0, -1) if self._is_valid(one)]
            now = self._now_ms()

        def write(pipe: Client) -> None:
            for old in digests[:-1]:
                pipe.delete(keys.API_SECRET + old)
                pipe.zrem(index, old)
            for last in digests[-1:]:
                pipe.pexpire(keys.API_SECRET + last, max(1, overlap_s * 1000))
            _store_secret(pipe, key_id, secret, now)

        self._confirm(write)
        return secret

    def revoke(self, which: str) -> ApiKey:
        """Make all secrets of a key invalid, at once and everywhere; raises ApiKeyError."""
        key_id = self._find(which)
        index = keys.API_KEY + key_id + keys.API_KEY_SECRETS
        with guard():
            name = self._redis.hget(keys.API_KEY + key_id, "name")
            digests = self._redis.zrange(index, 0, -1)
            now = self._now_ms()

        def write(pipe: Client) -> None:
            pipe.delete(index, *(keys.API_SECRET + digest for digest in digests))
            pipe.hdel(keys.API_KEY_NAMES, name)
            pipe.hset(keys.API_KEY + key_id, "revoked_ms", now)

        self._confirm(write)
        return self.get(key_id)

    def all(self) -> list[ApiKey]:
        """Return every key, the oldest first."""
        with guard():
            ids = self._redis.zrange(keys.API_KEYS, 0, -1)
        return [self.get(key_id) for key_id in ids]

    def get(self, which: str) -> ApiKey:
        """Return a key by id or name; raises ApiKeyError."""
        key_id = self._find(which)
        with guard():
            row: dict[str, str] = self._redis.hgetall(keys.API_KEY + key_id)
            weight = self._redis.hget(keys.WEIGHTS, key_id)
            retention = self._redis.hget(keys.RETENTION, key_id)
            budget = self._redis.hgetall(keys.BUDGET + key_id)
            digests = self._redis.zrange(keys.API_KEY + key_id + keys.API_KEY_SECRETS, 0, -1)
            valid_secrets = [self._secret(digest) for digest in digests]
        revoked = row.get("revoked_ms")
        return ApiKey(
            id=key_id,
            name=row["name"],
            created_ms=int(row["created_ms"]),
            revoked_ms=int(revoked) if revoked else None,
            limits={
                name: int(row[name]) if name in row else None
                for name in (field.name for field in fields(RateLimits))
            },
            weight=int(weight or 1),
            scopes=_read_scopes(row.get("scopes", "")),
            retention_s=int(retention) if retention else None,
            budgets={kind: int(budget[kind]) for kind in BUDGETS if kind in budget},
            budget_webhook=budget.get("webhook"),
            secrets=[secret for secret in valid_secrets if secret],
        )

    def tenants(self, which: str) -> dict[str, str]:
        """Return the names, by id, of one key, of `anonymous`, or of `all`; raises ApiKeyError."""
        if which == ANONYMOUS:
            return {ANONYMOUS: ANONYMOUS}
        every = self.all() if which == ALL else [self.get(which)]
        named = {key.id: key.name for key in every}
        return {ANONYMOUS: ANONYMOUS, **named} if which == ALL else named

    def names(self, tenants: Iterable[str]) -> dict[str, str]:
        """Return the names of these tenants, by id; one of which nothing is known keeps its id."""
        ids = sorted(set(tenants))
        with guard():
            pipe = self._redis.pipeline(transaction=False)
            for tenant in ids:
                pipe.hget(keys.API_KEY + tenant, "name")
            return {
                tenant: name or tenant for tenant, name in zip(ids, pipe.execute(), strict=True)
            }

    def _find(self, which: str) -> str:
        with guard():
            key_id = self._redis.hget(keys.API_KEY_NAMES, which) or which
            if not self._redis.exists(keys.API_KEY + key_id):
                raise ApiKeyError(f"there is no key {which}")
        return str(key_id)

    def _confirm(self, write: Callable[[Client], None]) -> None:
        """Do all that `write` queues at once, until it is sure."""

        def run() -> None:
            pipe = self._redis.pipeline(transaction=True)
            write(pipe)
            pipe.execute()

        confirm(run)

    def _is_valid(self, digest: str) -> bool:
        return bool(self._redis.exists(keys.API_SECRET + digest))

    def _secret(self, digest: str) -> tuple[str, float | None] | None:
        end = self._redis.hget(keys.API_SECRET + digest, "end")
        left_ms = self._redis.pttl(keys.API_SECRET + digest)
        return (end, left_ms / 1000 if left_ms > 0 else None) if end else None

    def _now_ms(self) -> int:
        seconds, micros = self._redis.time()
        return int(seconds * 1000 + micros // 1000)


def _change_fields(pipe: Client, key: str, fields: Mapping[str, int | str | None]) -> None:
    """Queue what sets, and drops, fields of a hash; None leaves one as it is."""
    changed = {name: value for name, value in fields.items() if value not in (None, DEFAULT)}
    dropped = [name for name, value in fields.items() if value == DEFAULT]
    if changed:
        pipe.hset(key, mapping=changed)
    if dropped:
        pipe.hdel(key, *dropped)


def _read_scopes(text: str) -> frozenset[Scope]:
    """Return the scopes that a row names; one that this version does not know gives nothing."""
    if not text:
        return USUAL_SCOPES
    return frozenset(scope for scope in SCOPES if scope in text.split())


def _new_secret() -> str:
    return _PREFIX + secrets.token_urlsafe(32)


def _store_secret(pipe: Client, key_id: str, secret: str, now_ms: int) -> None:
    digest = _digest(secret)
    pipe.hset(keys.API_SECRET + digest, mapping={"key": key_id, "end": secret[-4:]})
    pipe.zadd(keys.API_KEY + key_id + keys.API_KEY_SECRETS, {digest: now_ms})


def _digest(secret: str) -> str:
    """Return the hash that is stored of a secret; random ones need no slow hash."""
    return hashlib.sha256(secret.encode()).hexdigest() if secret else ""
