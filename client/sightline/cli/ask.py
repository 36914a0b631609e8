"""The commands `ask` and `watch`: submit a question, follow a job, print its answer."""

from __future__ import annotations

import argparse
import getpass
import os
import re
import sys
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TypeVar, cast

from sightline.cli.terminal import (
    StatusLine,
    UsageError,
    connect,
    image_source,
    is_image,
    print_error,
    print_json,
    print_note,
    progress_line,
    wants_json,
)
from sightline.client import Job
from sightline.errors import APIError, SightlineError
from sightline.jobs import Answer, answer_of
from sightline.types import SubmitOptions

Sent = TypeVar("Sent")

#: Stands for a password that the command asks for.
_ASK = "-"
#: Arguments of the command line that have the name of a submission option.
_OPTIONS = (
    *("model", "wait_for_model"),
    *("preset", "lang", "fields", "session_id", "detail", "max_pixels", "max_new_tokens"),
    *(
        "enable_thinking",
        "max_reasoning_tokens",
        "temperature",
        "seed",
        "stop",
        "postprocess",
        "enhance",
        "tiling",
        "reader",
        "strict",
    ),
    *("phrase", "fuzzy", "boxes", "evidence", "pages", "text_layer", "dpi"),
    *("priority", "deadline_s", "webhook"),
)
#: What is taken for a file and not for a question, whether it exists or not.
_FILE_NAME = re.compile(r"\S+\.(?:png|jpe?g|webp|bmp|tiff?|gif|avif|heic|pdf)", re.IGNORECASE)


def submit_options(args: argparse.Namespace) -> SubmitOptions:
    """Return the submission options that the command line sets."""
    named = {name: getattr(args, name, None) for name in _OPTIONS}
    options = {name: value for name, value in named.items() if value is not None}
    if options.get("enhance") in (["auto"], ["off"]):
        options["enhance"] = options["enhance"][0]
    if (below := getattr(args, "review_below", None)) is not None:
        options["review"] = {"below": below}
    if "temperature" in options:
        options["do_sample"] = True
    return cast("SubmitOptions", options)


def document_password(args: argparse.Namespace) -> str | None:
    """Return the password that documents may need, asking for it where `-` stands for it.

    Raises UsageError if none is given then.
    """
    if args.password != _ASK:
        return args.password or os.environ.get("SIGHTLINE_DOCUMENT_PASSWORD") or None
    with warnings.catch_warnings():
        # without a terminal it is read from standard input, which shows nothing either
        warnings.simplefilter("ignore", getpass.GetPassWarning)
        try:
            return getpass.getpass("Password of the document: ")
        except EOFError:
            raise UsageError("No password was given.") from None


def send_unlocked(send: Callable[..., Sent], password: str | None) -> Sent:
    """Return what `send` gives; it is called again with `password=` if a document needs one.

    It is not sent at once: pictures and documents that are not encrypted are refused with it.
    """
    try:
        return send()
    except APIError as error:
        if error.code != "document_encrypted" or password is None:
            raise
    return send(password=password)


def split_words(args: argparse.Namespace) -> tuple[list[str], str | None]:
    """Return the images and the question, which comes last; a preset may do without one.

    Raises UsageError if the question is missing, or is the name of a file that does not exist.
    """
    *images, last = args.words
    if _FILE_NAME.fullmatch(last) and not is_image(last):
        raise UsageError(f"File not found: {last}.")
    if getattr(args, "preset", None) and is_image(last):
        return [*images, last], None
    if images or not is_image(last):
        return images, last
    raise UsageError(f"No question given for {last}.", f'sightline ask {last} "What does it say?"')


def ask_question(args: argparse.Namespace) -> int:
    """Ask a question and print its answer; return 1 if that is empty, else 0.

    Raises JobFailed, WaitTimeout and UsageError.
    """
    names, question = split_words(args)
    images = [image_source(name) for name in names]
    if not images and not args.session_id:
        print_note(args, "note: no picture was given, so the answer comes from the words alone")
    password = document_password(args)
    with connect(args) as client:
        key = uuid.uuid4().hex
        send = partial(client.submit, question, images, idempotency_key=key, **submit_options(args))
        submit = partial(send_unlocked, send, password)
        if args.no_wait:
            job = submit()
            print_json(args, job.data)
            if not wants_json(args):
                print(job.id)
            return 0
        with _cancel_on_interrupt(submit):
            return follow_job(args, submit(), live=_streams_text(args))


@contextmanager
def _cancel_on_interrupt(submit: Callable[[], Job]) -> Iterator[None]:
    """Cancel the job on Ctrl-C; submitting again finds it by its key, even half submitted."""
    try:
        yield
    except KeyboardInterrupt:
        try:
            job = submit().cancel()
            print_error(f"{job.id} is {job.status}")
        except SightlineError as error:
            print_error(str(error))
        raise


def _streams_text(args: argparse.Namespace) -> bool:
    """Tell whether text is printed as it is generated; with rules it may still change."""
    plain = not getattr(args, "preset", None) and not getattr(args, "postprocess", None)
    return plain and sys.stdout.isatty() and not wants_json(args) and args.timeout is None


def cut_off_note(answer: Answer) -> str:
    """Return the sentence about an answer that was cut off, and what to do."""
    usage = answer.job["usage"] or {}
    tokens = usage.get("completion_tokens", 0)
    at = f" after {tokens} tokens" if tokens else ""
    return f"the answer was cut off{at}; --max-tokens {max(512, 4 * tokens)} allows a longer one"


def follow_job(args: argparse.Namespace, job: Job, *, live: bool) -> int:
    """Wait for a job and print its answer; return 1 if that is empty, else 0.

    `live` prints the text while it is generated. Raises JobFailed and WaitTimeout.
    """
    line = StatusLine(args)
    try:
        if live:
            _print_stream(job, line)
        else:
            job.wait(args.timeout, lambda data: line.put(progress_line(data)))
    finally:
        line.clear()
    print_json(args, job.data)
    answer = answer_of(job.data)
    if not wants_json(args):
        _print_answer(args, answer, live=live)
    if answer.truncated:
        print_note(args, f"note: {cut_off_note(answer)}")
    if answer.text.strip():
        return 0
    print_error("the answer is empty", "Is there text in the picture? Try --detail high.")
    return 1


def _print_answer(args: argparse.Namespace, answer: Answer, *, live: bool) -> None:
    print("" if live else _text_of(answer))
    for name, values in answer.fields.items():
        print_note(args, f"{name}: {', '.join(values) or '–'}")
    for warning in answer.job["warnings"]:
        print_note(args, f"note: {warning['detail']}")


def _text_of(answer: Answer) -> str:
    """Return the text to print; that of several images with the name of each above it."""
    if not answer.images:
        return answer.text
    names = [image.get("name") for image in answer.job["input"]["images"]]
    return "\n\n".join(
        f"[{number}: {name}]\n{text}" if name else f"[{number}]\n{text}"
        for number, (name, text) in enumerate(zip(names, answer.images, strict=True), start=1)
    )


def _print_stream(job: Job, line: StatusLine) -> None:
    started = False
    for event in job.stream():
        if event.text:
            if not started:
                line.clear()
            started = True
            print(event.text, end="", flush=True)
        elif event.type == "output.reset":
            print("\n… restarted:", flush=True)
        elif event.type == "job.progress" and not started:
            line.put(progress_line({"status": "running", "progress": event.data}))


def watch_job(args: argparse.Namespace) -> int:
    """Follow a job from its start to its end; return 1 if its answer is empty, else 0.

    Raises JobFailed.
    """
    with connect(args) as client:
        job = client.job(args.job)
        if wants_json(args):
            for event in job.stream():
                print_json(args, {"seq": event.seq, "type": event.type, "data": event.data})
            return 0 if answer_of(job.data).text.strip() else 1
        return follow_job(args, job, live=not job.ended and sys.stdout.isatty())
