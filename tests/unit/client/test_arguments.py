"""What is wrong with a command line is said in two lines, whichever command it is."""

from __future__ import annotations

import argparse

import pytest

from sightline.cli import Exit, main
from sightline.cli.parser import build_parser


def commands(parser, words=()):
    yield words
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, below in action.choices.items():
                yield from commands(below, (*words, name))


COMMANDS = list(commands(build_parser()))


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_refuses_what_it_does_not_know_in_two_lines(words, capsys):
    with pytest.raises(SystemExit) as left:
        main([*words, "--no-such-option"])
    fault, way = capsys.readouterr().err.splitlines()
    name = " ".join(("sightline", *words))
    assert left.value.code == Exit.USAGE
    assert fault.startswith(f"{name}: ")
    assert way == f"  Try `{name} --help`."


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("nosuch",), "invalid choice: 'nosuch'"),
        (("ocr",), "required: FILE"),
        (("ocr", "a.pdf", "--out"), "--out: expected one argument"),
        (("ocr", "a.pdf", "--out", "t", "--parallel", "0"), "'0' is no whole number from 1"),
        (("watch", "job_1", "job_2"), "unrecognized arguments: job_2"),
        (("jobs", "--limit", "-1"), "'-1' is no whole number from 1"),
        (("sessions", "--limit", "many"), "'many' is no whole number from 1"),
        (("webhooks", "listen", "--port", "70000"), "'70000' is no whole number from 0 to 65535"),
    ],
)
def test_a_wrong_argument_is_named(words, complaint, capsys):
    with pytest.raises(SystemExit) as left:
        main(words)
    fault, _ = capsys.readouterr().err.splitlines()
    assert left.value.code == Exit.USAGE
    assert complaint in fault


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("a.png", "b.png"), "Several files need a folder"),
        (("/",), "Several files need a folder"),
        (("a.png", "--format", "pdf"), "A PDF needs a folder"),
    ],
)
def test_texts_that_cannot_be_printed_need_a_folder(words, complaint, capsys):
    assert main(["ocr", *words]) == Exit.USAGE
    fault, way = capsys.readouterr().err.splitlines()
    assert complaint in fault
    assert way.startswith("  sightline ocr ")
    assert "--out texts" in way
