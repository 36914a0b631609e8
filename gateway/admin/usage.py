"""What keys have used, as a table or as CSV: `sightline-admin usage`."""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterator
from datetime import date

from gateway.admin.table import print_table
from shared.store.access.api_key_store import ApiKeyStore
from shared.store.access.api_key_types import ALL, ApiKeyError
from shared.store.access.usage_store import Usage, UsageStore, days_asked, periods_between

_COLUMNS = ("key", "period", *(name for name in Usage.model_fields if name != "work_ms"), "work_s")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `usage`."""
    parser.add_argument("key", nargs="?", help="name or ID of one key, or anonymous (all keys)")
    for option, meaning in (("from", "first day (of this month)"), ("to", "last day (today)")):
        parser.add_argument(
            f"--{option}",
            dest=f"{option}_day",
            type=_parse_day,
            metavar="DAY",
            help=f"{meaning}, in UTC, such as 2026-11-28",
        )
    parser.add_argument("--by", choices=("day", "month"), default="day", help="sums by (day)")
    parser.add_argument("--csv", action="store_true", help="print CSV")


def print_usage(options: argparse.Namespace, store: UsageStore, api_keys: ApiKeyStore) -> None:
    """Print the periods in which keys have used anything; raises ApiKeyError."""
    try:
        first, last = days_asked(options.from_day, options.to_day, store.today())
    except ValueError as error:
        raise ApiKeyError(str(error)) from None
    rows = list(_rows(options, store, api_keys, periods_between(first, last, options.by)))
    if options.csv:
        csv.writer(sys.stdout, lineterminator="\n").writerows([_COLUMNS, *rows])
    elif rows:
        print_table([_COLUMNS, *rows], left=2)
    else:
        print("Nothing was used in this time.")


def _rows(
    options: argparse.Namespace, store: UsageStore, api_keys: ApiKeyStore, periods: list[str]
) -> Iterator[tuple[str, ...]]:
    for tenant, name in api_keys.tenants(options.key or ALL).items():
        for period, used in store.read(tenant, periods).items():
            if used.jobs:
                counts = used.model_dump(exclude={"work_ms"}).values()
                yield (name, period, *map(str, counts), f"{used.work_ms / 1000:.3f}")


def _parse_day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError("a day such as 2026-11-28") from None
