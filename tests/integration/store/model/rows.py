"""What the model knows: rows, conversations, and lines that take turns."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field

TERMINAL = ("succeeded", "failed", "canceled", "expired")
SPAN = 1 << 43
TURN = 1_000_000


@dataclass
class Row:
    """A job, or a child that reads one of its tiles."""

    id: str
    tenant: str
    score: int
    number: int
    status: str = "queued"
    owner: str = ""
    attempt: int = 0
    lost: int = 0
    commits: int = 0
    canceled: bool = False
    lease_ms: float = 0
    #: When it expires unfinished; when its row goes after its end.
    expire_ms: float = 0
    #: When the reaper looks at it again: its worker watches the deadline, unless it is dead.
    look_ms: float = 0
    ttl_ms: float = 0
    gone_ms: float = 0
    #: Until when its images are kept while it is unfinished.
    images_ms: float = 0
    session: str = ""
    generation: int = 0
    images: set[str] = field(default_factory=set)
    phase: str = ""
    strict: bool = False
    #: Of a long job: ids of its children by tile ("" = no child), next to be queued, outcomes.
    tiles: list[str] = field(default_factory=list)
    next_tile: int = 0
    done: int = 0
    parent: str = ""

    @property
    def line(self) -> str:
        return self.tenant + ("\ntiles" if self.parent else "")

    @property
    def shown(self) -> str:
        """The status that callers see."""
        return "running" if self.phase and self.status == "queued" else self.status


@dataclass
class Talk:
    """A conversation."""

    generation: int
    until_ms: float
    busy: str = ""
    turns: list[str] = field(default_factory=list)


class Queue:
    """Lines that take turns."""

    def __init__(self, weights: dict[str, int]) -> None:
        self.weights = weights
        self.lines: dict[str, list[tuple[int, str]]] = {}
        self.turns: dict[str, int] = {}
        self.past: dict[str, int] = {}
        self.now = 0

    def length(self, line: str) -> int:
        return TURN // self.weights.get(line, 1)

    def put(self, line: str, score: int, row_id: str) -> None:
        jobs = self.lines.setdefault(line, [])
        jobs.append((score, row_id))
        jobs.sort()
        if line not in self.turns:
            self.turns[line] = max(self.now, self.past.pop(line, 0))

    def remove(self, line: str, row_id: str) -> None:
        jobs = self.lines.get(line, [])
        kept = [job for job in jobs if job[1] != row_id]
        if len(kept) == len(jobs):
            return
        self.lines[line] = kept
        if kept:
            return
        del self.lines[line]
        at = self.turns.pop(line)
        if self.turns:
            self.past[line] = min(at, self.now + self.length(line))
        else:
            self.past.clear()

    def take(self, line: str, row_id: str, *, in_turn: bool) -> None:
        at = self.turns[line]
        if in_turn and at > self.now:
            self.now = at
            self.past = {name: turn for name, turn in self.past.items() if turn > at}
        self.turns[line] = at + self.length(line)
        self.remove(line, row_id)

    def in_order(self) -> list[str]:
        return sorted(self.turns, key=lambda line: (self.turns[line], line.encode()))

    def positions(self) -> dict[str, int]:
        """Return how many are taken before each, by taking all of them."""
        rest, order = copy.deepcopy(self), []
        while rest.turns:
            line = rest.in_order()[0]
            row_id = rest.lines[line][0][1]
            order.append(row_id)
            rest.take(line, row_id, in_turn=True)
        return {row_id: place for place, row_id in enumerate(order)}
