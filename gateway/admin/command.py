"""The command line of `sightline-admin`: its areas, and what Redis may answer to all of them."""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Sequence

from gateway.admin import jobs, keys, usage, workers
from gateway.admin.command_parser import CommandParser
from gateway.audit import AuditLog
from shared.errors import BadConfig, OutcomeUnknown, ServiceError
from shared.settings import Settings
from shared.store import Store
from shared.store.access.api_key_store import ApiKeyStore
from shared.store.access.api_key_types import ApiKeyError
from shared.store.access.usage_store import UsageStore
from shared.store.connection import Client, connect
from shared.store.fleet.starting_workers import StartingWorkers
from shared.store.fleet.worker_registry import WorkerRegistry

_DESCRIPTION = (
    "Makes, lists, changes, rotates and revokes API keys; sums up their usage; shows, cancels and "
    "retries jobs; drains workers."
)
_UNKNOWN = (
    "Redis did not confirm the change: see with `keys list` whether it was made. A new secret that "
    "was not printed is lost; rotate or create it again."
)
_UNSURE = "Redis did not confirm the change: look with `{area} list` whether it was made."


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = CommandParser(prog="sightline-admin", description=_DESCRIPTION)
    areas = parser.add_subparsers(dest="area", required=True)
    keys.add_parsers(areas.add_parser("keys", help="API keys"))
    jobs.add_parsers(areas.add_parser("jobs", help="the jobs of all keys"))
    workers.add_parsers(areas.add_parser("workers", help="the workers"))
    usage.add_options(areas.add_parser("usage", help="sum up what keys have used"))
    return parser


def run(arguments: Sequence[str], settings: Settings) -> int:
    """Do what the arguments say in the Redis of the settings; return the exit code."""
    options = build_parser().parse_args(arguments)
    client = connect(settings)
    try:
        _run_area(options, settings, client)
    except OutcomeUnknown:
        return _fail(_UNKNOWN if options.area == "keys" else _UNSURE.format(area=options.area))
    except ServiceError as error:
        return _fail(f"{error.detail} {error.hint_text}".strip())
    except (ApiKeyError, BadConfig) as error:
        return _fail(str(error))
    finally:
        client.close()
    return 0


def _run_area(options: argparse.Namespace, settings: Settings, client: Client) -> None:
    api_keys = ApiKeyStore(client)
    if options.area == "usage":
        usage.print_usage(options, UsageStore(client), api_keys)
        return
    audit, operator = AuditLog.open(settings), _operator()
    match options.area:
        case "jobs":
            jobs.run_action(options, Store(settings, client), audit, settings, operator)
        case "workers":
            registry = WorkerRegistry(client, settings.heartbeat_ttl_s)
            workers.run_action(options, registry, StartingWorkers(client), audit, operator)
        case _:
            keys.run_action(options, api_keys, audit, settings, operator)


def _operator() -> str:
    """Return the name under which the operator is logged in, "" where there is none."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""


def _fail(message: str) -> int:
    print(f"sightline-admin: {message}", file=sys.stderr)
    return 1


def main() -> int:
    """Return the exit code of `sightline-admin`."""
    return run(sys.argv[1:], Settings())
