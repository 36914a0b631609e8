"""What an operator sets of a key, as options of `keys create` and `keys set`."""

from __future__ import annotations

import argparse
from typing import Literal

from shared.addresses import Policy
from shared.errors import UrlNotAllowed
from shared.outbound.client import parse_target
from shared.settings import Settings
from shared.store.access.api_key_types import (
    BUDGETS,
    DEFAULT,
    MAX_WEIGHT,
    SCOPES,
    ApiKeyError,
    KeyTerms,
)
from shared.webhooks import Webhook

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


def _parse_budget(text: str) -> int:
    if text == "default":
        return DEFAULT
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise argparse.ArgumentTypeError("a whole number, or default for no budget")
    return int(text)


def _parse_weight(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MAX_WEIGHT:
        raise argparse.ArgumentTypeError(f"a whole number between 1 and {MAX_WEIGHT}")
    return int(text)


def parse_duration(text: str) -> int:
    """Return the seconds of a time such as 90s, 30m or 1d; raises ArgumentTypeError."""
    number, unit = (text[:-1], text[-1]) if text[-1:].isalpha() else (text, "s")
    factor = {"s": 1, "m": 60, "h": 3600, "d": _DAY_S}.get(unit)
    if factor is None or not number.isascii() or not number.isdigit() or len(number) > 9:
        raise argparse.ArgumentTypeError("seconds, or a number with s, m, h or d")
    return int(number) * factor


def _parse_retention(text: str) -> int:
    if text == "default":
        return DEFAULT
    seconds = parse_duration(text)
    if seconds < _MIN_RETENTION_S:
        raise argparse.ArgumentTypeError(f"at least {_MIN_RETENTION_S} seconds, or default")
    return seconds


def add_terms(action: argparse.ArgumentParser) -> None:
    """Add the options that say what a key may do and use."""
    for option, meaning in _LIMITS.values():
        action.add_argument(option, type=_parse_limit, metavar="N", help=meaning)
    action.add_argument(
        "--weight",
        type=_parse_weight,
        metavar="N",
        help="turns for each turn of other keys (1)",
    )
    for kind in BUDGETS:
        action.add_argument(
            f"--budget-{kind}",
            type=_parse_budget,
            metavar="N",
            help=f"{kind} that may be used in a month, or default for any number",
        )
    action.add_argument(
        "--budget-webhook",
        metavar="URL",
        help="who is told when 80 %% and all of a budget are used, or none",
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


def chosen_terms(options: argparse.Namespace, settings: Settings) -> KeyTerms:
    """Return what the options set of a key; raises ApiKeyError."""
    limits = {
        name: getattr(options, option[2:].replace("-", "_"))
        for name, (option, _) in _LIMITS.items()
    }
    scopes = frozenset(options.scopes) if options.scopes else None
    budgets = {kind: getattr(options, f"budget_{kind}") for kind in BUDGETS}
    return KeyTerms(
        limits,
        options.weight,
        scopes,
        options.retention,
        budgets,
        _read_webhook(options.budget_webhook, settings),
    )


def _read_webhook(url: str | None, settings: Settings) -> Webhook | Literal[""] | None:
    if url is None:
        return None
    if url == "none":
        return ""
    try:
        return Webhook(
            url, parse_target(url, Policy.parse(settings.allow_nets, settings.allow_ports)).origin
        )
    except UrlNotAllowed as error:
        raise ApiKeyError(f"--budget-webhook: {error.detail}") from None
