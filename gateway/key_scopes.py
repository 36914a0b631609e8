"""What a key may do: submit work, read results, administer the service."""

from __future__ import annotations

import re

from shared.errors import InsufficientScope
from shared.store.access.api_key_types import Scope

#: What every key may ask to find its way: nothing of it tells of a caller's work.
_DISCOVERY = re.compile(r"/v1/(models(/.*)?|presets|rules|limits|queue|estimate)")
_BOTH: frozenset[Scope] = frozenset({"read", "submit"})
_NEEDED: dict[str, frozenset[Scope]] = {
    "GET": frozenset({"read"}),
    "HEAD": frozenset({"read"}),
    "OPTIONS": frozenset(),
    # whoever may only add work must not take away what others of the key have
    "DELETE": _BOTH,
}
#: Reviews are answered with parts of what they are about, groups have names that can be guessed;
#: whoever may only add work must neither sign in the name of the key nor send again what others
#: have made.
_OF_OTHERS = re.compile(
    r"/v1/(jobs/[^/]+/review|groups/[^/]+/(cancel|retry)|webhooks/.+|deliveries/.+)"
)
#: Whoever has it can sign as the service does.
_SIGNING = "/v1/webhooks/secret"
#: What concerns the jobs of all keys.
_OPERATIONS = "/v1/ops/"
_SUBMITS: frozenset[Scope] = frozenset({"submit"})


def is_discovery(path: str) -> bool:
    """Tell whether a path says what the service can do, and nothing of a caller's work."""
    return bool(_DISCOVERY.fullmatch(path))


def is_operations(path: str) -> bool:
    """Tell whether a path shows or changes what belongs to all keys."""
    return path.startswith(_OPERATIONS)


def needed_scopes(method: str, path: str) -> frozenset[Scope]:
    """Return the scopes that a request needs, all of them."""
    if is_discovery(path):
        return frozenset()
    if is_operations(path):
        return frozenset({"admin"})
    if path == _SIGNING or (method == "POST" and _OF_OTHERS.fullmatch(path)):
        return _BOTH
    return _NEEDED.get(method, _SUBMITS)


def check_scopes(scopes: frozenset[Scope], needed: frozenset[Scope], name: str) -> None:
    """Raise InsufficientScope unless a key has all of the scopes; admin has every one."""
    missing = needed - scopes
    if missing and "admin" not in scopes:
        lacks = " and ".join(sorted(missing))
        raise InsufficientScope(f"The key {name or 'of this caller'} lacks the scope {lacks}.")
