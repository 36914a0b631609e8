"""Applies rules to an answer in order: each cleans its text or extracts fields from it."""

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
    "whitespace": cleaning.clean_whitespace,
    "fullwidth": cleaning.narrow_fullwidth,
    "markdown_table": tables.repair_tables,
}
EXTRACTORS: Mapping[str, _Extract] = {
    "cn_phone": contacts.find_phones,
    "email": contacts.find_emails,
    "date": dates.find_dates,
    "amount": money.find_amounts,
    "cn_id_card": identity.find_id_cards,
    "bank_card": identity.find_bank_cards,
}
_FIELDS = {rule.name: rule.field for rule in BUILT_IN if rule.field}


@dataclass(frozen=True, slots=True)
class Processed:
    """An answer after the rules."""

    text: str
    #: Values by field, in order of appearance, each once; [] where there are none.
    fields: dict[str, list[str]]
    #: Rules that were left out.
    notices: tuple[Notice, ...] = ()


class Postprocessor:
    """Applies rules by name; threads may share it."""

    def __init__(self, book: RuleBook) -> None:
        self._custom = book.custom

    def process(self, text: str, names: Sequence[str]) -> Processed:
        """Apply the named rules in order; one that fails is left out with a notice."""
        if not names:
            return Processed(text, {})
        answer = _Answer(replace_lone_surrogates(text), Budget())
        notices = []
        for name in names:
            apply_rule = self._find_rule(name)
            if apply_rule is None:
                notices.append(_left_out_notice(name, "unknown to this worker"))
                continue
            try:
                apply_rule(answer)
            except RuleFailed as error:
                notices.append(_left_out_notice(name, str(error)))
        return Processed(answer.text, answer.fields, tuple(notices))

    def _find_rule(self, name: str) -> Callable[[_Answer], None] | None:
        if name in CLEANERS:
            return partial(_clean, CLEANERS[name])
        if name in EXTRACTORS:
            return partial(_extract, _FIELDS[name], EXTRACTORS[name])
        if name == "json_fields":
            return _add_members
        rule = self._custom.get(name)
        return partial(_apply_custom, rule) if rule else None


@dataclass(slots=True)
class _Answer:
    """An answer on its way through the rules."""

    text: str
    budget: Budget
    fields: dict[str, list[str]] = field(default_factory=dict)

    def add(self, name: str, values: Sequence[str]) -> None:
        """Add values to a field, each once."""
        self.fields[name] = list(dict.fromkeys([*self.fields.get(name, []), *values]))


# a rule that runs out of its budget changes nothing: everything is searched before a field is set


def _clean(clean: _Clean, answer: _Answer) -> None:
    answer.text = clean(answer.text, answer.budget)


def _extract(name: str, extract: _Extract, answer: _Answer) -> None:
    answer.add(name, list(extract(answer.text, answer.budget)))


def _add_members(answer: _Answer) -> None:
    for name, values in json_fields.read_json_fields(answer.text, answer.budget):
        answer.add(name, values)


def _apply_custom(rule: CustomRule, answer: _Answer) -> None:
    pattern = compile_pattern(rule.pattern)
    if rule.field is None:
        answer.text = pattern.replace(answer.text, rule.replacement or "", answer.budget)
        return
    matches = pattern.find_matches(answer.text, answer.budget)
    values = [(match.groups[0] if match.groups else match.whole) or "" for match in matches]
    answer.add(rule.field, [value for value in values if value])


def _left_out_notice(name: str, cause: str) -> Notice:
    return Notice(code="rule_left_out", detail=f"The rule {name} was skipped: {cause}.")
