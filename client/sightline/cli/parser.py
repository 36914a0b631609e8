"""The commands and options of the command line, as one argparse parser."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from sightline._version import __version__
from sightline.cli.arguments import CommandParser, port_number, positive_number
from sightline.cli.completion import SCRIPTS, complete

EPILOG = """exit status: 0 success; 1 a job failed, was canceled or expired, or its answer is empty,
or find found nothing; 2 wrong command line or file; 3 the service refused the request;
4 no connection; 5 --timeout expired; 130 interrupted.
Set the server address in SIGHTLINE_URL and your key in SIGHTLINE_API_KEY."""

_IMAGES = "files, http(s) URLs that the service fetches, IDs img_…, or - for standard input"


def build_parser() -> argparse.ArgumentParser:
    """Return the parser; the namespace that it returns has `run`, which runs the command."""
    parser = CommandParser(
        prog="sightline",
        description="Ask questions about images.",
        epilog=EPILOG,
        parents=[_common_options()],
    )
    parser.add_argument("--version", action="version", version=f"sightline {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_ask(commands)
    _add_ocr(commands)
    _add_find(commands)
    _add_jobs(commands)
    _add_batch(commands)
    _add_sessions(commands)
    _add_estimate(commands)
    _add_service(commands)
    _add_webhooks(commands)
    _add_mcp(commands)
    complete_words = partial(complete, parser)
    shell = _add_command(
        commands, "completion", complete_words, "print a shell's completion script"
    )
    shell.add_argument("shell", choices=[*SCRIPTS, "words"], metavar="{bash,zsh,fish}")
    shell.add_argument("words", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return parser


def _common_options() -> argparse.ArgumentParser:
    """Return the options that may stand before and after a command."""
    parser = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    parser.add_argument(
        "--url", help="server address (default: SIGHTLINE_URL, or what `make up` runs here)"
    )
    parser.add_argument("--api-key", help="visible in the process list; prefer SIGHTLINE_API_KEY")
    parser.add_argument("--json", action="store_true", help="print JSON, one object per line")
    parser.add_argument("-q", "--quiet", action="store_true", help="print only answers and errors")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def _import_later(module: str, name: str) -> Callable[[argparse.Namespace], Any]:
    """Return a command that is imported when it runs: --help and completion stay fast."""

    def run(args: argparse.Namespace) -> Any:
        return getattr(importlib.import_module(f"sightline.cli.{module}"), name)(args)

    return run


def _add_command(
    commands: Any, name: str, run: Callable[[argparse.Namespace], Any], summary: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        parents=[_common_options()],
    )
    parser.set_defaults(run=run)
    return parser


def _add_model_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", metavar="NAME", help="model that answers (see `status`)")
    parser.add_argument(
        "--wait-for-model",
        action="store_true",
        default=None,
        help="wait for a worker of the model if none is running",
    )


def _add_password(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--password",
        metavar="TEXT",
        help="password of an encrypted document, - to be asked for it; others see one that stands "
        "here, so prefer - or SIGHTLINE_DOCUMENT_PASSWORD",
    )


def _add_question_options(parser: argparse.ArgumentParser, *, preset: str | None = None) -> None:
    _add_model_options(parser)
    parser.add_argument("--preset", default=preset, help="preset name (see `sightline presets`)")
    parser.add_argument("--lang", choices=["en", "zh"], help="language of the preset's prompt")
    parser.add_argument(
        "--fields", nargs="+", metavar="NAME", help="names of the fields to read (preset `fields`)"
    )
    parser.add_argument("--detail", choices=["auto", "low", "high"], help="pixel budget by name")
    parser.add_argument("--max-pixels", type=int, metavar="N", help="pixel budget of each image")
    parser.add_argument(
        "--max-tokens",
        type=int,
        metavar="N",
        dest="max_new_tokens",
        help="maximum length of the answer (default: 512; 2048 where text is read)",
    )
    parser.add_argument(
        "--thinking",
        action=argparse.BooleanOptionalAction,
        dest="enable_thinking",
        help="let a model that can think do so before it answers, or not (default: as it is made)",
    )
    parser.add_argument(
        "--max-thinking",
        type=int,
        metavar="N",
        dest="max_reasoning_tokens",
        help="maximum tokens of the thinking (default: 2048)",
    )
    parser.add_argument("--temperature", type=float, metavar="T", help="sampling temperature")
    parser.add_argument("--seed", type=int, metavar="N", help="random seed")
    parser.add_argument(
        "--stop", action="append", metavar="TEXT", help="stop before this text; may be repeated"
    )
    parser.add_argument(
        "--postprocess", nargs="+", metavar="RULE", help="rules to run on the answer"
    )
    parser.add_argument(
        "--enhance", nargs="+", metavar="STEP", help="auto, off, or steps such as deskew"
    )
    parser.add_argument(
        "--tiling",
        choices=["auto", "off", "read", "ask"],
        help="how to cut a long image into tiles",
    )
    parser.add_argument(
        "--reader",
        choices=["model", "second", "both"],
        help="what reads the text: the model, the small second reader, or both, compared",
    )
    parser.add_argument(
        "--boxes",
        choices=["none", "line", "word"],
        help="whether output.lines of --json tells where lines, or words too, stand",
    )
    parser.add_argument(
        "--evidence",
        action="store_true",
        default=None,
        help="whether output.evidence of --json tells where the values of a JSON answer stand",
    )
    parser.add_argument(
        "--review-below",
        type=float,
        metavar="P",
        help="list in output.review of --json what is less sure than P (see `sightline review`)",
    )
    _add_password(parser)
    parser.add_argument("--pages", metavar="LIST", help="pages of a document, such as 1-3,7,-1")
    parser.add_argument(
        "--text-layer",
        choices=["auto", "only", "ignore"],
        help="whether a page's own text stands for its picture (default: auto)",
    )
    parser.add_argument("--dpi", type=int, metavar="N", help="pixels per inch of drawn pages (150)")
    parser.add_argument(
        "--strict", action="store_true", default=None, help="fail if a tile cannot be read"
    )
    parser.add_argument(
        "--priority", choices=["high", "default", "low"], help="priority among your own jobs"
    )


def _add_ask(commands: Any) -> None:
    parser = _add_command(
        commands,
        "ask",
        _import_later("ask", "ask_question"),
        "ask a question and wait for the answer",
    )
    parser.add_argument(
        "words", nargs="+", metavar="IMAGE… QUESTION", help=f"images ({_IMAGES}), then the question"
    )
    _add_question_options(parser)
    parser.add_argument(
        "--session", dest="session_id", metavar="ID", help="continue a conversation"
    )
    parser.add_argument(
        "--deadline",
        type=float,
        dest="deadline_s",
        metavar="S",
        help="drop the job if it hasn't finished after S seconds",
    )
    parser.add_argument("--webhook", metavar="URL", help="URL to notify when the job ends")
    parser.add_argument("--timeout", type=float, metavar="S", help="maximum wait, seconds")
    parser.add_argument("--no-wait", action="store_true", help="print the job's ID and exit")
    watch = _add_command(
        commands, "watch", _import_later("ask", "watch_job"), "follow a job until it ends"
    )
    watch.add_argument("job", metavar="JOB")
    watch.add_argument("--timeout", type=float, metavar="S", help="maximum wait, seconds")


def _add_ocr(commands: Any) -> None:
    parser = _add_command(
        commands,
        "ocr",
        _import_later("ocr", "read_files"),
        "print the text of a file, or read many into a folder; resumes when run again",
    )
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="images, PDFs, or folders with them"
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="output folder; without it the text of one file is printed",
    )
    parser.add_argument(
        "--format",
        choices=["txt", "md", "json", "pdf", "hocr"],
        default="txt",
        help="output format (default: txt); pdf is searchable, hocr for archives",
    )
    parser.add_argument("--prompt", help="your own prompt for the preset")
    parser.add_argument(
        "--parallel", type=positive_number, default=4, metavar="N", help="files at a time (4)"
    )
    parser.add_argument(
        "--force", action="store_true", help="read files again that are already done"
    )
    _add_question_options(parser, preset="ocr")


def _add_find(commands: Any) -> None:
    parser = _add_command(
        commands,
        "find",
        _import_later("find", "find_in_files"),
        "find where words are printed and where things are",
    )
    parser.add_argument("images", nargs="+", metavar="FILE", help=f"PDFs or images: {_IMAGES}")
    parser.add_argument(
        "--label",
        action="append",
        dest="labels",
        metavar="X",
        help="a word that is printed, or the name of a thing; may be repeated",
    )
    _add_model_options(parser)
    parser.add_argument("--phrase", metavar="TEXT", help="a phrase, in place of labels")
    parser.add_argument(
        "--fuzzy", action="store_true", default=None, help="also take text that is much alike"
    )
    parser.add_argument(
        "--format",
        choices=["table", "json", "csv"],
        default="table",
        help="output format (default: table); json is one object for each file",
    )
    parser.add_argument(
        "--reader",
        choices=["model", "second", "both"],
        help="what looks: the model, the text that is read, or the text and then the model",
    )
    _add_password(parser)
    parser.add_argument("--pages", metavar="LIST", help="pages of a document, such as 1-3,7,-1")
    parser.add_argument(
        "--text-layer",
        choices=["auto", "only", "ignore"],
        help="whether a page's own text stands for its picture (default: auto)",
    )
    parser.add_argument("--enhance", nargs="+", metavar="STEP", help="auto, off, or steps")
    parser.add_argument("--lang", choices=["en", "zh"], help="language of prompt and summary")
    parser.add_argument("--timeout", type=float, metavar="S", help="maximum wait for a file")


def _add_limit(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--limit",
        type=positive_number,
        default=20,
        metavar="N",
        help="maximum number (default: 20)",
    )


def _add_jobs(commands: Any) -> None:
    parser = _add_command(
        commands, "jobs", _import_later("manage", "list_jobs"), "list jobs, newest first"
    )
    parser.add_argument(
        "--status", choices=["queued", "running", "succeeded", "failed", "canceled", "expired"]
    )
    parser.add_argument(
        "--session", dest="session_id", metavar="ID", help="only jobs of this conversation"
    )
    _add_limit(parser)
    parser.add_argument(
        "--all", action="store_true", help="also those that only computed an image in advance"
    )
    show = _add_command(
        commands, "show", _import_later("manage", "show_job"), "show a job and its answer"
    )
    show.add_argument("job", metavar="JOB")
    retry = _add_command(
        commands, "retry", _import_later("manage", "retry_job"), "run a job again and wait for it"
    )
    retry.add_argument("job", metavar="JOB")
    retry.add_argument("--timeout", type=float, metavar="S", help="maximum wait, seconds")
    retry.add_argument("--no-wait", action="store_true", help="print the new job's ID and exit")
    cancel = _add_command(commands, "cancel", _import_later("manage", "cancel_jobs"), "cancel jobs")
    cancel.add_argument("jobs", nargs="+", metavar="JOB")
    _add_review(commands)


def _add_review(commands: Any) -> None:
    review = _add_command(
        commands,
        "review",
        _import_later("review", "review_job"),
        "list what of an answer a person should look at, and correct it",
    )
    review.add_argument("job", metavar="JOB")
    review.add_argument(
        "--set",
        action="append",
        metavar="POINTER=VALUE",
        help="correct a text or value, such as /lines/3/text=Total; may be repeated",
    )
    review.add_argument(
        "--confirm", action="append", metavar="POINTER", help="mark as right; may be repeated"
    )
    review.add_argument("--reviewer", metavar="NAME", help="name of the reviewer")


def _add_batch(commands: Any) -> None:
    summary = "run a file of requests as jobs, and fetch their results"
    parser = commands.add_parser(
        "batch", help=summary, description=summary[0].upper() + summary[1:] + "."
    )
    below = parser.add_subparsers(required=True, metavar="COMMAND")
    run = _add_command(
        below, "run", _import_later("batch", "run_batch"), "run the lines of a file and wait"
    )
    run.add_argument("file", metavar="FILE", help="a request on each line, in OpenAI's form")
    run.add_argument(
        "--window",
        default="24h",
        metavar="TIME",
        help="requests that are not done by then expire (24h)",
    )
    wait = _add_command(
        below, "wait", _import_later("batch", "wait_for_batch"), "wait for a batch that runs"
    )
    wait.add_argument("batch", metavar="BATCH")
    for command in (run, wait):
        command.add_argument(
            "--out", type=Path, required=True, metavar="FILE", help="file for the answers"
        )
        command.add_argument("--timeout", type=float, metavar="S", help="maximum wait, seconds")


def _add_sessions(commands: Any) -> None:
    parser = _add_command(
        commands,
        "sessions",
        _import_later("manage", "show_sessions"),
        "list conversations, show one, or delete some",
    )
    parser.add_argument(
        "words",
        nargs="*",
        metavar="[delete] ID",
        help="a conversation to show, or several to delete",
    )
    parser.add_argument("--delete", action="store_true", help="the same as `sessions delete`")
    _add_limit(parser)


def _add_estimate(commands: Any) -> None:
    parser = _add_command(
        commands,
        "estimate",
        _import_later("manage", "estimate_cost"),
        "estimate the cost of a question",
    )
    parser.add_argument(
        "words", nargs="+", metavar="IMAGE… [QUESTION]", help=f"images ({_IMAGES}), a question"
    )
    _add_question_options(parser)


def _add_service(commands: Any) -> None:
    presets = _add_command(
        commands,
        "presets",
        _import_later("service", "show_presets"),
        "list the presets, or show one",
    )
    presets.add_argument("preset", nargs="?", metavar="NAME")
    _add_command(
        commands,
        "status",
        _import_later("service", "show_status"),
        "show the load, the models and the workers",
    )

    usage = _add_command(
        commands,
        "usage",
        _import_later("service", "show_usage"),
        "sum up what your key has used",
    )
    usage.add_argument("--from", dest="first", metavar="DAY", help="first day (of this month)")
    usage.add_argument("--to", dest="last", metavar="DAY", help="last day (today), in UTC")
    usage.add_argument("--by", choices=["day", "month"], default="day", help="sums by (day)")
    usage.add_argument("--key", metavar="NAME", help="another key, or all; needs the scope admin")


def _add_webhooks(commands: Any) -> None:
    parser = commands.add_parser(
        "webhooks",
        help="receive webhooks here, and show what was sent",
        description="Receive webhooks here, and show what was sent.",
    )
    below = parser.add_subparsers(required=True, metavar="COMMAND")
    listen = _add_command(
        below, "listen", _import_later("webhooks", "listen"), "receive and print webhooks"
    )
    listen.add_argument(
        "--host",
        default="127.0.0.1",
        metavar="NAME",
        help="address to listen on (default: loopback)",
    )
    listen.add_argument(
        "--port",
        type=port_number,
        default=8080,
        metavar="N",
        help="port to listen on (default: 8080)",
    )
    listen.add_argument(
        "--secret", action="append", metavar="whsec_…", help="signing secret; may be repeated"
    )
    listen.add_argument("--rotate", action="store_true", help="create a new signing secret")
    listen.add_argument("--test", action="store_true", help="request a test message")
    listen.add_argument("--count", type=positive_number, metavar="N", help="exit after N messages")
    test = _add_command(
        below, "test", _import_later("webhooks", "send_test"), "send a test message to a URL"
    )
    test.add_argument("to", metavar="URL")
    deliveries = _add_command(
        below, "deliveries", _import_later("webhooks", "show_deliveries"), "show a job's deliveries"
    )
    deliveries.add_argument("job", metavar="JOB")
    replay = _add_command(
        below, "replay", _import_later("webhooks", "replay_deliveries"), "resend deliveries"
    )
    replay.add_argument("delivery", nargs="?", metavar="DELIVERY")
    replay.add_argument("--since", metavar="TIME", help="all that failed since this time, RFC 3339")
    secret = _add_command(
        below, "secret", _import_later("webhooks", "show_secret"), "print the signing secret, once"
    )
    secret.add_argument("--rotate", action="store_true", help="create a new one")


def _add_mcp(commands: Any) -> None:
    parser = _add_command(
        commands,
        "mcp",
        _import_later("mcp_tools", "serve_tools"),
        "serve tools for language models on standard input (needs sightline[mcp])",
    )
    parser.add_argument(
        "--folder",
        action="append",
        metavar="DIR",
        help="only files below it may be read (default: all); may be repeated",
    )
    parser.add_argument("--model", metavar="NAME", help="model that answers (see `status`)")
