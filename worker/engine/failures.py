"""Turns whatever a model raises into an error of the service."""

from __future__ import annotations

from shared.errors import InferenceFailed, OutOfMemory, ServiceError

_NO_MEMORY = ("can't allocate memory", "not enough memory")


def service_error(error: Exception) -> ServiceError:
    """Return the error that the caller gets for one of the model."""
    if isinstance(error, ServiceError):
        return error
    if isinstance(error, MemoryError) or any(part in str(error) for part in _NO_MEMORY):
        return OutOfMemory()
    return InferenceFailed(f"The model raised {type(error).__name__}.")
