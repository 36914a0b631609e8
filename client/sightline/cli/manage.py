"""The commands `jobs`, `show`, `cancel`, `retry`, `sessions` and `estimate`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import Any

from sightline.cli.ask import (
    document_password,
    follow_job,
    send_unlocked,
    split_words,
    submit_options,
)
from sightline.cli.terminal import (
    UsageError,
    connect,
    format_age,
    image_source,
    print_error,
    print_json,
    print_note,
    print_table,
    shorten,
    wants_json,
)
from sightline.client import Client, Job
from sightline.errors import NotCancelable
from sightline.types import JobData, SessionData

#: Characters of the columns of a list.
_FILE_CHARS, _QUESTION_CHARS, _ANSWER_CHARS = 20, 28, 36


def list_jobs(args: argparse.Namespace) -> None:
    """List jobs, newest first; those that only computed an image in advance with --all."""
    with connect(args) as client:
        jobs = islice(_questions(args, client), args.limit)
        if wants_json(args):
            for job in jobs:
                print_json(args, job.data)
            return
        rows = [_row(job) for job in jobs]
    if rows:
        print_table([("JOB", "STATUS", "AGE", "FILE", "QUESTION", "ANSWER"), *rows])
    else:
        print_note(args, "no jobs")


def _questions(args: argparse.Namespace, client: Client) -> Iterator[Job]:
    jobs = client.jobs(
        status=args.status,
        session_id=args.session_id,
        limit=None,
        whole=wants_json(args),
    )
    return (job for job in jobs if args.all or job.data["input"].get("kind") != "warm_up")


def _row(job: Job) -> tuple[str, ...]:
    data = job.data
    return (
        job.id,
        job.status,
        format_age(data["created_at"]),
        shorten(", ".join(_file_names(data)), _FILE_CHARS),
        shorten(_question(data), _QUESTION_CHARS),
        shorten(_outcome(job), _ANSWER_CHARS),
    )


def _file_names(job: JobData) -> list[str]:
    """Return the names of the files that were sent; of pictures without one, how many."""
    document = job["input"].get("document") or {}
    images = job["input"].get("images") or []
    names = [name for name in (document.get("name"), *(i.get("name") for i in images)) if name]
    unnamed = len(images) + bool(document) - len(names)
    return [*names, *([f"{unnamed} unnamed"] if unnamed else [])]


def _question(job: JobData) -> str:
    """Return the preset, or else the question."""
    return job["input"].get("preset") or job["input"].get("question") or ""


def _outcome(job: Job) -> str:
    error = job.data["error"]
    return f"{error['code']}: {error['message']}" if error else job.text


def show_job(args: argparse.Namespace) -> None:
    """Print what is known of a job, its answer last."""
    with connect(args) as client:
        job = client.job(args.job)
    print_json(args, job.data)
    if wants_json(args):
        return
    for name, value in _facts(job.data):
        print(f"{name + ':':<11}{value}")
    if job.text:
        print(f"\n{job.text}")


def _facts(job: JobData) -> Iterator[tuple[str, str]]:
    """Yield the lines about a job, each a name and a value."""
    yield "job", job["id"]
    yield "status", job["status"]
    yield "submitted", f"{job['created_at']} ({format_age(job['created_at'])} ago)"
    if job["completed_at"]:
        yield "ended", job["completed_at"]
    asked = {
        "files": ", ".join(_file_names(job)),
        "preset" if job["input"].get("preset") else "question": _question(job),
        "session": job["session_id"],
    }
    yield from ((name, value) for name, value in asked.items() if value)
    # pages whose own text is taken cost none
    if (used := job["usage"]) and any(used.values()):
        yield "tokens", f"{used['prompt_tokens']} read, {used['completion_tokens']} written"
    if review := job.get("review"):
        left = f", {len(review['pointers'] or ())} places" if review["state"] == "open" else ""
        yield "review", review["state"] + left
    for warning in job["warnings"]:
        yield "warning", warning["detail"]
    if error := job["error"]:
        yield "error", f"{error['code']}: {error['message']} {error.get('hint') or ''}".rstrip()


def retry_job(args: argparse.Namespace) -> int:
    """Run a job again that ended without an answer; print the new answer, or with --no-wait its id.

    Returns 1 if the answer is empty, else 0; raises JobFailed and WaitTimeout.
    """
    with connect(args) as client:
        job = client.job(args.job).retry()
        if not args.no_wait:
            print_note(args, f"{job.id} runs it again")
            return follow_job(args, job, live=False)
    print_json(args, job.data)
    if not wants_json(args):
        print(job.id)
    return 0


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
    """List conversations, print one, or delete some; raises UsageError."""
    deletes = args.delete or args.words[:1] == ["delete"]
    names = args.words[1:] if args.words[:1] == ["delete"] else args.words
    if deletes and not names:
        raise UsageError("No conversation given.", "sightline sessions delete ID")
    if len(names) > 1 and not deletes:
        raise UsageError("Only one conversation can be shown at a time.")
    with connect(args) as client:
        if not names:
            _print_sessions(args, client.sessions(limit=args.limit))
        elif deletes:
            for name in names:
                client.session(name).delete()
        else:
            _print_session(args, client.session(names[0]).read())


def _print_session(args: argparse.Namespace, session: SessionData) -> None:
    print_json(args, session)
    if wants_json(args):
        return
    for turn in session["turns"]:
        images = f" [{len(turn['images'])} images]" if turn["images"] else ""
        # a message that was added may stand alone
        asked = f"> {turn['prompt']}{images}\n" if turn["prompt"] or images else ""
        print(f"{asked}{turn['text']}\n")


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
    password = document_password(args)
    with connect(args) as client:
        prompt = None if getattr(args, "preset", None) else question
        images = [image_source(name) for name in names]
        estimate = partial(client.estimate, prompt, images, **submit_options(args))
        cost = send_unlocked(estimate, password)
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
