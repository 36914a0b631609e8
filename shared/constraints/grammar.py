"""Grammars of constrained answers: choices, regex or JSON schema, compiled for a tokenizer."""

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
from shared.constraints.regex import BadPattern, compile_pattern
from shared.errors import BadConstraint
from shared.excerpt import excerpt
from shared.jobs import GenerationParams

#: Whitespace between JSON tokens: a blank, or a line break and its indent. With no bound a small
#: model writes blanks for ever.
_WHITESPACE = r"( |\n {0,16})"
_ERROR = re.compile(r"error: (.+)")
_PLACE = re.compile(r"^at \d+\(\d+\): ")
#: The byte with which the library marks special tokens; no UTF-8 text has it.
_SPECIAL = b"\xff"

#: Token of the byte vocabulary that ends an answer; tokens below it are bytes.
END_BYTE = 256


@dataclass(frozen=True, slots=True)
class Grammar:
    """A constraint in llguidance's grammar language."""

    source: str
    #: JSON pointer to the parameter that it comes from.
    pointer: str


def build_grammar(params: GenerationParams) -> Grammar | None:
    """Return the grammar of a constrained answer, None for a free one; raises BadConstraint."""
    names = params.constrained_by
    if not names:
        return None
    pointer = f"/{names[0]}"
    if params.choices:
        return Grammar(grammar_from("choice", json.dumps(params.choices)), pointer)
    if params.regex is not None:
        return Grammar(_regex_source(params.regex, pointer), pointer)
    return _json_grammar(params)


def _regex_source(regex: str, pointer: str) -> str:
    try:
        # RE2 bounds the size of the program, and its errors are clear
        compile_pattern(regex)
    except BadPattern as error:
        raise BadConstraint(f"regex: {excerpt(error)}.", pointer=pointer) from None
    # as in RE2, \d \w \s are ASCII
    return LLMatcher.grammar_from_lark(f"start: /{regex_to_lark(regex, 'dws')}/")


def _json_grammar(params: GenerationParams) -> Grammar:
    schema: dict[str, Any] = {"type": "object"}
    pointer = "/response_format"
    if params.response_format and params.response_format.json_schema:
        schema = params.response_format.json_schema.schema_
        pointer += "/json_schema/schema"
    text = json.dumps(schema, ensure_ascii=False, separators=(",", ":"))
    try:
        check_schema(schema, len(text))
        source = LLMatcher.grammar_from_json_schema(
            text,
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
        raise BadConstraint(f"response_format: {excerpt(error, 300)}.", pointer=pointer) from None
    return Grammar(source, pointer)


def compile_grammar(grammar: Grammar, tokenizer: LLTokenizer) -> LLMatcher:
    """Return a matcher at the beginning of the answer; raises BadConstraint.

    The library's limits bound its time and size, whatever the grammar.
    """
    matcher = LLMatcher(tokenizer, grammar.source, log_level=0, limits=_limits())
    if not matcher.is_error():
        # some errors come with the first mask only
        matcher.compute_bitmask()
    unsatisfiable = matcher.is_stopped() and not matcher.is_accepting()
    if matcher.is_error() or unsatisfiable:
        name = grammar.pointer.split("/")[1]
        cause = excerpt(_error_text(matcher), 300) or "no answer can satisfy it"
        raise BadConstraint(f"{name}: {cause}.", pointer=grammar.pointer)
    return matcher


def check_satisfiable(params: GenerationParams) -> None:
    """Raise BadConstraint if no answer can satisfy the parameters' constraint."""
    grammar = build_grammar(params)
    if grammar is not None:
        compile_grammar(grammar, byte_tokenizer())


@cache
def byte_tokenizer() -> LLTokenizer:
    """Return a tokenizer of the 256 bytes and END_BYTE, for checks without a model."""
    return LLTokenizer(TokenizerWrapper(_Bytes()))


class _Bytes:
    """The byte vocabulary, in the form that the library expects."""

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


def _error_text(matcher: LLMatcher) -> str:
    """Return the library's error in one line, "" where no token can follow."""
    text = matcher.get_error().replace("<non-verbose/>", "").strip()
    if text.startswith("NoExtension"):
        return ""
    match = _ERROR.search(text)
    return match[1] if match else _PLACE.sub("", text.split("\n")[0]).rstrip(".")
