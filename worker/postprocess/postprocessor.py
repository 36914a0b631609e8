"""What is done to an answer after the model: rules in order, each cleans the text or extracts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from shared.catalog.rules import BUILT_IN, CustomRule, RuleBook
from shared.constraints.regex import Budget, RuleFailed, compile_pattern, replace_lone_surrogates
from shared.jobs import Notice
from worker.postprocess import cleaning, contacts, dates, identity, json_fields, money, tables

_Clean = Callable[[str, Budget], str]
_Extract = Callable[[str, Budget], Iterator[str]]

CLEANERS: Mapping[str, _Clean] = {
    "whitespace": cleaning.whitespace,
    "fullwidth": cleaning.fullwidth,
    "markdown_table": tables.markdown_table,
}
EXTRACTORS: Mapping[str, _Extract] = {
    "cn_phone": contacts.phones,
    "email": contacts.emails,
    "date": dates.dates,
    "amount": money.amounts,
    "cn_id_card": identity.id_cards,
    "bank_card": identity.bank_cards,
}
_FIELDS = {rule.name: rule.field for rule in BUILT_IN if rule.field}


@dataclass(frozen=True, slots=True)
class Processed:
    """An answer after the rules."""

    text: str
    #: Values by field, in order of appearance and without doubles; [] where none was found.
    fields: dict[str, list[str]]
    #: Rules that could not be followed.
    notices: tuple[Notice, ...] = ()


class Postprocessor:
    """Applies rules by name; threads may share it."""

    def __init__(self, book: RuleBook) -> None:
        self._custom = book.custom

    def process(self, text: str, names: Sequence[str]) -> Processed:
        """Apply the named rules in order; one that cannot be followed is told and left out."""
        if not names:
            return Processed(text, {})
        answer = _Answer(replace_lone_surrogates(text), Budget())
        notices = []
        for name in names:
            act = self._act(name)
            if act is None:
                notices.append(_left_out(name, "this worker does not know it"))
                continue
            try:
                act(answer)
            except RuleFailed as error:
                notices.append(_left_out(name, str(error)))
        return Processed(answer.text, answer.fields, tuple(notices))

    def _act(self, name: str) -> Callable[[_Answer], None] | None:
        if name in CLEANERS:
            return partial(_clean, CLEANERS[name])
        if name in EXTRACTORS:
            return partial(_extract, _FIELDS[name], EXTRACTORS[name])
        if name == "json_fields":
            return _take_members
        rule = self._custom.get(name)
        return partial(_apply_custom, rule) if rule else None


@dataclass(slots=True)
class _Answer:
    """An answer on its way through the rules."""

    text: str
    budget: Budget
    fields: dict[str, list[str]] = field(default_factory=dict)

    def take(self, name: str, values: Sequence[str]) -> None:
        """Add values to a field, each once."""
        self.fields[name] = list(dict.fromkeys([*self.fields.get(name, []), *values]))


# a rule that runs out of its budget changes nothing: all is found before anything is taken


def _clean(act: _Clean, answer: _Answer) -> None:
    answer.text = act(answer.text, answer.budget)


def _extract(name: str, act: _Extract, answer: _Answer) -> None:
    answer.take(name, list(act(answer.text, answer.budget)))


def _take_members(answer: _Answer) -> None:
    for name, values in json_fields.json_fields(answer.text, answer.budget):
        answer.take(name, values)


def _apply_custom(rule: CustomRule, answer: _Answer) -> None:
    pattern = compile_pattern(rule.pattern)
    if rule.field is None:
        answer.text = pattern.replace(answer.text, rule.replacement or "", answer.budget)
        return
    matches = pattern.find_matches(answer.text, answer.budget)
    values = [(found.groups[0] if found.groups else found.whole) or "" for found in matches]
    answer.take(rule.field, [value for value in values if value])


def _left_out(name: str, cause: str) -> Notice:
    return Notice(code="rule_left_out", detail=f"The rule {name} was left out: {cause}.")
