"""Fits the curve of seconds over size to measurements as they come."""

from __future__ import annotations

import numpy as np

from shared.prediction.curves import UNKNOWN, Curve

#: Sizes are counted in this unit, so that squares stay near the other terms.
_UNIT = 256.0
#: A further term of the curve must save this in mean squared relative error.
_TERM_COST = 0.0005
#: Terms whose equations are this far from independent cannot be told apart.
_CONDITION_MAX = 1e9
#: A measurement counts as at most so many times of what was expected.
_STALL = 10.0
#: The terms of a curve that are tried, the likeliest first.
_MORE = ((2,), (0, 1), (1, 2), (0, 2), (0, 1, 2))
_GROWING, _FIXED = ((1,), (0,), *_MORE), ((0,), (1,), *_MORE)


class CurveFit:
    """Least squares of errors relative to the curve so far, without negative terms; old ones fade.

    Written by one thread, read by any.
    """

    def __init__(self, *, keep: float = 0.98, terms: int = 3, grows_in_doubt: bool = True) -> None:
        """`keep` of the old weight stays with each measurement; 2 terms leave out squares.

        Where all sizes were alike, seconds are taken to grow with the size, or not to.
        """
        self._order = _GROWING if grows_in_doubt else _FIXED
        self._keep = keep
        self._terms = terms
        self._products = np.zeros((terms, terms))
        self._sums = np.zeros(terms)
        self._weight = self._squares = 0.0
        self._latest = UNKNOWN

    def add(self, size: float, seconds: float, weight: float = 1.0) -> None:
        """Count one measurement; `weight` is its share of a whole one."""
        if seconds <= 0:
            return
        # errors are relative, as a second is little beside a minute; relative to the measurement
        # itself, slow ones would count for less than quick ones and the curve would be too low
        expected = self._latest.at(size) or seconds
        seconds = min(seconds, _STALL * expected)
        row = (size / _UNIT) ** np.arange(self._terms) / expected
        target = seconds / expected
        keep = self._keep**weight
        self._weight = self._weight * keep + weight
        self._squares = self._squares * keep + weight * target * target
        self._sums = self._sums * keep + weight * target * row
        self._products = self._products * keep + weight * np.outer(row, row)

    def curve(self) -> Curve:
        """Return the best curve; an empty one before the first measurement."""
        if not self._weight:
            return Curve()
        choices = [terms for terms in self._order if max(terms) < self._terms]
        solutions = [solved for terms in choices if (solved := self._solve(terms)) is not None]
        if not solutions:
            return Curve()
        # of equals the first
        _, best = min(solutions, key=lambda solution: round(solution[0], 6))
        factors = [best.get(term, 0.0) / _UNIT**term for term in range(3)]
        self._latest = Curve(*factors)
        return self._latest

    def _solve(self, terms: tuple[int, ...]) -> tuple[float, dict[int, float]] | None:
        """Return the error with these terms only, and their factors.

        None if the terms cannot be told apart or a factor would be negative.
        """
        index = list(terms)
        sums, products = self._sums[index], self._products[np.ix_(index, index)]
        scale = np.sqrt(products.diagonal())
        if not scale.all():
            return None
        scaled = products / np.outer(scale, scale)
        if not np.isfinite(scaled).all() or np.linalg.cond(scaled) > _CONDITION_MAX:
            return None
        factors = np.linalg.solve(scaled, sums / scale) / scale
        if factors.min() < 0:
            return None
        unexplained = max(0.0, self._squares - float(factors @ sums)) / self._weight
        error = unexplained + _TERM_COST * len(terms)
        return error, dict(zip(terms, factors.tolist(), strict=True))
