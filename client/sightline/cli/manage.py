"""The commands `jobs`, `cancel`, `sessions` and `estimate`."""

from __future__ import annotations

import argparse
from typing import Any

from sightline.cli.ask import split_words, submit_options
from sightline.cli.terminal import (
    UsageError,
    connect,
    format_age,
    image_source,
    print_error,
    print_json,
    print_note,
    print_table,
    wants_json,
)
from sightline.errors import NotCancelable

_SHOWN_CHARS = 48


def list_jobs(args: argparse.Namespace) -> None:
    """List jobs, newest first."""
    with connect(args) as client:
        jobs = client.jobs(
            status=args.status, session_id=args.session_id, limit=args.limit, whole=wants_json(args)
        )
        if wants_json(args):
            for job in jobs:
                print_json(args, job.data)
            return
        rows = [
            (job.id, job.status, format_age(job.data["created_at"]), _shorten(job.text))
            for job in jobs
        ]
    if rows:
        print_table([("JOB", "STATUS", "AGE", "ANSWER"), *rows])
    else:
        print_note(args, "no jobs")


def _shorten(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN_CHARS else line[: _SHOWN_CHARS - 1] + "…"


def cancel_jobs(args: argparse.Namespace) -> int:
    """Cancel jobs; return 1 if one had ended already, else 0."""
    status = 0
    with connect(args) as client:
        for job_id in args.jobs:
            try:
                job = client.job(job_id).cancel()
            except NotCancelable as error:
                print_error(f"{job_id}: {error.detail}")
                status = 1
                continue
            print_json(args, job.data)
            if not wants_json(args):
                print(f"{job.id} {job.status}")
    return status


def show_sessions(args: argparse.Namespace) -> None:
    """List conversations, print one, or delete one; raises UsageError."""
    with connect(args) as client:
        if args.session is None:
            if args.delete:
                raise UsageError("No conversation given.", "sightline sessions ID --delete")
            _print_sessions(args, client.sessions(limit=args.limit))
        elif args.delete:
            client.session(args.session).delete()
        else:
            session = client.session(args.session).read()
            print_json(args, session)
            if not wants_json(args):
                for turn in session["turns"]:
                    images = f" [{len(turn['images'])} images]" if turn["images"] else ""
                    print(f"> {turn['prompt']}{images}\n{turn['text']}\n")


def _print_sessions(args: argparse.Namespace, sessions: list[Any]) -> None:
    if wants_json(args):
        for session in sessions:
            print_json(args, session)
    elif sessions:
        rows = [(row["id"], format_age(row["updated_at"]), row["busy"] or "") for row in sessions]
        print_table([("SESSION", "LAST USED", "BUSY WITH"), *rows])
    else:
        print_note(args, "no conversations")


def estimate_cost(args: argparse.Namespace) -> None:
    """Print what a question would cost; raises UsageError."""
    if len(args.words) == 1:
        names, question = args.words, "?"
    else:
        names, prompt = split_words(args)
        question = prompt or "?"
    with connect(args) as client:
        prompt = None if getattr(args, "preset", None) else question
        cost = client.estimate(
            prompt, [image_source(name) for name in names], **submit_options(args)
        )
    print_json(args, cost)
    if wants_json(args):
        return
    for image in cost["images"]:
        used = "x".join(map(str, image["used"]))
        size = f"{image['width']}x{image['height']}"
        print(f"{size} scaled to {used}: {image['tokens']} visual tokens")
    seconds, queue = cost["seconds"], cost["queue"]
    wait = f", {queue['wait_s']:.0f} s" if queue["wait_s"] is not None else ""
    print(f"queue: {queue['position']} ahead{wait}")
    if seconds:
        print(f"answer in {seconds['p50']:.1f} s, 95 % within {seconds['p95']:.1f} s")
    else:
        print("no worker has measured its speed yet")
    if cost["refusal"]:
        refusal = cost["refusal"]
        print(f"would be refused now ({refusal['code']}): {refusal['detail']}")
