"""`make down`: stops the instance of one port from another shell."""

from __future__ import annotations

import signal
import sys

from scripts.service.instance import InstanceError, wait_until
from scripts.service.preflight import read_settings
from scripts.service.running import choose_instance
from scripts.up import STOP_S


def main() -> int:
    """Stop the launcher, which stops the rest, and end what a killed launcher left behind."""
    try:
        settings = read_settings()
        instance = choose_instance(settings)
        processes = instance.processes()
        if launcher := instance.launcher():
            launcher.signal(signal.SIGTERM)
            wait_until(lambda: not launcher.alive(), settings.drain_s + STOP_S + 30)
        instance.sweep()
    except (InstanceError, OSError) as trouble:
        print(f"make down: {trouble}", file=sys.stderr)
        return 1
    print(f"{'stopped' if processes else 'nothing is running on'} port {instance.port}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
