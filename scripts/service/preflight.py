"""Checks before anything starts: settings, model folder, addresses, access."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import honcho.environ
from pydantic import ValidationError

from gateway.auth import UnsafeBinding, check_binding
from scripts.service.instance import ROOT, InstanceError
from shared.catalog.model_place import find_place
from shared.config_check import find_misspelt
from shared.errors import BadConfig, StoreUnavailable
from shared.settings import PREFIX, SIMULATED_MODEL, Settings
from shared.store.access.api_key_store import ApiKeyStore
from shared.store.connection import connect
from shared.store.redis_info import refuse_cluster

FLOWER_PORT = 5555
#: Short names that make's command line has for settings, and the environment has not.
_MAKES_OWN = ("HOST", "ENGINE", "SLOTS", "THREADS", "NUMERICS")


@dataclass(frozen=True)
class Address:
    """The address of a server for a person at this machine."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """The address for a browser; a wildcard address is shown as loopback."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"


def read_settings() -> Settings:
    """Return the settings from the environment and the file `.env`, which it overrides.

    Raises InstanceError for invalid values.
    """
    if (file := ROOT / ".env").exists():
        for name, value in honcho.environ.parse(file.read_text()).items():
            os.environ.setdefault(name, value)
    try:
        return Settings()
    except ValidationError as error:
        faults = [(".".join(map(str, e["loc"])), e["msg"]) for e in error.errors()]
        lines = (f"{where or 'settings'}: {cause}" for where, cause in faults)
        raise InstanceError("; ".join(lines)) from None


def find_ignored(environ: Mapping[str, str]) -> Iterator[str]:
    """Yield a line about each variable that looks like a setting and has no effect."""
    yield from find_misspelt(environ)
    for name in _MAKES_OWN:
        # make hands on under both names what stands on its command line
        if name in environ and PREFIX + name not in environ:
            yield f"{name} has no effect as a variable: set {PREFIX}{name}, or make up {name}=…"


def check_environment(programs: Path) -> None:
    """Raise InstanceError if the programs in this folder belong to an environment elsewhere."""
    command = [ROOT / "scripts" / "moved.sh", programs.parent]
    if subprocess.run(command, capture_output=True, check=False).stdout.strip():
        raise InstanceError(
            f"{programs.parent} was made in another folder and its programs cannot start here; "
            "make it again with: make install"
        )


def check_model(model: str) -> str:
    """Return the model for the worker: 'simulated', an absolute folder, or a hub's model.

    Raises InstanceError for a folder without a model.
    """
    if model == SIMULATED_MODEL:
        return model
    try:
        place = find_place(model)
    except ValueError as error:
        raise InstanceError(f"MODEL={error}") from None
    # a misspelt folder beside others is no model of the hub
    if place.source != "folder" and (":" in model or not Path(model).parent.is_dir()):
        return model
    folder = Path(place.name).resolve()
    if not (folder / "config.json").is_file():
        cause = "has no config.json" if folder.is_dir() else "does not exist"
        raise InstanceError(f"MODEL={model}: the folder {folder} {cause}")
    return str(folder)


def check_address(settings: Settings) -> None:
    """Raise InstanceError if the gateway cannot bind its address."""
    if reason := find_bind_error(settings.host, settings.port):
        raise InstanceError(
            f"port {settings.port} on {settings.host} cannot be used ({reason}); "
            f"choose another: make up PORT={settings.port + 1}"
        )


def check_access(settings: Settings) -> None:
    """Raise InstanceError if no caller could use the gateway, or everybody by mistake."""
    client = connect(settings)
    try:
        refuse_cluster(settings)
        check_binding(settings, ApiKeyStore(client).any)
    except (UnsafeBinding, StoreUnavailable, BadConfig) as trouble:
        raise InstanceError(str(trouble)) from None
    finally:
        client.close()


def find_bind_error(host: str, port: int) -> str | None:
    """Return why an address cannot be bound; None if it can."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        return error.strerror or str(error)
    return None


def choose_flower_address(gateway_port: int) -> Address:
    """Choose Flower's port: SIGHTLINE_FLOWER_PORT or FLOWER_PORT, the default one, or a free one.

    Raises InstanceError if the first cannot be used.
    """
    if wanted := os.environ.get("SIGHTLINE_FLOWER_PORT") or os.environ.get("FLOWER_PORT"):
        reason = find_bind_error("127.0.0.1", int(wanted)) if wanted.isdigit() else "not a number"
        if reason:
            raise InstanceError(f"FLOWER_PORT={wanted} cannot be used ({reason})")
        return Address("127.0.0.1", int(wanted))
    default = gateway_port == Settings.model_fields["port"].default
    if default and find_bind_error("127.0.0.1", FLOWER_PORT) is None:
        return Address("127.0.0.1", FLOWER_PORT)
    return Address("127.0.0.1", free_port())


def free_port() -> int:
    """Return a loopback port that is free at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
