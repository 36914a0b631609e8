"""Cheap looks at the members of a request, before its model looks at each of them."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from functools import cache
from types import NoneType
from typing import Any, get_args

from pydantic import AliasChoices, AliasPath, BaseModel

from shared.errors import BadParameters
from shared.excerpt import excerpt

#: So many unknown members, and characters of their names, are left to the model, which says first
#: what is wrong with the known ones.
_MOST_UNKNOWN = 100
_MOST_NAME_CHARS = 1000
#: No word of an enumeration is as long; a longer text would be quoted as a whole in an error.
_MOST_WORD_CHARS = 1000


def refuse_strange_members(fields: dict[str, Any], model: type[BaseModel]) -> None:
    """Raise BadParameters for far too many unknown members, or one with a very long name."""
    if model.model_config.get("extra") != "forbid":
        return
    unknown = [name for name in fields if name not in _known_names(model)]
    strange = len(unknown) > _MOST_UNKNOWN
    if strange or any(len(name) > _MOST_NAME_CHARS for name in unknown):
        name = excerpt(unknown[0])
        raise BadParameters(f"Unknown parameter: {name}.", pointer=f"/{name}")


def cut_words(fields: dict[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    """Return the members; a text that is no word of its enumeration is cut to what errors quote."""
    cut = {name: _cut_word(fields[name]) for name in _enumerations(model) & fields.keys()}
    return fields | cut


def drop_nulls(fields: dict[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    """Return the members without those that are null and never may be: they say nothing.

    Programs that write out all parameters send null for each that has no value.
    """
    never = _never_null(model)
    return {name: value for name, value in fields.items() if value is not None or name not in never}


def _cut_word(value: Any) -> Any:
    if isinstance(value, str):
        return value[:_MOST_WORD_CHARS]
    return [_cut_word(part) for part in value] if isinstance(value, list) else value


@cache
def _known_names(model: type[BaseModel]) -> frozenset[str]:
    fields = model.model_fields
    aliases = [field.alias for field in fields.values() if field.alias]
    return frozenset([*fields, *aliases])


@cache
def _never_null(model: type[BaseModel]) -> frozenset[str]:
    """Return all names of the fields that do not take null."""
    names: set[str] = set()
    for name, field in model.model_fields.items():
        if NoneType not in _parts(field.annotation) and not field.is_required():
            names |= {name, *_other_names(field.validation_alias)}
    return frozenset(names)


def _other_names(alias: str | AliasPath | AliasChoices | None) -> Iterator[str]:
    choices = alias.choices if isinstance(alias, AliasChoices) else [alias]
    yield from (name for name in choices if isinstance(name, str))


@cache
def _enumerations(model: type[BaseModel]) -> frozenset[str]:
    """Return the fields that take words of an enumeration, or lists of them."""
    return frozenset(
        name
        for name, field in model.model_fields.items()
        if any(
            isinstance(part, type) and issubclass(part, Enum) for part in _parts(field.annotation)
        )
    )


def _parts(annotation: Any) -> Iterator[Any]:
    yield annotation
    for part in get_args(annotation):
        yield from _parts(part)
