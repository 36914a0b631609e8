"""Invents the answers of an engine without weights: random words, or what a constraint allows."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass, replace

import numpy as np
from llguidance import LLMatcher

from shared.constraints.grammar import END_BYTE, build_grammar, byte_tokenizer, compile_grammar
from shared.errors import ConstraintTooComplex
from shared.jobs import MAX_NEW_TOKENS, GenerationParams, Notice
from worker.engine.api import EngineRequest
from worker.engine.generation.notices import unfinished_notice
from worker.engine.generation.token_budget import Budget

_SAMPLE = "simulated answer about the picture it shows 图片 and some text 两 shapes"
_WORDS = tuple(_SAMPLE.split())
_THOUGHT = ("simulated", " thinking:", " 先看", " the", " picture,", " then", " the", " question")
#: Bytes that a constrained answer prefers, those that close what it opened, and those it avoids.
_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789")
_CLOSING = frozenset(b'"]}')
_BLANK = frozenset(b" \n")
#: Probability with which an answer closes where it can.
_CLOSE_CHANCE = 0.4


@dataclass(frozen=True, slots=True)
class InventedAnswer:
    """An answer in pieces, each of which counts as a token."""

    pieces: tuple[str, ...]
    #: Cut off by `max_new_tokens`.
    limited: bool = False
    notices: tuple[Notice, ...] = ()
    #: What it thinks before it answers, in pieces of the same kind.
    thought: tuple[str, ...] = ()


def invent(request: EngineRequest) -> InventedAnswer:
    """Return an answer that depends on prompt, images, seed and constraint only.

    It thinks where that is asked for. Raises BadConstraint and ConstraintTooComplex.
    """
    params = request.params
    if request.encode_only or not (params.enable_thinking and params.may_think):
        return _invent_answer(request)
    budget = Budget.of(params, params.max_total_tokens or MAX_NEW_TOKENS, on_top=True)
    thought = _THOUGHT[: budget.thinking]
    room = min(budget.answer, max(1, budget.total - len(thought)))
    answer = _invent_answer(
        replace(request, params=params.model_copy(update={"max_new_tokens": room}))
    )
    return replace(answer, thought=thought)


def _invent_answer(request: EngineRequest) -> InventedAnswer:
    if request.encode_only:
        return InventedAnswer(())
    images = [image.id for message in request.messages for image in message.images]
    question = "\x00".join([m.text for m in request.messages] + images + [str(request.params.seed)])
    digest = hashlib.sha256(question.encode()).digest()
    most = request.params.max_new_tokens
    grammar = build_grammar(request.params)
    if grammar is None:
        length = min(8 + digest[0] % 25, most)
        words = [_WORDS[byte % len(_WORDS)] for byte in (digest * 2)[1 : length + 1]]
        spaced = [word if not at else " " + word for at, word in enumerate(words)]
        return InventedAnswer(tuple(spaced), limited=length == most)
    text, ended = _walk(compile_grammar(grammar, byte_tokenizer()), random.Random(digest), most)
    if ended:
        return InventedAnswer(tuple(text))
    return InventedAnswer(tuple(text), limited=True, notices=cut_off_notices(request.params))


def cut_off_notices(params: GenerationParams) -> tuple[Notice, ...]:
    """Return the notices of an answer that was cut off before it satisfied its constraint."""
    return (unfinished_notice(params),) if params.constrained_by else ()


def _walk(matcher: LLMatcher, chance: random.Random, most: int) -> tuple[str, bool]:
    """Return up to `most` characters that the grammar allows, and whether they satisfy it.

    Raises ConstraintTooComplex when the grammar reaches its bounds.
    """
    written = bytearray()
    text = ""
    while len(text) < most and not matcher.is_stopped():
        byte = _next(matcher, chance)
        if byte == END_BYTE:
            return text, True
        matcher.consume_token(byte)
        written.append(byte)
        text = written.decode(errors="ignore")
        if matcher.is_error():
            raise ConstraintTooComplex
    return text, bool(matcher.is_accepting())


def _next(matcher: LLMatcher, chance: random.Random) -> int:
    bits = np.frombuffer(matcher.compute_bitmask(), np.uint8)
    allowed = np.flatnonzero(np.unpackbits(bits, count=END_BYTE + 1, bitorder="little")).tolist()
    if not allowed:
        raise ConstraintTooComplex
    closing = [byte for byte in allowed if byte in _CLOSING or byte == END_BYTE]
    if closing and chance.random() < _CLOSE_CHANCE:
        return chance.choice(closing)
    plain = [byte for byte in allowed if byte in _PLAIN]
    dense = [byte for byte in allowed if byte not in _BLANK]
    return chance.choice(plain or dense or allowed)
