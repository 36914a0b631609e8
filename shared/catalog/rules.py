"""The rules for answers, built in and of the operator, by name; the worker applies them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from shared.catalog.config_file import read_config_file
from shared.constraints.regex import BadPattern, check_template, compile_pattern
from shared.errors import BadConfig
from shared.settings import Settings

VARIABLE = "SIGHTLINE_RULES_FILE"
#: Form of the names of rules, their fields and presets.
NAME = r"^[a-z][a-z0-9_]{0,63}$"
#: Most rules of one request.
MAX_RULES = 32

Name = Annotated[str, Field(pattern=NAME)]


class Rule(BaseModel):
    """A rule as callers see it: it cleans `output.text` or extracts into `output.fields`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    description: str = ""
    kind: Literal["clean", "extract"]
    field: str | None = Field(
        None, description="The member of `output.fields` that the rule fills."
    )
    builtin: bool = True


class CustomRule(BaseModel):
    """A rule of the operator's file: a pattern that fills a field, or that is replaced."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    pattern: str = Field(min_length=1, description="RE2 syntax.")
    field: Name | None = Field(None, description="Receives the first group, or the whole match.")
    replacement: str | None = Field(
        None, max_length=1000, description=r"May refer to groups: `\1`."
    )
    description: str = Field("", max_length=1000)

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if (self.field is None) == (self.replacement is None):
            raise ValueError("set either field or replacement")
        try:
            pattern = compile_pattern(self.pattern)
            check_template(self.replacement or "", pattern)
        except BadPattern as error:
            raise ValueError(f"pattern: {error}") from None
        return self

    def as_rule(self) -> Rule:
        """Return the rule as callers see it."""
        kind: Literal["clean", "extract"] = "extract" if self.field else "clean"
        return Rule(
            name=self.name,
            description=self.description,
            kind=kind,
            field=self.field,
            builtin=False,
        )


class _RuleFile(BaseModel):
    model_config = ConfigDict(extra="forbid")

    rules: list[CustomRule] = Field(max_length=1000)


def _clean(name: str, description: str) -> Rule:
    return Rule(name=name, description=description, kind="clean")


def _extract(name: str, field: str | None, description: str) -> Rule:
    return Rule(name=name, field=field, description=description, kind="extract")


BUILT_IN = (
    _clean(
        "whitespace", "Single newlines, no trailing blanks, plain spaces instead of unusual ones."
    ),
    _clean(
        "fullwidth", "Full-width letters, digits and signs to ASCII; Chinese punctuation stays."
    ),
    _clean("markdown_table", "Adds missing separator rows and evens out the rows of tables."),
    _extract("cn_phone", "phones", "Mobile numbers of mainland China, as 11 digits."),
    _extract("email", "emails", "E-mail addresses."),
    _extract("date", "dates", "Dates as YYYY-MM-DD; as printed if day and month are ambiguous."),
    _extract("amount", "amounts", "Amounts of money as printed."),
    _extract("cn_id_card", "id_cards", "Chinese identity numbers with a valid check digit."),
    _extract("bank_card", "bank_cards", "Card numbers of 13-19 digits that pass the Luhn check."),
    _extract(
        "json_fields", None, "Each member of a JSON object in the answer, under its own name."
    ),
)


class RuleBook:
    """All rules of a process."""

    def __init__(self, custom: Iterable[CustomRule] = ()) -> None:
        self.custom: Mapping[str, CustomRule] = {rule.name: rule for rule in custom}
        self.rules = (*BUILT_IN, *(rule.as_rule() for rule in self.custom.values()))
        self._names = frozenset(rule.name for rule in self.rules)

    def find_unknown(self, names: Iterable[str]) -> str | None:
        """Return the first name that is not the name of a rule."""
        return next((name for name in names if name not in self._names), None)


def load_rules(settings: Settings) -> RuleBook:
    """Return the built-in rules and those of the rules file; raises BadConfig."""
    path = settings.rules_file
    if path is None:
        return RuleBook()
    names = {rule.name for rule in BUILT_IN}
    custom = read_config_file(path, VARIABLE, _RuleFile).rules
    for number, rule in enumerate(custom, start=1):
        if rule.name in names:
            raise BadConfig(
                f"{VARIABLE}={path}: rules {number} ({rule.name}): this name is already used"
            )
        names.add(rule.name)
    return RuleBook(custom)
