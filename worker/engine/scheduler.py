"""Decides what the engine does next: plain Python that knows no tensor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Generic, Protocol, TypeVar

from worker.engine.memory.budget import MemoryBudget, MemoryNeed


class Phase(Enum):
    """What a running sequence needs next."""

    ENCODE = "encode"
    PREFILL = "prefill"
    DECODE = "decode"


class Plannable(Protocol):
    """What the scheduler reads of a sequence."""

    @property
    def phase(self) -> Phase:
        """Its present phase."""

    @property
    def prefill_left(self) -> int:
        """Prompt tokens that are not computed yet."""

    @property
    def block_s(self) -> float:
        """Seconds that the latest block of its image took; 0 before the first."""

    @property
    def need(self) -> MemoryNeed:
        """Memory that it may use."""

    @property
    def background(self) -> bool:
        """Tell whether others may overtake it."""


S = TypeVar("S", bound=Plannable)


@dataclass(frozen=True, slots=True)
class Plan(Generic[S]):
    """One step: some of the tower for one sequence, then one pass of the language model."""

    encode: S | None
    #: Blocks of the tower for it.
    blocks: int
    #: Sequences, and how many tokens of each one's prompt.
    prefill: tuple[tuple[S, int], ...]
    #: Sequences that get one token each.
    decode: tuple[S, ...]


@dataclass(slots=True)
class Scheduler(Generic[S]):
    """First come, first served, background last; each running answer gets a token in every step."""

    #: Sequences that may run at once.
    slots: int
    #: Memory of all running sequences.
    budget: MemoryBudget
    #: Prompt tokens of one step while others run, and while none does.
    chunk: int = 96
    idle_chunk: int = 128
    #: Seconds that running answers may wait for the tower, unless a single block takes longer.
    tower_s: float = 0.0
    waiting: list[S] = field(default_factory=list)
    running: list[S] = field(default_factory=list)

    @property
    def reserved_bytes(self) -> int:
        """Bytes that the running sequences may use."""
        return sum(sequence.need.kv_bytes for sequence in self.running)

    def add(self, sequence: S) -> None:
        """Queue a sequence, before all background ones unless it is one."""
        if sequence.background:
            self.waiting.append(sequence)
            return
        ahead = sum(not other.background for other in self.waiting)
        self.waiting.insert(ahead, sequence)

    def remove(self, sequence: S) -> None:
        """Remove a sequence that has ended, if it is there."""
        for group in (self.waiting, self.running):
            if sequence in group:
                group.remove(sequence)

    def fits(self, need: MemoryNeed) -> bool:
        """Tell whether there is memory for one more sequence now."""
        return self.budget.holds([*(sequence.need for sequence in self.running), need])

    def fits_at_once(self, need: MemoryNeed) -> bool:
        """Tell whether one more sequence could run beside all others, waiting ones too.

        Any thread may call it; the answer may be a moment old.
        """
        others = [sequence.need for sequence in [*self.running, *self.waiting]]
        return self.budget.holds([*others, need])

    def admit(self) -> Iterator[S]:
        """Move waiting sequences to running while slots and memory last, oldest first."""
        while self.waiting and len(self.running) < self.slots:
            if not self.fits(self.waiting[0].need):
                return
            sequence = self.waiting.pop(0)
            self.running.append(sequence)
            yield sequence

    def plan(self) -> Plan[S]:
        """Return the next step; empty when nothing runs."""
        decode = tuple(s for s in self.running if s.phase is Phase.DECODE)
        encode = next((s for s in self._by_priority() if s.phase is Phase.ENCODE), None)
        busy = bool(decode) or encode is not None
        prefill = tuple(self._chunks(self.chunk if busy else self.idle_chunk))
        blocks = self._count_blocks(encode, answers_wait=bool(decode)) if encode else 0
        return Plan(encode, blocks, prefill, decode)

    def _count_blocks(self, sequence: S, *, answers_wait: bool) -> int:
        """Return one, or as many short ones as running answers may wait for.

        Every step reads all weights for the answers: fewer steps are less work.
        """
        if not answers_wait or not sequence.block_s:
            return 1
        return max(1, int(self.tower_s / sequence.block_s))

    def _by_priority(self) -> list[S]:
        return sorted(self.running, key=lambda sequence: sequence.background)

    def _chunks(self, tokens_left: int) -> Iterator[tuple[S, int]]:
        for sequence in self._by_priority():
            if sequence.phase is Phase.PREFILL and tokens_left > 0:
                tokens = min(tokens_left, sequence.prefill_left)
                tokens_left -= tokens
                yield sequence, tokens
