"""Public functions that raise an error themselves say so in their docstrings."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from tests.support.harness import ROOT

Function = ast.FunctionDef | ast.AsyncFunctionDef
#: Others set the rules here: docstrings of routes are descriptions in the OpenAPI document, and the
#: methods of a socket or a network stream raise what its interface says.
EXEMPT = ("gateway/routes/", "gateway/http/server/paced_socket.py", "shared/outbound/dialer.py")


def public_functions(node: ast.Module | ast.ClassDef) -> Iterator[Function]:
    """Yield the public functions of a module, and the public methods of its public classes."""
    for member in node.body:
        if isinstance(member, ast.ClassDef) and not member.name.startswith("_"):
            yield from public_functions(member)
        elif isinstance(member, Function) and not member.name.startswith("_"):
            yield member


def raised_names(node: ast.AST) -> Iterator[str]:
    """Yield the classes that a function raises by name, without those of inner functions."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Raise):
            error = child.exc.func if isinstance(child.exc, ast.Call) else child.exc
            name = error.attr if isinstance(error, ast.Attribute) else getattr(error, "id", "")
            if name[:1].isupper():
                yield name
        if not isinstance(child, Function | ast.Lambda | ast.ClassDef):
            yield from raised_names(child)


def unmentioned_errors(source: str) -> list[str]:
    """Return `function: error` for each error that the docstring of its function conceals."""
    return [
        f"{function.name}: {name}"
        for function in public_functions(ast.parse(source))
        for name in sorted(set(raised_names(function)))
        if not re.search(rf"(?i:\braises?\b)|\b{name}\b", ast.get_docstring(function) or "")
    ]


@pytest.mark.parametrize("folder", ["client", "shared", "gateway", "worker"])
def test_a_public_function_names_the_errors_that_it_raises(folder):
    paths = [path.relative_to(ROOT).as_posix() for path in (ROOT / folder).rglob("*.py")]
    errors = {
        path: unmentioned_errors((ROOT / path).read_text(encoding="utf-8"))
        for path in paths
        if not path.startswith(EXEMPT)
    }
    assert {path: lines for path, lines in errors.items() if lines} == {}


@pytest.mark.parametrize(
    ("source", "errors"),
    [
        ("def f():\n 'Do it.'\n raise KeyError(1)", ["f: KeyError"]),
        ("async def f():\n if x:\n  raise module.Gone from None", ["f: Gone"]),
        ("class A:\n def f(self):\n  'Do it.'\n  raise KeyError", ["f: KeyError"]),
        ("def f():\n 'Do it; raises a subclass of LookupError.'\n raise KeyError", []),
        ("def f():\n 'Do it, or fail with KeyError.'\n raise KeyError", []),
        ("def f(error):\n 'Pass it on.'\n raise error", []),
        ("def f():\n def g():\n  raise KeyError\n return g", []),
        ("def _f():\n raise KeyError", []),
        ("class _A:\n def f(self):\n  raise KeyError", []),
    ],
)
def test_the_errors_of_public_functions_are_noticed(source, errors):
    assert unmentioned_errors(source) == errors
