"""Making, listing, changing, rotating and revoking API keys: `sightline-admin keys`."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict

from gateway.admin.terms import add_terms, chosen_terms, parse_duration
from gateway.audit import AuditLog
from shared.jobs.view import timestamp
from shared.settings import Settings
from shared.store.access.api_key_store import ApiKeyStore
from shared.store.access.api_key_types import ApiKey

_DAY_S = 86_400


def add_parsers(area: argparse.ArgumentParser) -> None:
    """Add the actions of `keys`."""
    actions = area.add_subparsers(dest="action", required=True)
    create = actions.add_parser("create", help="create a key; its secret is shown once")
    change = actions.add_parser("set", help="change the limits, scopes or weight of a key")
    rotate = actions.add_parser("rotate", help="create a second secret; the old one expires")
    revoke = actions.add_parser("revoke", help="revoke a key with all its secrets, immediately")
    for action in (create, change, rotate, revoke):
        action.add_argument("name", help="name or ID of the key")
    for action in (create, change):
        add_terms(action)
    rotate.add_argument(
        "--overlap",
        type=parse_duration,
        default=_DAY_S,
        metavar="TIME",
        help="how long the old secret stays valid, such as 30m or 1d (1d)",
    )
    shown = actions.add_parser("list", help="show every key and its limits")
    shown.add_argument("--json", action="store_true", help="print JSON")


def _describe_key(key: ApiKey) -> str:
    state = "revoked" if key.revoked_ms else f"created {timestamp(key.created_ms)}"
    limits = ", ".join(
        f"{name} {'default' if value is None else value or 'no limit'}"
        for name, value in key.limits.items()
    )
    secrets = ", ".join(
        f"…{end}" + ("" if left is None else f" for {left:.0f} s more") for end, left in key.secrets
    )
    kept = "" if key.retention_s is None else f"; kept {key.retention_s} s"
    scopes = " and ".join(sorted(key.scopes))
    budgets = ", ".join(f"{limit} {kind}" for kind, limit in key.budgets.items())
    budgets = f"\n  in a month {budgets}" if budgets else ""
    return (
        f"{key.name}  {key.id}  {state}\n  may {scopes}; weight {key.weight}{kept}; {limits}"
        f"{budgets}\n"
        f"  secrets: {secrets or 'none'}"
    )


def _print_secret(secret: str, description: str) -> None:
    """Print the secret alone to stdout, for programs, and the rest to stderr."""
    print(description, file=sys.stderr)
    print("This secret is shown only once; save it:", file=sys.stderr)
    print(secret)


def run_action(
    options: argparse.Namespace,
    api_keys: ApiKeyStore,
    audit: AuditLog,
    settings: Settings,
    operator: str,
) -> None:
    """Do what the options say; raises ApiKeyError."""
    if options.action == "list":
        _print_keys(api_keys, as_json=options.json)
        return
    key = _change_keys(options, api_keys, settings)
    audit.note(f"key.{options.action}", key=key.name, tenant=key.id, operator=operator)


def _change_keys(options: argparse.Namespace, api_keys: ApiKeyStore, settings: Settings) -> ApiKey:
    match options.action:
        case "create":
            key, secret = api_keys.create(options.name, chosen_terms(options, settings))
            _print_secret(secret, _describe_key(key))
        case "rotate":
            secret = api_keys.rotate(options.name, options.overlap)
            key = api_keys.get(options.name)
            _print_secret(secret, _describe_key(key))
        case "set":
            key = api_keys.change(options.name, chosen_terms(options, settings))
            print(_describe_key(key))
        case _:
            key = api_keys.revoke(options.name)
            print(_describe_key(key))
            _warn_without_keys(api_keys)
    return key


def _warn_without_keys(api_keys: ApiKeyStore) -> None:
    if all(key.revoked_ms for key in api_keys.all()):
        print(
            "This was the last key: callers that need a key are now refused.\n"
            "Create one the same way: keys create NAME",
            file=sys.stderr,
        )


def _print_keys(api_keys: ApiKeyStore, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps([{**asdict(key), "scopes": sorted(key.scopes)} for key in api_keys.all()]))
    else:
        print("\n".join(map(_describe_key, api_keys.all())) or "There are no keys yet.")
