"""What the engine does next: plain Python that knows no tensor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Generic, Protocol, TypeVar

from worker.engine.memory.budget import MemoryBudget, MemoryNeed


class Phase(Enum):
    """Where a sequence stands between admission and end."""

    ENCODE = "encode"
    PREFILL = "prefill"
    DECODE = "decode"


class Plannable(Protocol):
    """What the scheduler needs to know of a sequence."""

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
        """Memory that it may take."""

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
    #: Sequences and how many tokens of their prompts.
    prefill: tuple[tuple[S, int], ...]
    decode: tuple[S, ...]


@dataclass(slots=True)
class Scheduler(Generic[S]):
    """First come, first served, background last; running answers get a token in every step."""

    #: Sequences that may run at once.
    slots: int
    #: Memory of all running sequences.
    room: MemoryBudget
    #: Prompt tokens of one step while answers run, and while none does.
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
        """Let a sequence wait for its turn."""
        if sequence.background:
            self.waiting.append(sequence)
            return
        ahead = sum(not other.background for other in self.waiting)
        self.waiting.insert(ahead, sequence)

    def remove(self, sequence: S) -> None:
        """Forget a sequence that has ended."""
        for group in (self.waiting, self.running):
            if sequence in group:
                group.remove(sequence)

    def fits(self, need: MemoryNeed) -> bool:
        """Tell whether there is memory for one more sequence now."""
        return self.room.holds([*(sequence.need for sequence in self.running), need])

    def fits_at_once(self, need: MemoryNeed) -> bool:
        """Tell whether one more sequence could run beside all others, waiting ones too.

        Any thread may ask; the answer may be a moment old.
        """
        others = [sequence.need for sequence in [*self.running, *self.waiting]]
        return self.room.holds([*others, need])

    def admit(self) -> Iterator[S]:
        """Move waiting sequences to running while there is room, oldest first."""
        while self.waiting and len(self.running) < self.slots:
            if not self.fits(self.waiting[0].need):
                return
            sequence = self.waiting.pop(0)
            self.running.append(sequence)
            yield sequence

    def plan(self) -> Plan[S]:
        """Return the next step; empty when nothing runs."""
        decode = tuple(s for s in self.running if s.phase is Phase.DECODE)
        encode = next((s for s in self._in_turn() if s.phase is Phase.ENCODE), None)
        busy = bool(decode) or encode is not None
        prefill = tuple(self._chunks(self.chunk if busy else self.idle_chunk))
        blocks = self._blocks(encode, waited_for=bool(decode)) if encode else 0
        return Plan(encode, blocks, prefill, decode)

    def _blocks(self, sequence: S, *, waited_for: bool) -> int:
        """Return one, or as many short ones as running answers may wait for.

        Every step reads all weights for the answers, so that fewer steps are less work.
        """
        if not waited_for or not sequence.block_s:
            return 1
        return max(1, int(self.tower_s / sequence.block_s))

    def _in_turn(self) -> list[S]:
        return sorted(self.running, key=lambda sequence: sequence.background)

    def _chunks(self, budget: int) -> Iterator[tuple[S, int]]:
        for sequence in self._in_turn():
            if sequence.phase is Phase.PREFILL and budget > 0:
                tokens = min(budget, sequence.prefill_left)
                budget -= tokens
                yield sequence, tokens
