"""Tells which of the pieces that were seen each line of a text stands for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rapidfuzz.distance import Indel

from worker.places.chain import Demand, match_in_order
from worker.places.mapping import count_kept

#: Likeness of lines and rows that follow each other in one order, and of what is left over then:
#: columns in another order, lines at another place.
_IN_ORDER, _LEFT_OVER = Demand(0.7, 0.75), Demand(0.85, 1.0)
#: Times that what is left over is gone through: once for each column in another order.
_PASSES = 4
#: Share of a piece's letters that a line must have for it to be one of the line's.
_OWN = 0.5
#: A line that something else is as much like, but for so much, has no sure place.
_SURE = 0.06


@dataclass(slots=True)
class Alignment:
    """Lines and the pieces that they stand for, as far as that is known."""

    #: Letters of each line, and of each piece in reading order.
    lines: Sequence[str]
    pieces: Sequence[str]
    #: The numbers of the pieces of each row.
    rows: Sequence[Sequence[int]]
    #: The numbers of the pieces of a line.
    owned: dict[int, list[int]] = field(default_factory=dict)
    #: How much a line is like what was seen for it, also where it is not sure that it stands there.
    likeness: dict[int, float] = field(default_factory=dict)

    @property
    def used(self) -> set[int]:
        """Return the numbers of all pieces that some line stands for."""
        return {piece for own in self.owned.values() for piece in own}

    @property
    def missing(self) -> list[int]:
        """Return the numbers of lines without a piece."""
        return [n for n, line in enumerate(self.lines) if line and n not in self.owned]

    def match(self, groups: Sequence[Sequence[int]], demand: Demand) -> bool:
        """Match lines without a piece with runs of groups of pieces; tell whether any was."""
        missing = self.missing
        seen = [self._text(group) for group in groups]
        matches = match_in_order([self.lines[n] for n in missing], seen, demand)
        for match in matches:
            pieces = [p for group in groups[match.first : match.stop] for p in group]
            self._take(missing[match.line], pieces, demand)
        return bool(matches)

    def _take(self, line: int, pieces: Sequence[int], demand: Demand) -> None:
        """Let a line stand for those of the pieces whose letters it has."""
        letters = self.lines[line]
        kept = count_kept(letters, [self.pieces[piece] for piece in pieces])
        own = [
            piece
            for piece, count in zip(pieces, kept, strict=True)
            if count >= _OWN * len(self.pieces[piece])
        ]
        likeness = Indel.normalized_similarity(letters, self._text(own))
        if own and likeness >= demand.likeness(letters):
            self.owned[line], self.likeness[line] = own, likeness

    def drop_unsure(self) -> None:
        """Take the places from lines that stand for one of several things that are alike."""
        used, missing = self.used, [self.lines[line] for line in self.missing]
        free = [self.pieces[piece] for piece in range(len(self.pieces)) if piece not in used]
        free += [self._text(row) for row in self.rows if len(row) > 1 and used.isdisjoint(row)]
        unsure = [line for line in self.owned if self._has_rival(line, missing, free)]
        for line in unsure:
            del self.owned[line]

    def _has_rival(self, line: int, missing: Sequence[str], free: Sequence[str]) -> bool:
        """Tell whether another line is as much like what it stands for, or it like other things."""
        least, text = self.likeness[line] - _SURE, self._text(self.owned[line])
        rivals = [(other, text) for other in missing] + [(self.lines[line], one) for one in free]
        return any(
            Indel.normalized_similarity(one, other, score_cutoff=least) >= least
            for one, other in rivals
        )

    def _text(self, pieces: Sequence[int]) -> str:
        return "".join(self.pieces[piece] for piece in pieces)


def align(lines: Sequence[str], rows: Sequence[Sequence[str]]) -> Alignment:
    """Match the letters of lines with those of rows of pieces, which are in reading order.

    The pieces of an alignment are numbered through all rows.
    """
    pieces = [piece for row in rows for piece in row]
    numbers = iter(range(len(pieces)))
    groups = [[next(numbers) for _ in row] for row in rows]
    alignment = Alignment(lines, pieces, groups)
    alignment.match(groups, _IN_ORDER)
    for _ in range(_PASSES):
        used = alignment.used
        left_over = [[piece] for piece in range(len(pieces)) if piece not in used]
        if not left_over or not alignment.match(left_over, _LEFT_OVER):
            break
    alignment.drop_unsure()
    return alignment
