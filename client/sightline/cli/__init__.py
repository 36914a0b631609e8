"""Runs the command `sightline`: reports errors and chooses the exit status."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from enum import IntEnum

from sightline.cli.parser import build_parser
from sightline.cli.terminal import UsageError, print_error
from sightline.errors import (
    APIError,
    JobFailed,
    NoConnection,
    SightlineError,
    UnexpectedAnswer,
    WaitTimeout,
)


class Exit(IntEnum):
    """Exit statuses of the command."""

    OK = 0
    #: A job failed, was canceled or expired; of many files, at least one was not read.
    FAILED = 1
    #: The command line is wrong, or a file that it names cannot be used.
    USAGE = 2
    #: The service refused the request.
    REFUSED = 3
    #: No response came, or not from Sightline.
    NO_CONNECTION = 4
    #: --timeout expired; the job keeps running.
    TIMEOUT = 5
    INTERRUPTED = 130


_EXITS: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], Exit], ...] = (
    ((UsageError, OSError), Exit.USAGE),
    (JobFailed, Exit.FAILED),
    (APIError, Exit.REFUSED),
    ((NoConnection, UnexpectedAnswer), Exit.NO_CONNECTION),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status. Raises the error again under --debug."""
    args = build_parser().parse_args(arguments)
    try:
        return int(args.run(args) or Exit.OK)
    except KeyboardInterrupt:
        print_error("interrupted")
        return Exit.INTERRUPTED
    except BrokenPipeError:
        # the reader of our output has gone: nothing more may be written at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.OK
    except WaitTimeout as error:
        print_error(str(error), hint=f"sightline watch {error.job['id']}")
        return Exit.TIMEOUT
    except (SightlineError, UsageError, OSError) as error:
        return _report_error(error, args)


def _report_error(error: Exception, args: argparse.Namespace) -> int:
    if isinstance(error, (APIError, JobFailed)):
        print_error(f"{error.code}: {error.detail}", hint=_hint(error))
    elif isinstance(error, NoConnection):
        print_error(
            str(error),
            hint="Is it running? Start it with `make up`, or set --url or SIGHTLINE_URL.",
        )
    else:
        print_error(str(error), hint=getattr(error, "hint", ""))
    if getattr(args, "debug", False):
        raise error
    return next((code for kinds, code in _EXITS if isinstance(error, kinds)), Exit.FAILED)


def _hint(error: APIError | JobFailed) -> str:
    if error.code in ("url_not_allowed", "url_fetch_failed"):
        if (getattr(error, "pointer", None) or "").startswith("/images"):
            return f"{error.hint} Or download it yourself: curl -s URL | sightline ask - …"
        return f"{error.hint} To allow this machine: SIGHTLINE_ALLOW_NETS=127.0.0.0/8 make up"
    if error.code == "unauthorized":
        return "Set SIGHTLINE_API_KEY to your key."
    if error.code == "document_encrypted":
        return "Give its password with --password - or in SIGHTLINE_DOCUMENT_PASSWORD."
    return error.hint


__all__ = ["Exit", "main"]
