"""What is wrong with the command line of operators is said in two lines."""

from __future__ import annotations

import pytest

from gateway.admin import build_parser


@pytest.mark.parametrize(
    ("words", "command", "complaint"),
    [
        ([], "sightline-admin", "required: area"),
        (["keys", "create"], "sightline-admin keys create", "required: name"),
        (["jobs", "show", "a", "b"], "sightline-admin jobs show", "unrecognized arguments: b"),
        (["keys", "update"], "sightline-admin keys", "invalid choice: 'update'"),
    ],
)
def test_a_wrong_command_line_is_refused_in_two_lines(words, command, complaint, capsys):
    with pytest.raises(SystemExit) as left:
        build_parser().parse_args(words)
    fault, way = capsys.readouterr().err.splitlines()
    assert left.value.code == 2
    assert fault.startswith(f"{command}: ")
    assert complaint in fault
    assert way == f"  Try `{command} --help`."
