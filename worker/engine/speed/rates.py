"""Measures the engine's speeds as it works: averages over recent seconds, and curves over size."""

from __future__ import annotations

from dataclasses import dataclass

from worker.curve_fit import CurveFit
from worker.engine.api import Rates

#: Seconds of work after which older measurements count for a third.
_MEMORY_S = 20.0
#: Weight that an old pass keeps when a new one is measured; there are many more than images.
_KEEP_PASSES = 0.995


@dataclass(slots=True)
class _Average:
    amount: float = 0.0
    seconds: float = 0.0

    def add(self, amount: float, seconds: float) -> None:
        fade = max(0.0, 1.0 - seconds / _MEMORY_S)
        self.amount = self.amount * fade + amount
        self.seconds = self.seconds * fade + seconds

    @property
    def rate(self) -> float:
        return self.amount / self.seconds if self.seconds else 0.0


class RateMeter:
    """Collects measurements for `Rates`; written by the engine's thread, read by any."""

    def __init__(self) -> None:
        """All speeds are unknown at first."""
        self._encode, self._prefill, self._decode = _Average(), _Average(), _Average()
        self._batch = _Average()
        self._images = CurveFit()
        self._prompts = CurveFit(keep=_KEEP_PASSES, terms=2)
        # one step reads all weights, however many answers share it
        self._steps = CurveFit(keep=_KEEP_PASSES, terms=2, grows_in_doubt=False)

    def add_encode(self, tokens: int, share: float, seconds: float) -> None:
        """Count a `share` (0 to 1) of the tower's work on an image of so many visual tokens."""
        self._encode.add(tokens * share, seconds)
        self._images.add(tokens, seconds / share, share)

    def add_pass(
        self, prefill_tokens: int, decode_rows: int, requests: int, seconds: float
    ) -> None:
        """Count one pass of the language model: as prefill if it has any, else as decode."""
        self._batch.add(requests * seconds, seconds)
        if prefill_tokens:
            self._prefill.add(prefill_tokens, seconds)
            self._prompts.add(prefill_tokens + decode_rows, seconds)
        elif decode_rows:
            self._decode.add(1, seconds)
            self._steps.add(decode_rows, seconds)

    def read(self) -> Rates:
        """Return the present averages."""
        return Rates(
            self._encode.rate,
            self._prefill.rate,
            self._decode.rate,
            self._batch.rate,
            encode=self._images.curve(),
            prefill=self._prompts.curve(),
            step=self._steps.curve(),
        )
