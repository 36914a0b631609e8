"""Making, listing, changing, rotating and revoking API keys: `sightline-admin keys`."""

from __future__ import annotations

import argparse
import getpass
import json
import sys
from dataclasses import asdict

from gateway.audit import AuditLog
from shared.jobs.view import timestamp
from shared.store.api_key_store import ApiKeyStore
from shared.store.api_key_types import DEFAULT, MAX_WEIGHT, SCOPES, ApiKey, KeyTerms

_DAY_S = 86_400
#: A result must live until its caller has seen it.
_MIN_RETENTION_S = 60
#: Option and meaning of each limit, by its name in the key.
_LIMITS = {
    "requests": ("--requests-per-minute", "requests that submit work, per minute"),
    "tokens": ("--tokens-per-minute", "visual tokens of jobs, per minute"),
    "in_flight": ("--in-flight", "unfinished jobs"),
    "queued": ("--queued", "jobs waiting for a worker"),
    "reads": ("--reads-per-minute", "reading requests per minute, except following a job"),
}


def _parse_limit(text: str) -> int:
    if text == "default":
        return DEFAULT
    if not text.isascii() or not text.isdigit() or len(text) > 12:
        raise argparse.ArgumentTypeError("a whole number, 0 for no limit, or default")
    return int(text)


def _parse_weight(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MAX_WEIGHT:
        raise argparse.ArgumentTypeError(f"a whole number between 1 and {MAX_WEIGHT}")
    return int(text)


def _parse_duration(text: str) -> int:
    number, unit = (text[:-1], text[-1]) if text[-1:].isalpha() else (text, "s")
    factor = {"s": 1, "m": 60, "h": 3600, "d": _DAY_S}.get(unit)
    if factor is None or not number.isascii() or not number.isdigit() or len(number) > 9:
        raise argparse.ArgumentTypeError("seconds, or a number with s, m, h or d")
    return int(number) * factor


def _parse_retention(text: str) -> int:
    if text == "default":
        return DEFAULT
    seconds = _parse_duration(text)
    if seconds < _MIN_RETENTION_S:
        raise argparse.ArgumentTypeError(f"at least {_MIN_RETENTION_S} seconds, or default")
    return seconds


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
        _add_terms(action)
    rotate.add_argument(
        "--overlap",
        type=_parse_duration,
        default=_DAY_S,
        metavar="TIME",
        help="how long the old secret stays valid, such as 30m or 1d (1d)",
    )
    shown = actions.add_parser("list", help="show every key and its limits")
    shown.add_argument("--json", action="store_true", help="print JSON")


def _add_terms(action: argparse.ArgumentParser) -> None:
    for option, meaning in _LIMITS.values():
        action.add_argument(option, type=_parse_limit, metavar="N", help=meaning)
    action.add_argument(
        "--weight",
        type=_parse_weight,
        metavar="N",
        help="turns for each turn of other keys (1)",
    )
    action.add_argument(
        "--scope",
        dest="scopes",
        action="append",
        choices=SCOPES,
        help="what the key may do, repeated for several (submit and read)",
    )
    action.add_argument(
        "--retention",
        type=_parse_retention,
        metavar="TIME",
        help="how long results, conversations and files are kept at most, such as 30m, or default",
    )


def _chosen_terms(options: argparse.Namespace) -> KeyTerms:
    limits = {
        name: getattr(options, option[2:].replace("-", "_"))
        for name, (option, _) in _LIMITS.items()
    }
    scopes = frozenset(options.scopes) if options.scopes else None
    return KeyTerms(limits, options.weight, scopes, options.retention)


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
    return (
        f"{key.name}  {key.id}  {state}\n  may {scopes}; weight {key.weight}{kept}; {limits}\n"
        f"  secrets: {secrets or 'none'}"
    )


def _print_secret(secret: str, description: str) -> None:
    """Print the secret alone to stdout, for programs, and the rest to stderr."""
    print(description, file=sys.stderr)
    print("This secret is shown only once; save it:", file=sys.stderr)
    print(secret)


def run_action(options: argparse.Namespace, api_keys: ApiKeyStore, audit: AuditLog) -> None:
    """Do what the options say; raises ApiKeyError."""
    if options.action == "list":
        _print_keys(api_keys, as_json=options.json)
        return
    key = _change_keys(options, api_keys)
    audit.note(f"key.{options.action}", key=key.name, tenant=key.id, operator=_operator())


def _change_keys(options: argparse.Namespace, api_keys: ApiKeyStore) -> ApiKey:
    match options.action:
        case "create":
            key, secret = api_keys.create(options.name, _chosen_terms(options))
            _print_secret(secret, _describe_key(key))
        case "rotate":
            secret = api_keys.rotate(options.name, options.overlap)
            key = api_keys.get(options.name)
            _print_secret(secret, _describe_key(key))
        case "set":
            key = api_keys.change(options.name, _chosen_terms(options))
            print(_describe_key(key))
        case _:
            key = api_keys.revoke(options.name)
            print(_describe_key(key))
            _warn_without_keys(api_keys)
    return key


def _operator() -> str:
    """Return the name under which the operator is logged in, "" where there is none."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""


def _warn_without_keys(api_keys: ApiKeyStore) -> None:
    if all(key.revoked_ms for key in api_keys.all()):
        print(
            "This was the last key: every caller who needs one is refused from now on.\n"
            "Create one the same way: keys create NAME",
            file=sys.stderr,
        )


def _print_keys(api_keys: ApiKeyStore, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps([{**asdict(key), "scopes": sorted(key.scopes)} for key in api_keys.all()]))
    else:
        print("\n".join(map(_describe_key, api_keys.all())) or "There are no keys yet.")
