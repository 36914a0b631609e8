"""What an error of Redis means for the caller, and writes that are repeated until they are sure."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import redis

from shared.errors import (
    NotReplicated,
    OutcomeUnknown,
    StoreCannotWrite,
    StoreFault,
    StoreUnavailable,
)
from shared.store.failover.sure_writes import TooFewReplicas, promised

#: Seconds that a client refused for want of Redis should wait.
RETRY_AFTER_S = 5.0
#: Seconds for which a write whose reply was lost is sent again, and between two tries.
CONFIRM_S = 5.0
_PAUSE_S = 0.1

_Result = TypeVar("_Result")

#: Redis names the kind of a refusal by its first word; a script's error quotes it further back.
_KIND = re.compile(
    r"\b(MISCONF|OOM|READONLY|NOREPLICAS|MASTERDOWN|NOPERM|NOAUTH|WRONGPASS|LOADING|BUSY"
    r"|MOVED|CROSSSLOT|CLUSTERDOWN)\b"
)
#: What scripts and wrong types say; it does not pass by itself.
_FAULT = re.compile(r"\bWRONGTYPE\b|\buser_script\b|\bLua script\b")
_SCRIPT_TRACE = re.compile(r"\s*script: [0-9a-f]+, on .*$", re.DOTALL)
_WRITE_REFUSALS = {
    "OOM": "its memory is full",
    "READONLY": "it is a read-only replica",
    "NOREPLICAS": "too few of its replicas are connected",
    "MASTERDOWN": "it is a replica without its primary",
}
_RIGHTS = "its user or password is not accepted; check the URL of Redis"
_CLUSTER = "This is a Redis Cluster, which is not supported: use one server, or Sentinel."
_OTHER_REFUSALS = {
    "MOVED": _CLUSTER,
    "CROSSSLOT": _CLUSTER,
    "CLUSTERDOWN": _CLUSTER,
    "NOPERM": "The user of Redis lacks rights; see its ACL.",
    "NOAUTH": f"Redis refuses the login: {_RIGHTS}.",
    "WRONGPASS": f"Redis refuses the login: {_RIGHTS}.",
    "LOADING": "Redis is loading its data.",
    "BUSY": "Redis is busy with a script.",
}


class NotSent(redis.ConnectionError):
    """No connection could be had, so the command was not sent."""


class NotMaster(NotSent):
    """A replica refused the command, which its master would take."""


def refuses_as_replica(error: redis.RedisError) -> bool:
    """Tell whether a server refuses a command because it is not the master."""
    kind = _KIND.search(f"{getattr(error, 'status_code', None) or ''} {error}")
    return kind is not None and kind[1] in ("READONLY", "MASTERDOWN")


def explain_refusal(error: redis.RedisError) -> StoreUnavailable:
    """Return the error that a caller sees for an error of Redis or of its connection."""
    if isinstance(error, NotSent) and isinstance(error.__cause__, redis.RedisError):
        error = error.__cause__
    if isinstance(error, TooFewReplicas):
        return NotReplicated(f"{error}.".capitalize(), retry_after_s=RETRY_AFTER_S)
    text = f"{getattr(error, 'status_code', None) or ''} {error}"
    match = _KIND.search(text)
    kind = match[1] if match else ""
    if kind == "MISCONF" or kind in _WRITE_REFUSALS:
        reason = _WRITE_REFUSALS.get(kind) or _disk_reason(text)
        return StoreCannotWrite(f"Redis cannot write: {reason}.", retry_after_s=RETRY_AFTER_S)
    detail = _OTHER_REFUSALS.get(kind)
    if detail is None and _FAULT.search(text):
        return StoreFault(f"The job store refused a command ({type(error).__name__}).")
    if detail is None and isinstance(error, redis.AuthenticationError):
        detail = _OTHER_REFUSALS["WRONGPASS"]
    if detail is None and isinstance(error, redis.ResponseError):
        detail = f"The job store refused a command ({type(error).__name__})."
    if detail is None:
        detail = f"The job store does not respond ({type(error).__name__})."
    return StoreUnavailable(detail, retry_after_s=RETRY_AFTER_S)


def _disk_reason(text: str) -> str:
    """Return why Redis cannot save, in our words where the disk is full and else in its own."""
    if "No space left" in text or "Disk quota" in text:
        return "its disk is full"
    reason = _SCRIPT_TRACE.sub("", text[text.index("MISCONF") + len("MISCONF") :])
    return reason.strip().rstrip(".") or "it could not save its data"


@contextmanager
def guard() -> Iterator[None]:
    """Turn every redis.RedisError of the block into StoreUnavailable or StoreCannotWrite."""
    try:
        yield
    except redis.RedisError as error:
        raise explain_refusal(error) from error


@contextmanager
def tidying() -> Iterator[None]:
    """Let a read go on where Redis refuses to write: what it would have tidied up stays."""
    try:
        yield
    except redis.RedisError as error:
        if not isinstance(explain_refusal(error), StoreCannotWrite):
            raise


def confirm(write: Callable[[], _Result], **known: Any) -> _Result:
    """Return what `write` returns; sent again for `CONFIRM_S` while its outcome is unknown.

    `write` must give the same answer when it is sent twice. `known` is what the caller is shown
    where the outcome stays unknown, such as the id of the job.

    Where replicas are asked for, enough of them have what it wrote.

    Raises StoreUnavailable if nothing was changed, else OutcomeUnknown, of which NotReplicated says
    that the change was made and may be lost.
    """
    until = time.monotonic() + CONFIRM_S
    unsure = False
    while True:
        try:
            with promised():
                return write()
        except redis.RedisError as error:
            unsure = unsure or not _changed_nothing(error)
            if not unsure:
                raise explain_refusal(error) from error
            if time.monotonic() >= until:
                raise _unsure_error(error, known) from error
        time.sleep(_PAUSE_S)


def _unsure_error(error: redis.RedisError, known: dict[str, Any]) -> OutcomeUnknown:
    if isinstance(error, TooFewReplicas):
        return NotReplicated(retry_after_s=RETRY_AFTER_S, extra=known)
    return OutcomeUnknown(retry_after_s=RETRY_AFTER_S, extra=known)


def _changed_nothing(error: redis.RedisError) -> bool:
    """Tell whether a command was not sent or was refused by Redis itself."""
    return isinstance(
        error, NotSent | redis.ResponseError | redis.BusyLoadingError | redis.AuthenticationError
    )
