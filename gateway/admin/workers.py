"""The workers at the command line: `sightline-admin workers`."""

from __future__ import annotations

import argparse
import json
from typing import Any

from gateway.admin.table import print_table
from gateway.audit import AuditLog
from gateway.responses.views.operations import starting_detail, worker_detail
from shared.errors import NotFound
from shared.long_steps import HowFar
from shared.store.fleet.starting_workers import StartingWorker, StartingWorkers
from shared.store.fleet.worker_registry import WorkerRegistry

_COLUMNS = ("id", "state", "model", "numerics", "busy", "s/job", "tokens/s", "memory", "version")
_STARTING = ("without a model", "state", "model", "what it does, or why it gave up")

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
    options: argparse.Namespace,
    registry: WorkerRegistry,
    starting: StartingWorkers,
    audit: AuditLog,
    operator: str,
) -> None:
    """Do what the options say; raises ServiceError."""
    fresh = registry.fresh()
    known = [worker.id for worker in fresh]
    if options.action == "list":
        drained = registry.drained(known)
        workers = [worker_detail(one, drained=one.id in drained) for one in fresh]
        _print_workers(workers, starting.list_all(), options.json)
        return
    if missing := [one for one in options.ids if one not in known]:
        raise NotFound(f"No worker {missing[0]} sends heartbeats.")
    for worker_id in options.ids:
        (registry.drain if options.action == "drain" else registry.resume)(worker_id)
        print(f"{worker_id} {_DONE[options.action]}")
        audit.note(f"worker.{options.action}", worker=worker_id, operator=operator)


def _print_workers(
    workers: list[dict[str, Any]], starting: list[StartingWorker], as_json: bool
) -> None:
    if as_json:
        listed = {"data": workers, "starting": list(map(starting_detail, starting))}
        print(json.dumps(listed, ensure_ascii=False))
        return
    if workers:
        print_table([_COLUMNS, *map(_cells, workers)], left=4)
    else:
        print("No worker sends heartbeats.")
    if starting:
        print_table([_STARTING, *map(_starting_cells, starting)], left=len(_STARTING))


def _starting_cells(worker: StartingWorker) -> tuple[str, ...]:
    if not worker.goes_on:
        return worker.name, "gave up", worker.model, f"{worker.problem}: {worker.reason}"
    percent = worker.percent
    how_far = None if percent is None else HowFar(percent / 100, worker.seconds_left)
    state = f"{worker.step} ({how_far})" if how_far else worker.step
    return worker.name, "starting", worker.model, state


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
