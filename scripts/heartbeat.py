"""Health check of a container: its worker beats, or with `courier` no webhook is overdue."""

from __future__ import annotations

import socket
import sys

from shared.errors import ServiceError
from shared.settings import Settings
from shared.store.connection import connect
from shared.store.delivery_store import DeliveryStore
from shared.store.worker_registry import WorkerRegistry

#: Seconds; a courier polls every second, so a webhook this late means that none runs.
OVERDUE_S = 60.0


def main() -> None:
    """Exit with 0 if a worker of this host has a fresh heartbeat, or no webhook is overdue."""
    settings = Settings()
    if sys.argv[1:] == ["courier"]:
        _check_courier(settings)
        return
    try:
        workers = WorkerRegistry(connect(settings), settings.heartbeat_ttl_s).fresh()
    except ServiceError as error:
        sys.exit(f"heartbeat: {error}")
    host = socket.gethostname()
    if not any(worker.host == host for worker in workers):
        sys.exit(f"heartbeat: none recent from {host}")


def _check_courier(settings: Settings) -> None:
    try:
        lag_s = DeliveryStore(settings, connect(settings)).outbox().lag_s
    except ServiceError as error:
        sys.exit(f"heartbeat: {error}")
    if lag_s > OVERDUE_S:
        sys.exit(f"heartbeat: a webhook is {lag_s:.0f} s overdue")


if __name__ == "__main__":
    main()
