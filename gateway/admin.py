"""`sightline-admin`: makes, lists, changes, rotates and revokes API keys."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict

from shared.errors import OutcomeUnknown, StoreUnavailable
from shared.jobs.view import timestamp
from shared.settings import Settings
from shared.store.api_key_store import DEFAULT, MAX_WEIGHT, ApiKey, ApiKeyError, ApiKeyStore
from shared.store.connection import connect

_DAY_S = 86_400
_UNKNOWN = (
    "Redis did not confirm the change: see with `keys list` whether it was made. A new secret that "
    "was not printed is lost; rotate or create it again."
)
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


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(prog="sightline-admin", description=__doc__)
    areas = parser.add_subparsers(dest="area", required=True)
    actions = areas.add_parser("keys", help="API keys").add_subparsers(dest="action", required=True)
    create = actions.add_parser("create", help="create a key; its secret is shown once")
    change = actions.add_parser("set", help="change the limits or weight of a key")
    rotate = actions.add_parser("rotate", help="create a second secret; the old one expires")
    revoke = actions.add_parser("revoke", help="revoke a key with all its secrets, immediately")
    for action in (create, change, rotate, revoke):
        action.add_argument("name", help="name or ID of the key")
    for action in (create, change):
        for option, meaning in _LIMITS.values():
            action.add_argument(option, type=_parse_limit, metavar="N", help=meaning)
        action.add_argument(
            "--weight",
            type=_parse_weight,
            metavar="N",
            help="turns for each turn of other keys (1)",
        )
    rotate.add_argument(
        "--overlap",
        type=_parse_duration,
        default=_DAY_S,
        metavar="TIME",
        help="how long the old secret stays valid, such as 30m or 1d (1d)",
    )
    shown = actions.add_parser("list", help="show every key and its limits")
    shown.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _chosen_limits(options: argparse.Namespace) -> dict[str, int | None]:
    return {
        name: getattr(options, option[2:].replace("-", "_"))
        for name, (option, _) in _LIMITS.items()
    }


def _describe_key(key: ApiKey) -> str:
    state = "revoked" if key.revoked_ms else f"created {timestamp(key.created_ms)}"
    limits = ", ".join(
        f"{name} {'default' if value is None else value or 'no limit'}"
        for name, value in key.limits.items()
    )
    secrets = ", ".join(
        f"…{end}" + ("" if left is None else f" for {left:.0f} s more") for end, left in key.secrets
    )
    return (
        f"{key.name}  {key.id}  {state}\n  weight {key.weight}; {limits}\n"
        f"  secrets: {secrets or 'none'}"
    )


def _print_secret(secret: str, description: str) -> None:
    """Print the secret alone to stdout, for programs, and the rest to stderr."""
    print(description, file=sys.stderr)
    print("This secret is shown only once; save it:", file=sys.stderr)
    print(secret)


def _run_action(options: argparse.Namespace, api_keys: ApiKeyStore) -> None:
    match options.action:
        case "create":
            limits, weight = _chosen_limits(options), options.weight or 1
            key, secret = api_keys.create(options.name, limits, weight)
            _print_secret(secret, _describe_key(key))
        case "rotate":
            secret = api_keys.rotate(options.name, options.overlap)
            _print_secret(secret, _describe_key(api_keys.get(options.name)))
        case "set":
            key = api_keys.change(options.name, _chosen_limits(options), options.weight)
            print(_describe_key(key))
        case "revoke":
            print(_describe_key(api_keys.revoke(options.name)))
            _warn_without_keys(api_keys)
        case _:
            _print_keys(api_keys, as_json=options.json)


def _warn_without_keys(api_keys: ApiKeyStore) -> None:
    if all(key.revoked_ms for key in api_keys.all()):
        print(
            "This was the last key: every caller who needs one is refused from now on.\n"
            "Create one the same way: keys create NAME",
            file=sys.stderr,
        )


def _print_keys(api_keys: ApiKeyStore, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps([asdict(key) for key in api_keys.all()]))
    else:
        print("\n".join(map(_describe_key, api_keys.all())) or "There are no keys yet.")


def run(arguments: Sequence[str], settings: Settings) -> int:
    """Do what the arguments say in the Redis of the settings; return the exit code."""
    options = build_parser().parse_args(arguments)
    client = connect(settings)
    try:
        _run_action(options, ApiKeyStore(client))
    except OutcomeUnknown:
        print(f"sightline-admin: {_UNKNOWN}", file=sys.stderr)
        return 1
    except (ApiKeyError, StoreUnavailable) as error:
        print(f"sightline-admin: {error}", file=sys.stderr)
        return 1
    finally:
        client.close()
    return 0


def main() -> int:
    """Return the exit code of `sightline-admin`."""
    return run(sys.argv[1:], Settings())


if __name__ == "__main__":
    sys.exit(main())
