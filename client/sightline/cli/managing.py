"""Looking at jobs, conversations and costs, and stopping what runs."""

from __future__ import annotations

import argparse
from typing import Any

from sightline.cli.asking import options, words
from sightline.cli.terminal import (
    UsageError,
    ago,
    complain,
    connect,
    image,
    say,
    show,
    table,
    wants_json,
)
from sightline.errors import NotCancelable

_SHOWN_CHARS = 48


def jobs(args: argparse.Namespace) -> None:
    """List jobs, newest first."""
    with connect(args) as client:
        found = client.jobs(status=args.status, session_id=args.session_id, limit=args.limit)
        if wants_json(args):
            for job in found:
                show(args, job.data)
            return
        rows = [
            (job.id, job.status, ago(job.data["created_at"]), _short(job.text)) for job in found
        ]
    if rows:
        table([("JOB", "STATUS", "AGE", "ANSWER"), *rows])
    else:
        say(args, "no jobs")


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN_CHARS else line[: _SHOWN_CHARS - 1] + "…"


def cancel(args: argparse.Namespace) -> int:
    """Stop jobs; one that has ended already is told, and the exit status 1."""
    missed = 0
    with connect(args) as client:
        for job_id in args.jobs:
            try:
                job = client.job(job_id).cancel()
            except NotCancelable as error:
                complain(f"{job_id}: {error.detail}")
                missed = 1
                continue
            show(args, job.data)
            if not wants_json(args):
                print(f"{job.id} {job.status}")
    return missed


def sessions(args: argparse.Namespace) -> None:
    """List conversations, read one, or forget one."""
    with connect(args) as client:
        if args.session is None:
            if args.delete:
                raise UsageError("No conversation given.", "sightline sessions ID --delete")
            _list(args, client.sessions(limit=args.limit))
        elif args.delete:
            client.session(args.session).delete()
        else:
            told = client.session(args.session).read()
            show(args, told)
            if not wants_json(args):
                for turn in told["turns"]:
                    pictures = f" [{len(turn['images'])} images]" if turn["images"] else ""
                    print(f"> {turn['prompt']}{pictures}\n{turn['text']}\n")


def _list(args: argparse.Namespace, found: list[Any]) -> None:
    if wants_json(args):
        for one in found:
            show(args, one)
    elif found:
        rows = [(one["id"], ago(one["updated_at"]), one["busy"] or "") for one in found]
        table([("SESSION", "LAST USED", "BUSY WITH"), *rows])
    else:
        say(args, "no conversations")


def estimate(args: argparse.Namespace) -> None:
    """Tell what a question would cost."""
    if len(args.words) == 1:
        names, question = args.words, "?"
    else:
        names, asked = words(args)
        question = asked or "?"
    with connect(args) as client:
        prompt = None if getattr(args, "preset", None) else question
        told = client.estimate(prompt, [image(name) for name in names], **options(args))
    show(args, told)
    if wants_json(args):
        return
    for one in told["images"]:
        used = "x".join(map(str, one["used"]))
        print(f"{one['width']}x{one['height']} scaled to {used}: {one['tokens']} visual tokens")
    seconds, queue = told["seconds"], told["queue"]
    wait = f", {queue['wait_s']:.0f} s" if queue["wait_s"] is not None else ""
    print(f"queue: {queue['position']} ahead{wait}")
    if seconds:
        print(f"answer in {seconds['p50']:.1f} s, 95 % within {seconds['p95']:.1f} s")
    else:
        print("no worker has measured its speed yet")
    if told["refusal"]:
        refusal = told["refusal"]
        print(f"would be refused now ({refusal['code']}): {refusal['detail']}")
