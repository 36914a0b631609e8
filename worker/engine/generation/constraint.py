"""Masks the tokens that a constrained answer may not go on with; computed beside the model."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import torch
from llguidance import LLMatcher, LLTokenizer
from tokenizers import Tokenizer

from shared.constraints.grammar import build_grammar, compile_grammar
from shared.errors import ConstraintTooComplex
from shared.jobs import GenerationParams

#: A mask that took less seconds is not worth waking another thread for.
_QUICK_S = 0.0003
#: Compiled grammars that are kept, least recently used first out.
_CACHED = 32

#: (vocab,): tokens that may follow.
Mask = npt.NDArray[np.bool_]


class Grammars:
    """Compiles constraints for one vocabulary; threads may share it."""

    def __init__(self, tokenizer: Tokenizer, vocabulary: int, end_tokens: frozenset[int]) -> None:
        """`vocabulary` counts the logits, which may be more than the tokenizer's tokens."""
        self._source = tokenizer
        self._vocabulary = vocabulary
        self._end_tokens = sorted(end_tokens)
        self._tokenizer: LLTokenizer | None = None
        self._compiled: OrderedDict[str, LLMatcher] = OrderedDict()
        self._lock = threading.Lock()
        self._helper = ThreadPoolExecutor(1, "masks")

    def make_constraint(self, params: GenerationParams) -> Constraint | None:
        """Return the state of an answer's constraint, None without one.

        The first one takes a second, in which the vocabulary is sorted. Raises BadConstraint for
        one that is malformed, that no answer satisfies or that exceeds the library's bounds.
        """
        grammar = build_grammar(params)
        if grammar is None:
            return None
        with self._lock:
            matcher = self._compiled.pop(grammar.source, None)
            if matcher is None:
                matcher = compile_grammar(grammar, self._llguidance_tokenizer())
            self._compiled[grammar.source] = matcher
            if len(self._compiled) > _CACHED:
                self._compiled.popitem(last=False)
            copy = matcher.deep_copy()
        return Constraint(copy, self._vocabulary, self._helper)

    def close(self) -> None:
        """End the helper thread."""
        self._helper.shutdown(cancel_futures=True)

    def _llguidance_tokenizer(self) -> LLTokenizer:
        if self._tokenizer is None:
            self._tokenizer = LLTokenizer(
                self._source.to_str(), n_vocab=self._vocabulary, eos_token=self._end_tokens
            )
        return self._tokenizer


class Constraint:
    """The state of one constrained answer; used by one thread."""

    def __init__(self, matcher: LLMatcher, vocabulary: int, helper: ThreadPoolExecutor) -> None:
        """Own the matcher, and compute masks of `vocabulary` tokens in the helper."""
        self._matcher = matcher
        self._vocabulary = vocabulary
        self._helper = helper
        self._mask: Future[Mask] | None = None
        self._last_s = _QUICK_S
        self._prepare()

    @property
    def complete(self) -> bool:
        """Tell whether nothing can follow."""
        self._wait_for_mask()
        return bool(self._matcher.is_stopped())

    @property
    def satisfied(self) -> bool:
        """Tell whether the answer may end here."""
        self._wait_for_mask()
        return not self._matcher.is_error() and bool(self._matcher.is_accepting())

    def mask_logits(self, logits: torch.Tensor) -> torch.Tensor:
        """Return (vocab,) logits with -inf for each token that may not follow.

        Waits for the mask. Raises ConstraintTooComplex when the bounds are reached or nothing can
        follow.
        """
        if self._mask is None:
            raise ConstraintTooComplex
        allowed = torch.from_numpy(self._mask.result())
        return logits.masked_fill(~allowed, -torch.inf)

    def accept(self, token: int) -> None:
        """Append a token; raises ConstraintTooComplex when the bounds are reached."""
        self._wait_for_mask()
        self._matcher.consume_token(token)
        self._check()
        self._prepare()

    def rewind(self, tokens: Sequence[int]) -> None:
        """Go back to an answer of `tokens`; raises ConstraintTooComplex as `accept` does."""
        self._wait_for_mask()
        self._matcher.reset()
        self._matcher.consume_tokens(list(tokens))
        self._check()
        self._prepare()

    def read_forced(self) -> Sequence[int]:
        """Return the tokens that must come next; another spelling of their text may come too."""
        return self._forced

    def _prepare(self) -> None:
        """Start to compute the next mask, which takes less time than the model's next pass."""
        stopped = self._matcher.is_stopped()
        # microseconds, and later the helper may have the matcher
        self._forced: Sequence[int] = [] if stopped else self._matcher.compute_ff_tokens()
        if stopped:
            self._mask = None
        elif self._last_s < _QUICK_S:
            self._mask = Future()
            self._mask.set_result(self._compute())
        else:
            self._mask = self._helper.submit(self._compute)

    def _compute(self) -> Mask:
        started = time.perf_counter()
        bits = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
        self._check()
        mask = np.unpackbits(bits, count=self._vocabulary, bitorder="little").astype(np.bool_)
        self._last_s = time.perf_counter() - started
        return mask

    def _wait_for_mask(self) -> None:
        """Wait for the helper: a matcher serves one thread at a time."""
        if self._mask is not None:
            self._mask.exception()

    def _check(self) -> None:
        if self._matcher.is_error():
            raise ConstraintTooComplex
