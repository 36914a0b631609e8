"""Guesses from a text that the answer may follow: an older version, a text layer, another reader's.

The place in the text is kept while tokens agree, and found again by the last few after they differ.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

#: Tokens by which a place is found, and how far from the present place where it is one of several.
_RUNS = ((8, 1 << 30), (4, 256), (2, 8))
#: A run of at least so many tokens that occurs once is believed anywhere.
_UNIQUE = 4
#: Multiplier of the hash of a run; odd, so that no bit is lost.
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


class ReferenceIndex:
    """A fixed text of n tokens whose runs can be found; takes n log n, and never changes."""

    def __init__(self, tokens: Sequence[int]) -> None:
        self.tokens = list(tokens)
        ids = np.array(tokens, dtype=np.uint64)
        self._places = {length: _RunPlaces(ids, length) for length, _ in _RUNS}

    def find(self, run: Sequence[int]) -> npt.NDArray[np.int64]:
        """Return the ascending ends of a run, whose length is one of those that are searched."""
        return self._places[len(run)].find(run)


class ReferenceText:
    """A DraftSource over a fixed text of n tokens; each token takes log n."""

    first_chance = 0.5

    def __init__(self, text: Sequence[int] | ReferenceIndex) -> None:
        """Expect the answer to begin as the text does; answers may share its index."""
        self._index = text if isinstance(text, ReferenceIndex) else ReferenceIndex(text)
        self._tokens = self._index.tokens
        self._recent: list[int] = []
        #: Place of the next token, as far as known.
        self._next = 0
        self._agreed = False

    @property
    def trust(self) -> int:
        """See DraftSource."""
        return int(self._agreed)

    def guess(self, count: int) -> Sequence[int]:
        """See DraftSource."""
        return self._tokens[self._next : self._next + count]

    def append(self, token: int) -> None:
        """See DraftSource."""
        self._recent = [*self._recent[1 - _RUNS[0][0] :], token]
        self._agreed = self._tokens[self._next : self._next + 1] == [token]
        if not self._agreed:
            place = self._find()
            if place is not None:
                self._next = place
                return
        # most differences are one token for another
        self._next = min(self._next + 1, len(self._tokens))

    def rewind(self, answer: Sequence[int]) -> None:
        """See DraftSource."""
        self._recent = list(answer[-_RUNS[0][0] :])
        self._agreed = False
        self._next = self._find() or self._next

    def _find(self) -> int | None:
        """Return the place after the last few tokens that is nearest to the present one."""
        for length, reach in _RUNS:
            if len(self._recent) < length:
                continue
            places = self._index.find(self._recent[-length:])
            if not len(places):
                continue
            nearest = _nearest(places, self._next)
            unique = len(places) == 1 and length >= _UNIQUE
            if unique or abs(nearest - self._next) <= reach:
                return nearest
        return None


class _RunPlaces:
    """Where each run of `length` tokens ends, by its hash."""

    def __init__(self, ids: npt.NDArray[np.uint64], length: int) -> None:
        self._length = length
        hashes = _hashes(ids, length)
        order = np.argsort(hashes, kind="stable")
        self._hashes = hashes[order]
        #: Ascending among equal hashes.
        self._ends = order + length

    def find(self, run: Sequence[int]) -> npt.NDArray[np.int64]:
        """Return the ascending ends of a run; those of another run with its hash do no harm."""
        wanted = _hashes(np.array(run, dtype=np.uint64), self._length)
        first = np.searchsorted(self._hashes, wanted[0], "left")
        last = np.searchsorted(self._hashes, wanted[0], "right")
        return self._ends[first:last]


def _hashes(ids: npt.NDArray[np.uint64], length: int) -> npt.NDArray[np.uint64]:
    """Return the hash of each run of `length` tokens, in order."""
    count = max(0, len(ids) - length + 1)
    hashes = np.zeros(count, dtype=np.uint64)
    for shift in range(length):
        hashes = (hashes ^ ids[shift : shift + count]) * _MULTIPLIER
        hashes ^= hashes >> np.uint64(29)
    return hashes


def _nearest(ascending: npt.NDArray[np.int64], place: int) -> int:
    after = int(np.searchsorted(ascending, place))
    around = ascending[max(0, after - 1) : after + 1]
    return int(min(around, key=lambda at: abs(int(at) - place)))
