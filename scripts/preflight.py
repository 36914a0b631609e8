"""What is checked before anything starts: settings, model folder, addresses."""

from __future__ import annotations

import os
import re
import socket
from dataclasses import dataclass
from pathlib import Path

import honcho.environ
from pydantic import ValidationError

from gateway.auth import UnsafeBinding, check_binding
from scripts.instance import ROOT, InstanceError
from shared.errors import StoreUnavailable
from shared.settings import SIMULATED_MODEL, Settings
from shared.store.api_key_store import ApiKeyStore
from shared.store.connection import connect

FLOWER_PORT = 5555
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True)
class Address:
    """Where a person on this machine reaches a server."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """The address for a browser; a wildcard address is shown as loopback."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"


def read_settings() -> Settings:
    """Read the environment and, below it, the file `.env`."""
    if (file := ROOT / ".env").exists():
        for name, value in honcho.environ.parse(file.read_text()).items():
            os.environ.setdefault(name, value)
    try:
        return Settings()
    except ValidationError as error:
        faults = [(".".join(map(str, e["loc"])), e["msg"]) for e in error.errors()]
        told = (f"{where or 'settings'}: {what}" for where, what in faults)
        raise InstanceError("; ".join(told)) from None


def check_model(model: str) -> str:
    """Return the model as the worker takes it: 'simulated', an absolute folder, or a hub id."""
    folder = Path(model).expanduser()
    if model == SIMULATED_MODEL:
        return model
    if HUB_ID.fullmatch(model) and not folder.parent.is_dir():
        return model
    if not (folder / "config.json").is_file():
        what = "has no config.json" if folder.is_dir() else "does not exist"
        raise InstanceError(f"MODEL={model}: the folder {folder.resolve()} {what}")
    return str(folder.resolve())


def check_address(settings: Settings) -> None:
    """Raise Trouble if the gateway could not bind its address."""
    if reason := refusal(settings.host, settings.port):
        raise InstanceError(
            f"port {settings.port} on {settings.host} cannot be used ({reason}); "
            f"choose another: make up PORT={settings.port + 1}"
        )


def check_door(settings: Settings) -> None:
    """Raise Trouble if the gateway would let in nobody, or everybody unasked."""
    client = connect(settings)
    try:
        check_binding(settings, ApiKeyStore(client).any)
    except (UnsafeBinding, StoreUnavailable) as trouble:
        raise InstanceError(str(trouble)) from None
    finally:
        client.close()


def refusal(host: str, port: int) -> str | None:
    """Return why this address cannot be bound; None if it can."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        return error.strerror or str(error)
    return None


def flower_address(gateway_port: int) -> Address:
    """Choose Flower's port: the one asked for, the usual one, or a free one."""
    if asked := os.environ.get("SIGHTLINE_FLOWER_PORT"):
        reason = refusal("127.0.0.1", int(asked)) if asked.isdigit() else "not a number"
        if reason:
            raise InstanceError(f"FLOWER_PORT={asked} cannot be used ({reason})")
        return Address("127.0.0.1", int(asked))
    usual = gateway_port == Settings.model_fields["port"].default
    if usual and refusal("127.0.0.1", FLOWER_PORT) is None:
        return Address("127.0.0.1", FLOWER_PORT)
    return Address("127.0.0.1", free_port())


def free_port() -> int:
    """Return a loopback port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
