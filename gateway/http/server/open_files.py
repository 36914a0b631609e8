"""How many files this process may have open, and how many client connections fit into that."""

from __future__ import annotations

import resource

#: Connections of clients that one process serves at once, where open files allow it.
MAX_CONNECTIONS = 2000
#: Connections beyond them that are being refused or closed.
_SPARE_CONNECTIONS = 100
#: Each may wait for a job, and waits on a Redis connection of its own.
_FILES_PER_CONNECTION = 2
#: Logs, metrics, decoders, idle Redis connections, uploads that are spooled to disk.
_OWN_FILES = 64
_WANTED_FILES = _FILES_PER_CONNECTION * MAX_CONNECTIONS + _SPARE_CONNECTIONS + 4 * _OWN_FILES


def raise_soft_limit() -> int:
    """Raise the limit of open files as far as needed and allowed; return the limit in force."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return _WANTED_FILES
    if soft < _WANTED_FILES:
        soft = _WANTED_FILES if hard == resource.RLIM_INFINITY else min(_WANTED_FILES, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return soft


def connections_within(files: int) -> int:
    """Return how many connections fit into `files` open files, at least 8."""
    left = files - _OWN_FILES - spare_within(files)
    return min(MAX_CONNECTIONS, max(8, left // _FILES_PER_CONNECTION))


def spare_within(files: int) -> int:
    """Return how many connections may be refused or closed at once beside those served."""
    return max(4, min(_SPARE_CONNECTIONS, files // 8))
