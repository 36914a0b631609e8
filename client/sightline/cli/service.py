"""The commands `status` and `presets`: what the service is doing, and what it offers."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from sightline.cli.terminal import (
    UsageError,
    connect,
    print_error,
    print_json,
    print_note,
    print_table,
    shorten,
    wants_json,
)

if TYPE_CHECKING:
    from sightline.types import (
        ModelData,
        ModelQueue,
        PresetData,
        QueueData,
        StartingData,
        WorkerData,
    )

_DESCRIPTION_CHARS = 60


def show_status(args: argparse.Namespace) -> int:
    """Print the load, the workers and their models; return 1 without a worker, else 0."""
    with connect(args) as client:
        queue, models = client.queue(), client.models()
    print_json(args, {"queue": queue, "models": models})
    if not wants_json(args):
        _print_load(queue)
        _print_models(models, queue)
        _print_workers(queue["workers"])
        _print_starting(queue.get("starting", []))
    if any(not worker["draining"] for worker in queue["workers"]):
        return 0
    print_error("no worker is running", "Jobs wait until one starts.")
    return 1


def show_usage(args: argparse.Namespace) -> int:
    """Print what a key has used, by day or month."""
    with connect(args) as client:
        report = client.usage(first=args.first, last=args.last, by=args.by, key=args.key)
    print_json(args, report)
    if wants_json(args):
        return 0
    if not report["data"]:
        print_note(args, f"nothing was used from {report['from']} to {report['to']}")
        return 0
    names = (
        "period",
        "key",
        "jobs",
        "failed",
        "images",
        "pages",
        "prompt tokens",
        "tokens",
        "seconds",
    )
    rows = [
        (
            *(row["period"], row["key"], str(row["jobs"]), str(row["failed"])),
            *(str(row["images"]), str(row["pages"]), str(row["prompt_tokens"])),
            *(str(row["completion_tokens"]), f"{row['work_s']:.1f}"),
        )
        for row in report["data"]
    ]
    print_table([names, *rows])
    return 0


def _print_load(queue: QueueData) -> None:
    waited = f", the oldest for {queue['oldest_wait_s']:.0f} s" if queue["queued"] else ""
    # an older service does not tell it
    wait_s = queue.get("wait_s")
    new = f"; a new job would start in about {wait_s:.0f} s" if wait_s else ""
    print(f"{queue['running']} running, {queue['queued']} waiting{waited}{new}")


def _print_models(models: list[ModelData], queue: QueueData) -> None:
    # an older service does not tell them apart
    loads = {load["model"]: load for load in queue.get("models", [])}
    for model in models:
        about = "for tests and first steps" if model["demo"] else model["numerics"]
        own = loads.get(model["id"]) if len(loads) > 1 else None
        work = _describe(own) if own else ""
        print(f"model {model['id']} ({about}), computed by {model['arithmetic']}{work}")
    for name, load in loads.items():
        if not load["workers"]:
            print(f"model {name} has no worker{_describe(load)}")


def _describe(load: ModelQueue) -> str:
    wait_s = load["wait_s"]
    new = f", a new job would start in about {wait_s:.0f} s" if wait_s else ""
    return f": {load['running']} running, {load['queued']} waiting{new}"


def _print_workers(workers: list[WorkerData]) -> None:
    if not workers:
        return
    rows = [
        (
            worker["id"],
            worker["model"],
            "stopping" if worker["draining"] else f"{worker['busy']} of {worker['slots']} busy",
            f"{worker['seconds_per_job']:.1f} s" if worker["seconds_per_job"] else "–",
        )
        for worker in workers
    ]
    print_table([("WORKER", "MODEL", "SLOTS", "A JOB TAKES"), *rows])


def _print_starting(workers: list[StartingData]) -> None:
    for worker in workers:
        if worker["problem"]:
            print(f"a worker for {worker['model']} could not start ({worker['problem']})")
            continue
        percent = worker["percent"]
        how_far = "" if percent is None else f", {percent} %"
        print(f"a worker for {worker['model']} is starting: {worker['step']}{how_far}")


def show_presets(args: argparse.Namespace) -> None:
    """List the presets, or print one with its prompts and parameters; raises UsageError."""
    with connect(args) as client:
        presets = client.presets()
    if args.preset:
        presets = [preset for preset in presets if preset["name"] == args.preset]
        if not presets:
            raise UsageError(f"Unknown preset {args.preset}.", "`sightline presets` lists them.")
    for preset in presets:
        print_json(args, preset)
    if wants_json(args):
        return
    if not presets:
        print_note(args, "no presets")
    elif args.preset:
        _print_preset(presets[0])
    else:
        rows = [(p["name"], ", ".join(p["needs"]), _summary(p)) for p in presets]
        print_table([("PRESET", "NEEDS", "WHAT IT DOES"), *rows])


def _summary(preset: PresetData) -> str:
    return shorten(preset["description"], _DESCRIPTION_CHARS)


def _print_preset(preset: PresetData) -> None:
    print(f"{preset['name']}: {preset['description']}")
    for language, prompt in preset["prompt"].items():
        print(f"  {language}: {prompt}")
    for name, value in preset["params"].items():
        if value not in (None, [], {}):
            print(f"  {name}: {value}")
    if preset["postprocess"]:
        print(f"  postprocess: {', '.join(preset['postprocess'])}")
