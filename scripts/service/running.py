"""Finds the running instance that a command means, and its Redis."""

from __future__ import annotations

import re

from scripts.service.instance import Instance, InstanceError, list_instances
from shared.settings import Settings


def choose_instance(settings: Settings) -> Instance:
    """Return the instance of the named port, else the only one that runs, else the default one.

    Raises InstanceError if several run and none of them is on the default port.
    """
    default = Instance(settings.port)
    if "port" in settings.model_fields_set or default.launcher():
        return default
    running = [instance for instance in list_instances() if instance.launcher()]
    if len(running) > 1:
        ports = ", ".join(str(instance.port) for instance in running)
        raise InstanceError(
            f"several services are running here, on ports {ports}; name one: PORT=…"
        )
    return running[0] if running else default


def read_redis_url(instance: Instance) -> str | None:
    """Return the URL of a running instance's private Redis; None if it uses another one."""
    try:
        text = (instance.directory / "redis" / "redis.conf").read_text()
    except FileNotFoundError:
        return None
    config = dict(re.findall(r"^(port|requirepass) (\S+)$", text, re.MULTILINE))
    return f"redis://:{config['requirepass']}@127.0.0.1:{config['port']}/0"
