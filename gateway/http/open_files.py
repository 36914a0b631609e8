"""How many files this process may have open, and how many client connections fit into that."""

from __future__ import annotations

import resource

#: Connections of clients that one process serves at once, where open files allow it.
MAX_CONNECTIONS = 2000
#: Connections beyond them that are being refused or closed.
SPARE_CONNECTIONS = 100
#: Each may wait for a job, and waits on a Redis connection of its own.
_FILES_PER_CONNECTION = 2
#: Logs, metrics, decoders, idle Redis connections, uploads that are spooled to disk.
_OWN_FILES = 64
_WANTED = _FILES_PER_CONNECTION * MAX_CONNECTIONS + SPARE_CONNECTIONS + 4 * _OWN_FILES


def raise_soft_limit() -> int:
    """Raise the limit of open files as far as needed and allowed; return the limit in force."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return _WANTED
    if soft < _WANTED:
        soft = _WANTED if hard == resource.RLIM_INFINITY else min(_WANTED, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return soft


def connections_within(files: int) -> int:
    """Return how many connections fit into `files` open files, at least 8."""
    spare = min(SPARE_CONNECTIONS, files // 8)
    return min(MAX_CONNECTIONS, max(8, (files - _OWN_FILES - spare) // _FILES_PER_CONNECTION))
