"""What the engine does next: plain Python that knows no tensor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Generic, Protocol, TypeVar


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
    def kv_bytes(self) -> int:
        """Bytes that it may need for keys and values."""

    @property
    def background(self) -> bool:
        """Tell whether others may overtake it."""


S = TypeVar("S", bound=Plannable)


@dataclass(frozen=True, slots=True)
class Plan(Generic[S]):
    """One step: a block of the tower for one sequence, then one pass of the language model."""

    encode: S | None
    #: Sequences and how many tokens of their prompts.
    prefill: tuple[tuple[S, int], ...]
    decode: tuple[S, ...]


@dataclass(slots=True)
class Scheduler(Generic[S]):
    """First come, first served, background last; running answers get a token in every step."""

    #: Sequences that may run at once.
    slots: int
    #: Bytes of keys and values of all running sequences.
    kv_bytes: int
    #: Prompt tokens of one step while answers run, and while none does.
    chunk: int = 96
    idle_chunk: int = 128
    waiting: list[S] = field(default_factory=list)
    running: list[S] = field(default_factory=list)

    @property
    def reserved_bytes(self) -> int:
        """Bytes that the running sequences may use."""
        return sum(sequence.kv_bytes for sequence in self.running)

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

    def admit(self) -> Iterator[S]:
        """Move waiting sequences to running while there is room, oldest first."""
        while self.waiting and len(self.running) < self.slots:
            if self.reserved_bytes + self.waiting[0].kv_bytes > self.kv_bytes:
                return
            sequence = self.waiting.pop(0)
            self.running.append(sequence)
            yield sequence

    def plan(self) -> Plan[S]:
        """Return the next step; empty when nothing runs."""
        decode = tuple(s for s in self.running if s.phase is Phase.DECODE)
        encode = next((s for s in self._in_turn() if s.phase is Phase.ENCODE), None)
        busy = bool(decode) or encode is not None
        return Plan(encode, tuple(self._chunks(self.chunk if busy else self.idle_chunk)), decode)

    def _in_turn(self) -> list[S]:
        return sorted(self.running, key=lambda sequence: sequence.background)

    def _chunks(self, budget: int) -> Iterator[tuple[S, int]]:
        for sequence in self._in_turn():
            if sequence.phase is Phase.PREFILL and budget > 0:
                tokens = min(budget, sequence.prefill_left)
                budget -= tokens
                yield sequence, tokens
