"""Asking one question and following one job."""

from __future__ import annotations

import argparse
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import cast

from sightline.cli.terminal import (
    StatusLine,
    UsageError,
    complain,
    connect,
    image,
    is_image,
    progress_line,
    say,
    show,
    wants_json,
)
from sightline.client import Job
from sightline.errors import SightlineError
from sightline.jobs import answer_of
from sightline.types import SubmitOptions

#: Words of the command line that are options of a submission under the same name.
_OPTIONS = (
    *("preset", "lang", "fields", "session_id", "detail", "max_pixels", "max_new_tokens"),
    *("temperature", "seed", "stop", "postprocess", "enhance", "tiling", "strict"),
    *("priority", "deadline_s", "webhook"),
)


def options(args: argparse.Namespace) -> SubmitOptions:
    """Return the options of a submission that the command line names."""
    given = {name: getattr(args, name, None) for name in _OPTIONS}
    told = {name: value for name, value in given.items() if value is not None}
    if told.get("enhance") in (["auto"], ["off"]):
        told["enhance"] = told["enhance"][0]
    if "temperature" in told:
        told["do_sample"] = True
    return cast("SubmitOptions", told)


def words(args: argparse.Namespace) -> tuple[list[str], str | None]:
    """Part images from the question, which comes last and which a preset may do without."""
    *images, last = args.words
    if getattr(args, "preset", None) and is_image(last):
        return [*images, last], None
    if images or not is_image(last):
        return images, last
    raise UsageError(f"No question given for {last}.", f'sightline ask {last} "What does it say?"')


def ask(args: argparse.Namespace) -> None:
    """Ask a question and print its answer."""
    names, question = words(args)
    images = [image(name) for name in names]
    with connect(args) as client:
        key = uuid.uuid4().hex
        submit = partial(client.submit, question, images, idempotency_key=key, **options(args))
        if args.no_wait:
            job = submit()
            show(args, job.data)
            if not wants_json(args):
                print(job.id)
            return
        with _canceling(submit):
            follow(args, submit(), live=_live(args))


@contextmanager
def _canceling(submit: Callable[[], Job]) -> Iterator[None]:
    """Stop a job that nobody waits for any more; asking again finds it, even half submitted."""
    try:
        yield
    except KeyboardInterrupt:
        try:
            job = submit().cancel()
            complain(f"{job.id} is {job.status}")
        except SightlineError as error:
            complain(str(error))
        raise


def _live(args: argparse.Namespace) -> bool:
    """Tell whether words are shown as they come: rules may change them in the end."""
    plain = not getattr(args, "preset", None) and not getattr(args, "postprocess", None)
    return plain and sys.stdout.isatty() and not wants_json(args) and args.timeout is None


def follow(args: argparse.Namespace, job: Job, *, live: bool) -> None:
    """Wait for a job and print its answer; raises JobFailed."""
    line = StatusLine(args)
    try:
        if live:
            _stream(job, line)
        else:
            job.wait(args.timeout, lambda seen: line.put(progress_line(seen)))
    finally:
        line.clear()
    show(args, job.data)
    answer = answer_of(job.data)
    if not wants_json(args):
        print("" if live else answer.text)
        for name, values in answer.fields.items():
            say(args, f"{name}: {', '.join(values) or '–'}")
        for warning in job.data["warnings"]:
            say(args, f"note: {warning['detail']}")


def _stream(job: Job, line: StatusLine) -> None:
    begun = False
    for event in job.stream():
        if event.text:
            if not begun:
                line.clear()
            begun = True
            print(event.text, end="", flush=True)
        elif event.type == "output.reset":
            print("\n… restarted:", flush=True)
        elif event.type == "job.progress" and not begun:
            line.put(progress_line({"status": "running", "progress": event.data}))


def watch(args: argparse.Namespace) -> None:
    """Follow a job to its end, from its beginning."""
    with connect(args) as client:
        job = client.job(args.job)
        if wants_json(args):
            for event in job.stream():
                show(args, {"seq": event.seq, "type": event.type, "data": event.data})
            answer_of(job.data)
        elif job.ended:
            follow(args, job, live=False)
        else:
            follow(args, job, live=sys.stdout.isatty())
