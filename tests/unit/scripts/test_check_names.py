"""The check that refuses names which say nothing about what they hold."""

from __future__ import annotations

import ast

import pytest

from scripts import check_names


@pytest.mark.parametrize(
    "source",
    [
        "told = 1",
        "told: int",
        "told += 1",
        "told, rest = pair",
        "[*told] = pair",
        "self.told = 1",
        "_told = __told = 1",
        "if told := 1: pass",
        "for told in (): pass",
        "with open(path) as told: pass",
        "[told for told in ()]",
        "def told(): pass",
        "async def told(): pass",
        "class told: pass",
        "def f(told): pass",
        "def f(*told): pass",
        "def f(*, told): pass",
        "lambda told: 1",
        "import module as told",
        "from module import name as told",
        "match pair:\n case told: pass",
        "match pair:\n case [*told]: pass",
        "match pair:\n case {**told}: pass",
        "try: pass\nexcept OSError as told: pass",
    ],
)
def test_every_way_to_bind_a_name_is_seen(source):
    names = [name.strip("_") for name, line in check_names.bound_names(ast.parse(source)) if line]
    assert "told" in names


@pytest.mark.parametrize(
    "source",
    [
        "print(told)",
        "row['told'] = 1",
        "call(told=1)",
        "text = 'told'  # told",
        "from module import told",
        "told_at = teller = retold = 1",
    ],
)
def test_uses_strings_and_longer_names_are_left_alone(source):
    names = {name for name, _ in check_names.bound_names(ast.parse(source))}
    assert not {name.lstrip("_") for name in names} & check_names.BANNED


def test_an_error_names_the_file_the_line_and_the_name(tmp_path, monkeypatch):
    monkeypatch.setattr(check_names, "ROOT", tmp_path)
    file = tmp_path / "module.py"
    file.write_text("payload = 1\n\n\ndef answer(__who):\n    _found = __who\n", encoding="utf-8")
    assert check_names.errors_in(file) == [
        "module.py:4: `__who` does not say what it holds",
        "module.py:5: `_found` does not say what it holds",
    ]
    file.write_text("tenant = service = match = 1\n", encoding="utf-8")
    assert check_names.errors_in(file) == []
