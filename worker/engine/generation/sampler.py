"""Samples the next token of one sequence."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Sequence

import torch

from shared.jobs import GenerationParams

#: Below it the likeliest token is as good as certain, and logits over it are not finite.
_COLDEST = 1e-5


class Sampler:
    """Penalties, then greedy, or temperature, top-k, top-p and min-p with its own generator."""

    __slots__ = ("_generator", "_params", "_prompt", "_temperature")

    def __init__(self, params: GenerationParams, prompt: Sequence[int] = ()) -> None:
        """Equal parameters with a seed sample equal tokens from equal logits.

        `prompt` are the ids of the question, which a repetition penalty is about too.
        """
        self._params = params
        self._temperature = params.temperature if params.do_sample else 0.0
        self._prompt: torch.Tensor | None = None
        if params.repetition_penalty != 1:
            self._prompt = torch.tensor(sorted(set(prompt)), dtype=torch.int64)
        self._generator: torch.Generator | None = None
        if self._temperature >= _COLDEST:
            seed = secrets.randbits(63) if params.seed is None else params.seed
            self._generator = torch.Generator().manual_seed(seed)

    def sample(self, logits: torch.Tensor, answer: Sequence[int] = ()) -> int:
        """Return a token id for (vocab,) logits, after the tokens of `answer`."""
        logits = self._penalise(logits, answer)
        if self._generator is None:
            return int(logits.argmax())
        logits = logits.float()
        # the best one stays finite, whatever it is divided by
        scaled = (logits - logits.max()) / self._temperature
        if (top_k := self._params.top_k or 0) > 0:
            scaled = _keep_likeliest(scaled, top_k)
        probabilities = torch.softmax(scaled, -1)
        if self._params.top_p < 1:
            probabilities = _nucleus(probabilities, self._params.top_p)
        if self._params.min_p > 0:
            probabilities = _keep_likely(probabilities, self._params.min_p)
        return int(torch.multinomial(probabilities, 1, generator=self._generator))

    def _penalise(self, logits: torch.Tensor, answer: Sequence[int]) -> torch.Tensor:
        params = self._params
        if self._prompt is None and not (params.presence_penalty or params.frequency_penalty):
            return logits
        counts = Counter(answer)
        tokens = torch.tensor(list(counts), dtype=torch.int64)
        logits = logits.float()
        if self._prompt is not None:
            seen = torch.cat([self._prompt, tokens])
            logits = _penalise_repetition(logits, seen, params.repetition_penalty)
        taken = [
            params.presence_penalty + params.frequency_penalty * count for count in counts.values()
        ]
        return logits.index_add(0, tokens, -torch.tensor(taken, dtype=logits.dtype))


def _penalise_repetition(logits: torch.Tensor, seen: torch.Tensor, penalty: float) -> torch.Tensor:
    """Make the (n,) tokens that were seen less likely, by transformers' formula.

    One that is named twice is penalised once.
    """
    scores = logits[seen]
    scores = torch.where(scores < 0, scores * penalty, scores / penalty)
    return logits.index_copy(0, seen, scores)


def _keep_likeliest(logits: torch.Tensor, top_k: int) -> torch.Tensor:
    """Keep the `top_k` likeliest tokens, and those that are as likely as the last of them."""
    least = logits.topk(min(top_k, len(logits))).values[-1]
    return logits.masked_fill(logits < least, -torch.inf)


def _keep_likely(probabilities: torch.Tensor, min_p: float) -> torch.Tensor:
    """Keep the tokens that have at least `min_p` of the likeliest one's probability."""
    return probabilities.masked_fill(probabilities < min_p * probabilities.max(), 0)


def _nucleus(probabilities: torch.Tensor, top_p: float) -> torch.Tensor:
    """Keep the fewest most likely tokens that reach `top_p` together; at least one."""
    ordered, order = probabilities.sort(descending=True, stable=True)
    beyond = ordered.cumsum(-1) - ordered >= top_p
    beyond[0] = False
    ordered[beyond] = 0
    return torch.zeros_like(probabilities).scatter_(-1, order, ordered)
