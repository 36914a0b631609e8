"""The workers at the command line: `sightline-admin workers`."""

from __future__ import annotations

import argparse
import json
from typing import Any

from gateway.admin.table import print_table
from gateway.audit import AuditLog
from gateway.responses.views.operations import worker_detail
from shared.errors import NotFound
from shared.store.fleet.worker_registry import WorkerRegistry

_COLUMNS = ("id", "state", "model", "numerics", "busy", "s/job", "tokens/s", "memory", "version")

_DONE = {"drain": "drained", "resume": "resumed"}


def add_parsers(area: argparse.ArgumentParser) -> None:
    """Add the actions of `workers`."""
    actions = area.add_subparsers(dest="action", required=True)
    listed = actions.add_parser("list", help="list the workers that send heartbeats")
    listed.add_argument("--json", action="store_true", help="print JSON")
    drain = actions.add_parser("drain", help="let workers finish what they have and take no more")
    resume = actions.add_parser("resume", help="let drained workers take jobs again")
    for action in (drain, resume):
        action.add_argument("ids", nargs="+", metavar="id", help="ID of a worker")


def run_action(
    options: argparse.Namespace, registry: WorkerRegistry, audit: AuditLog, operator: str
) -> None:
    """Do what the options say; raises ServiceError."""
    fresh = registry.fresh()
    known = [worker.id for worker in fresh]
    if options.action == "list":
        drained = registry.drained(known)
        _print_workers(
            [worker_detail(one, drained=one.id in drained) for one in fresh], options.json
        )
        return
    if missing := [one for one in options.ids if one not in known]:
        raise NotFound(f"No worker {missing[0]} sends heartbeats.")
    for worker_id in options.ids:
        (registry.drain if options.action == "drain" else registry.resume)(worker_id)
        print(f"{worker_id} {_DONE[options.action]}")
        audit.note(f"worker.{options.action}", worker=worker_id, operator=operator)


def _print_workers(workers: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        print(json.dumps(workers, ensure_ascii=False))
    elif workers:
        print_table([_COLUMNS, *map(_cells, workers)], left=4)
    else:
        print("No worker sends heartbeats.")


def _cells(worker: dict[str, Any]) -> tuple[str, ...]:
    state = "drained" if worker["drained"] else "stopping" if worker["draining"] else "ready"
    return (
        *(worker["id"], state, worker["model"], worker["numerics"]),
        f"{worker['busy']}/{worker['slots']}",
        f"{worker['seconds_per_job']:.2f}",
        f"{worker['decode_tokens_per_s']:.1f}",
        f"{worker['memory_bytes'] / 2**30:.1f} GiB",
        worker["version"],
    )
