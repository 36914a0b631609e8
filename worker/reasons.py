"""Passes on in one line why something of a library went wrong."""

from __future__ import annotations

#: Longest reason that is passed on.
_REASON_LETTERS = 300


def describe_error(error: Exception) -> str:
    """Return an error's reason in one line; those that speak for themselves go without a type."""
    reason = " ".join(str(error).split())[:_REASON_LETTERS]
    if not reason or isinstance(error, KeyError):
        return repr(error)[:_REASON_LETTERS]
    return (
        reason if isinstance(error, ValueError | OSError) else f"{type(error).__name__}: {reason}"
    )
