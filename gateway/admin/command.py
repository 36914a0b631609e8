"""The command line of `sightline-admin`: its areas, and what Redis may answer to all of them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from gateway.admin import keys, usage
from gateway.audit import AuditLog
from shared.errors import BadConfig, OutcomeUnknown, StoreUnavailable
from shared.settings import Settings
from shared.store.api_key_store import ApiKeyStore
from shared.store.api_key_types import ApiKeyError
from shared.store.connection import connect
from shared.store.usage_store import UsageStore

_DESCRIPTION = "Makes, lists, changes, rotates and revokes API keys; sums up their usage."
_UNKNOWN = (
    "Redis did not confirm the change: see with `keys list` whether it was made. A new secret that "
    "was not printed is lost; rotate or create it again."
)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(prog="sightline-admin", description=_DESCRIPTION)
    areas = parser.add_subparsers(dest="area", required=True)
    keys.add_parsers(areas.add_parser("keys", help="API keys"))
    usage.add_options(areas.add_parser("usage", help="sum up what keys have used"))
    return parser


def run(arguments: Sequence[str], settings: Settings) -> int:
    """Do what the arguments say in the Redis of the settings; return the exit code."""
    options = build_parser().parse_args(arguments)
    client = connect(settings)
    try:
        api_keys = ApiKeyStore(client)
        if options.area == "usage":
            usage.print_usage(options, UsageStore(client), api_keys)
        else:
            keys.run_action(options, api_keys, AuditLog.open(settings), settings)
    except OutcomeUnknown:
        return _fail(_UNKNOWN)
    except (ApiKeyError, StoreUnavailable, BadConfig) as error:
        return _fail(str(error))
    finally:
        client.close()
    return 0


def _fail(message: str) -> int:
    print(f"sightline-admin: {message}", file=sys.stderr)
    return 1


def main() -> int:
    """Return the exit code of `sightline-admin`."""
    return run(sys.argv[1:], Settings())
