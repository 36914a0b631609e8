"""What compose.yaml promises, checked on running containers; run.sh has built the images.

Prints a line for each check and 'N passed, N failed' at the end.
"""

from __future__ import annotations

import sys

from check_images import check_confinement, check_images, check_rebuild
from check_processes import check_model_folder, check_rolling, check_workers
from check_redis import (
    check_health_turns,
    check_operator,
    check_passwords,
    check_redis_restarts,
)
from check_service import check_monitoring, check_service
from stack import OURS, SERVICES, check, compose, container, eventually, health, inspect, results


def start() -> None:
    """Everything comes up and is healthy."""
    compose("up", "-d", *OURS, "receiver")
    compose("--profile", "alerting", "up", "-d", "prometheus", "alertmanager")
    good = eventually(lambda: all(health(name) == "healthy" for name in SERVICES), 300)
    check("all are healthy", good, {name: health(name) for name in SERVICES} if not good else "")


def check_end() -> None:
    """All end by themselves, and nobody was refused by Redis."""
    refused = compose("logs", "--no-color", *SERVICES).stdout.count("NOPERM")
    check("nobody is refused by Redis", refused == 0, refused)
    compose("stop")
    codes = {name: inspect(container(name), "{{.State.ExitCode}}") for name in SERVICES}
    check("all end by themselves", set(codes.values()) == {"0"}, codes)


def main() -> None:
    """Run all checks; exit with 1 if one failed."""
    check_images()
    start()
    check_confinement()
    key = check_service()
    check_monitoring()
    check_redis_restarts(key)
    check_passwords()
    check_operator()
    check_workers()
    check_rolling()
    check_model_folder()
    check_health_turns()
    check_end()
    check_rebuild()
    print(f"{results.count(True)} passed, {results.count(False)} failed")
    sys.exit(not all(results))


if __name__ == "__main__":
    main()
