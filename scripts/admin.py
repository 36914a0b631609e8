"""`make admin`: runs sightline-admin on the Redis of `make up`, whether that runs or not."""

from __future__ import annotations

import contextlib
import sys

from gateway import admin
from scripts.redis_server import PrivateRedis, find_program
from scripts.service.instance import Instance, InstanceError
from scripts.service.preflight import read_settings
from scripts.service.running import choose_instance, read_redis_url


def open_redis(instance: Instance, stack: contextlib.ExitStack) -> str:
    """Return the URL of the instance's Redis; start it until `stack` closes if it does not run."""
    if instance.launcher() and (url := read_redis_url(instance)):
        return url
    stack.enter_context(instance.claim())
    return stack.enter_context(PrivateRedis(instance, find_program())).url


def main() -> int:
    """Return the exit code of `make admin`."""
    try:
        settings = read_settings()
        with contextlib.ExitStack() as stack:
            if "redis_url" not in settings.model_fields_set:
                url = open_redis(choose_instance(settings), stack)
                settings = settings.model_copy(update={"redis_url": url})
            return admin.run(sys.argv[1:], settings)
    except (InstanceError, OSError) as trouble:
        print(f"make admin: {trouble}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
