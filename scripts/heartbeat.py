"""Checks the health of a worker: one of this host must have a fresh heartbeat."""

from __future__ import annotations

import socket
import sys

from shared.connection import connect
from shared.errors import ServiceError
from shared.settings import Settings
from shared.workers import WorkerRegistry


def main() -> None:
    """Exit with 0 if a worker of this host has a loaded model and beats."""
    settings = Settings()
    try:
        workers = WorkerRegistry(connect(settings), settings.heartbeat_ttl_s).fresh()
    except ServiceError as error:
        sys.exit(f"heartbeat: {error}")
    host = socket.gethostname()
    if not any(worker.host == host for worker in workers):
        sys.exit(f"heartbeat: no fresh one of {host}")


if __name__ == "__main__":
    main()
