"""Samples the next token of one sequence."""

from __future__ import annotations

import secrets

import torch

from shared.jobs import GenerationParams


class Sampler:
    """Greedy, or temperature and top-p with a generator of its own."""

    __slots__ = ("_generator", "_temperature", "_top_p")

    def __init__(self, params: GenerationParams) -> None:
        """Equal parameters with a seed sample equal tokens from equal logits."""
        self._temperature = params.temperature if params.do_sample else 0.0
        self._top_p = params.top_p
        self._generator: torch.Generator | None = None
        if self._temperature > 0:
            seed = secrets.randbits(63) if params.seed is None else params.seed
            self._generator = torch.Generator().manual_seed(seed)

    def sample(self, logits: torch.Tensor) -> int:
        """Return a token id for (vocab,) logits."""
        if self._generator is None:
            return int(logits.argmax())
        probabilities = torch.softmax(logits.float() / self._temperature, -1)
        if self._top_p < 1:
            probabilities = _nucleus(probabilities, self._top_p)
        return int(torch.multinomial(probabilities, 1, generator=self._generator))


def _nucleus(probabilities: torch.Tensor, top_p: float) -> torch.Tensor:
    """Keep the fewest most likely tokens that reach `top_p` together; at least one."""
    ordered, order = probabilities.sort(descending=True, stable=True)
    ordered[ordered.cumsum(-1) - ordered >= top_p] = 0
    return torch.zeros_like(probabilities).scatter_(-1, order, ordered)
