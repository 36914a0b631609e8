"""What of an answer a person should look at, and what people have said of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.jobs.parameters.generation import Frozen

#: Whether something of an answer that a person should look at is left.
ReviewState = Literal["open", "done"]
#: Corrections and confirmations of one job, and bytes of all of them as JSON.
MOST_STATEMENTS = 2000
MOST_BYTES = 128 << 10
#: Values of one place that were replaced and are kept.
MOST_EARLIER = 5


class ReviewRule(Frozen):
    """Which parts of an answer a person should look at."""

    below: float = Field(
        gt=0,
        le=1,
        allow_inf_nan=False,
        description="Parts that are less sure than this, 0 to 1, are listed in `output.review`.",
    )


class _Stored(BaseModel):
    # a newer gateway may have stored more
    model_config = ConfigDict(frozen=True, extra="ignore")


class Statement(_Stored):
    """Who has said something, and when."""

    #: Name of the API key; the reviewer is what the caller says.
    by: str
    reviewer: str | None = None
    at_ms: int


class EarlierValue(Statement):
    """A correction that was replaced by another one of the same place."""

    value: Any


class Correction(Statement):
    """What should stand at a place of an answer."""

    pointer: str
    value: Any
    #: What the answer says there.
    before: Any
    #: What it was corrected to before, newest first.
    earlier: tuple[EarlierValue, ...] = ()

    def replaced_by(self, newer: Correction) -> Correction:
        """Return a newer correction of the same place, which remembers this one."""
        past = EarlierValue(by=self.by, reviewer=self.reviewer, at_ms=self.at_ms, value=self.value)
        return newer.model_copy(update={"earlier": (past, *self.earlier)[:MOST_EARLIER]})

    def says_same(self, other: Correction) -> bool:
        """Tell whether the same person has corrected it to the same value."""
        return self._said == other._said

    @property
    def _said(self) -> tuple[str | None, ...]:
        return self.by, self.reviewer, json.dumps(self.value, sort_keys=True)


class Confirmation(Statement):
    """A place of an answer that was seen to be right."""

    pointer: str


class Review(_Stored):
    """What people have said of an answer, which itself never changes."""

    #: One of each place.
    corrections: tuple[Correction, ...] = ()
    confirmed: tuple[Confirmation, ...] = ()

    def with_statements(
        self, corrections: Iterable[Correction], confirmed: Iterable[Confirmation]
    ) -> Review:
        """Return it with newer statements; what is said again by the same person adds nothing."""
        kept = {one.pointer: one for one in self.corrections}
        for newer in corrections:
            known = kept.get(newer.pointer)
            if known is None:
                kept[newer.pointer] = newer
            elif not known.says_same(newer):
                kept[newer.pointer] = known.replaced_by(newer)
        seen = {one.pointer: one for one in confirmed} | {
            one.pointer: one for one in self.confirmed
        }
        return Review(corrections=tuple(kept.values()), confirmed=tuple(seen.values()))

    def state(self, pointers: Sequence[str]) -> ReviewState:
        """Return whether each of these places was corrected, in whole or in part, or confirmed."""
        corrected = {one.pointer for one in self.corrections}
        settled = {above for pointer in corrected for above in _prefixes(pointer)}
        whole = corrected | {one.pointer for one in self.confirmed}
        is_done = all(at in settled or whole & _prefixes(at) for at in pointers)
        return "done" if is_done else "open"


def _prefixes(pointer: str) -> set[str]:
    """Return a pointer and those of all that it is part of, but of the whole answer."""
    parts = pointer.split("/")
    return {"/".join(parts[:stop]) for stop in range(2, len(parts) + 1)}
