"""The jobs of all keys at the command line: `sightline-admin jobs`."""

from __future__ import annotations

import argparse
import json
from typing import Any

from gateway.admin.table import print_table
from gateway.audit import AuditLog
from gateway.responses.views.operations import board_view
from gateway.services import Services
from gateway.submission.resubmit import retry_for_operator
from shared.errors import NotCancelable
from shared.settings import Settings
from shared.store import Store
from shared.store.access.api_key_store import ApiKeyStore
from shared.store.operations.job_board import JobBoard, JobSummary, Place, Standing, Wanted

_COLUMNS = ("id", "status", "key", "kind", "model", "age_s", "size", "worker", "done", "reason")


def add_parsers(area: argparse.ArgumentParser) -> None:
    """Add the actions of `jobs`."""
    actions = area.add_subparsers(dest="action", required=True)
    listed = actions.add_parser("list", help="list jobs of all keys by status")
    listed.add_argument("--status", choices=[*Standing], default="running", help="(running)")
    listed.add_argument("--key", help="name or ID of the key, or anonymous")
    listed.add_argument("--model", help="name of the model")
    listed.add_argument("--worker", metavar="ID", help="ID of the worker")
    listed.add_argument("--code", help="code of the error that they failed with")
    listed.add_argument("--most", type=int, default=50, metavar="N", help="jobs at most (50)")
    shown = actions.add_parser("show", help="show one job without its content")
    cancel = actions.add_parser("cancel", help="cancel jobs that have not ended")
    retry = actions.add_parser("retry", help="submit failed, expired or canceled jobs once more")
    shown.add_argument("id", help="ID of the job")
    for action in (cancel, retry):
        action.add_argument("ids", nargs="+", metavar="id", help="ID of a job")
    for action in (listed, shown):
        action.add_argument("--json", action="store_true", help="print JSON")


def run_action(
    options: argparse.Namespace, store: Store, audit: AuditLog, settings: Settings, operator: str
) -> None:
    """Do what the options say; raises ServiceError and ApiKeyError."""
    board, api_keys = JobBoard(store.redis), ApiKeyStore(store.redis)
    match options.action:
        case "list":
            _print_jobs(_listed(options, board, api_keys), board, api_keys, options)
        case "show":
            _print_jobs([board.get(options.id)], board, api_keys, options)
        case "retry":
            services = Services.build(settings)
            for job_id in options.ids:
                owner = board.get(job_id).tenant
                made = retry_for_operator(services.store.get(job_id, owner), services, {})
                print(f"{job_id} retried as {made}")
                audit.note("job.retry", job_id=job_id, owner=owner, made=made, operator=operator)
        case _:
            for job_id in options.ids:
                owner = board.get(job_id).tenant
                print(f"{job_id} {_cancel(store, job_id, owner)}")
                audit.note("job.cancel", job_id=job_id, owner=owner, operator=operator)


def _cancel(store: Store, job_id: str, owner: str) -> str:
    outcome = store.cancel(job_id, owner)
    if outcome not in ("canceled", "canceling"):
        raise NotCancelable(f"The job {job_id} is already {outcome}.")
    return outcome


def _listed(
    options: argparse.Namespace, board: JobBoard, api_keys: ApiKeyStore
) -> list[JobSummary]:
    tenant = next(iter(api_keys.tenants(options.key))) if options.key else None
    wanted = Wanted(tenant, options.model, options.worker, options.code)
    jobs: list[JobSummary] = []
    after: Place | None = None
    while len(jobs) < options.most:
        page = board.page(Standing(options.status), wanted, after, options.most - len(jobs))
        jobs += page.jobs
        if page.next is None:
            break
        after = page.next
    return jobs


def _print_jobs(
    jobs: list[JobSummary], board: JobBoard, api_keys: ApiKeyStore, options: argparse.Namespace
) -> None:
    names, now_ms = api_keys.names({job.tenant for job in jobs}), board.now_ms()
    views = [board_view(job, names, now_ms) for job in jobs]
    if options.json:
        print(json.dumps(views, ensure_ascii=False))
    elif views:
        print_table([_COLUMNS, *map(_cells, views)], left=len(_COLUMNS))
    else:
        print("There are no such jobs.")


def _cells(view: dict[str, Any]) -> tuple[str, ...]:
    size, reason = view["size"], view["reason"]
    parts = ", ".join(f"{size[name]} {name}" for name in ("images", "pages") if size[name])
    tokens = (size["prompt_tokens"] or 0) + (size["completion_tokens"] or 0)
    done = "" if view["percent"] is None else f"{view['stage']} {view['percent']} %"
    return (
        *(view["id"], view["status"], view["key"], view["kind"], view["model"]),
        f"{view['age_s']:.0f}",
        parts or (f"{tokens} tokens" if tokens else "-"),
        *(view["worker"] or "-", done or "-", reason["code"] if reason else "-"),
    )
