"""Failures to read what a change has led to: the change was made, and the answer says so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from shared.errors import OutcomeUnknown, StoreUnavailable


@contextmanager
def after_change(change: str, **known: Any) -> Iterator[None]:
    """Turn StoreUnavailable, which says that nothing was accepted, into OutcomeUnknown.

    `change` says what was done; `known` are its ids, which the caller is shown.
    """
    try:
        yield
    except OutcomeUnknown:
        raise
    except StoreUnavailable as error:
        raise OutcomeUnknown(
            f"{change}, but its present state cannot be read: {error.detail}",
            retry_after_s=error.retry_after_s,
            extra=known,
        ) from error
