"""The form that an answer is held to: from choices, regex or JSON schema to a compiled grammar."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from llguidance import (
    LLMatcher,
    LLParserLimits,
    LLTokenizer,
    TokenizerWrapper,
    grammar_from,
    regex_to_lark,
)

from shared.constraints.json_schema import check_schema
from shared.constraints.regex import BadPattern
from shared.constraints.regex import compiled as re2_compiled
from shared.errors import BadConstraint
from shared.jobs import GenerationParams

#: Between the signs of JSON: a blank, or a line break and its indent. A small model would write
#: blanks for ever.
_WHITESPACE = r"( |\n {0,16})"
_ERROR = re.compile(r"error: (.+)")
_PLACE = re.compile(r"^at \d+\(\d+\): ")
#: The byte that begins what no text has, as the library marks special tokens.
_SPECIAL = b"\xff"

#: Token of the byte vocabulary that ends an answer; tokens below it are bytes.
END_BYTE = 256


@dataclass(frozen=True, slots=True)
class Grammar:
    """A constraint in the library's language."""

    source: str
    #: JSON pointer to the parameter that asked for it.
    pointer: str


def grammar_of(params: GenerationParams) -> Grammar | None:
    """Return what holds the answer, None if nothing does; raises BadConstraint."""
    asked = params.constrained_by
    if not asked:
        return None
    pointer = f"/{asked[0]}"
    if params.choices:
        return Grammar(grammar_from("choice", json.dumps(params.choices)), pointer)
    if params.regex is not None:
        return Grammar(_regex_source(params.regex, pointer), pointer)
    return _json_grammar(params)


def _regex_source(regex: str, pointer: str) -> str:
    try:
        # bounds the program, and its complaints are clear
        re2_compiled(regex)
    except BadPattern as error:
        raise BadConstraint(f"regex: {error}.", pointer=pointer) from None
    # as in RE2, \d \w \s are ASCII
    return LLMatcher.grammar_from_lark(f"start: /{regex_to_lark(regex, 'dws')}/")


def _json_grammar(params: GenerationParams) -> Grammar:
    schema: dict[str, Any] = {"type": "object"}
    pointer = "/response_format"
    if params.response_format and params.response_format.json_schema:
        schema = params.response_format.json_schema.schema_
        pointer += "/json_schema/schema"
    told = json.dumps(schema, ensure_ascii=False, separators=(",", ":"))
    try:
        check_schema(schema, len(told))
        source = LLMatcher.grammar_from_json_schema(
            told,
            overrides={
                "whitespace_flexible": True,
                "whitespace_pattern": _WHITESPACE,
                "item_separator": ",",
                "key_separator": ":",
                "coerce_one_of": False,
                "lenient": False,
            },
        )
    except ValueError as error:
        raise BadConstraint(f"response_format: {error}.", pointer=pointer) from None
    return Grammar(source, pointer)


def compiled(grammar: Grammar, tokenizer: LLTokenizer) -> LLMatcher:
    """Return a matcher at the beginning of the answer; raises BadConstraint.

    Bounded in time and size by the library's own fuel, whatever the grammar.
    """
    matcher = LLMatcher(tokenizer, grammar.source, log_level=0, limits=_limits())
    if not matcher.is_error():
        # some complaints come with the first mask only
        matcher.compute_bitmask()
    empty = matcher.is_stopped() and not matcher.is_accepting()
    if matcher.is_error() or empty:
        name = grammar.pointer.split("/")[1]
        cause = _complaint(matcher) or "no answer can satisfy it"
        raise BadConstraint(f"{name}: {cause}.", pointer=grammar.pointer)
    return matcher


def check(params: GenerationParams) -> None:
    """Raise BadConstraint when no answer can be held to what is asked for."""
    grammar = grammar_of(params)
    if grammar is not None:
        compiled(grammar, byte_tokenizer())


@cache
def byte_tokenizer() -> LLTokenizer:
    """Return a vocabulary of the 256 bytes and END_BYTE, for checks and for trials."""
    return LLTokenizer(TokenizerWrapper(_Bytes()))


class _Bytes:
    """The vocabulary as the library wants it."""

    bos_token_id = None
    eos_token_id = END_BYTE
    tokens = (*(bytes([byte]) for byte in range(END_BYTE)), _SPECIAL + b"<end>")
    special_token_ids = (END_BYTE,)

    def __call__(self, text: str | bytes) -> list[int]:
        return list(text.encode() if isinstance(text, str) else text)


@cache
def _limits() -> LLParserLimits:
    return LLParserLimits(
        max_items_in_row=2000,
        initial_lexer_fuel=300_000,
        step_lexer_fuel=50_000,
        step_max_items=20_000,
        max_lexer_states=20_000,
        max_grammar_size=50_000,
        verbose_errors=False,
    )


def _complaint(matcher: LLMatcher) -> str:
    """Return the library's complaint in one line, "" where it only found no way on."""
    text = matcher.get_error().replace("<non-verbose/>", "").strip()
    if text.startswith("NoExtension"):
        return ""
    found = _ERROR.search(text)
    return found[1] if found else _PLACE.sub("", text.split("\n")[0]).rstrip(".")
