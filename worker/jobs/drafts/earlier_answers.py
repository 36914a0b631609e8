"""Earlier answers about images, which the next answer about the same ones may repeat."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field

from worker.engine.api import Reference

#: Tokens (or letters) of all answers together, and answers about the same images.
_MOST_TOKENS, _MOST_ANSWERS = 300_000, 2
#: Seconds for which an answer is remembered; never longer than its job's own time.
_MOST_S = 3600.0

#: Whose images they are, and their ids.
Subject = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Answer:
    subject: Subject
    text: Reference
    #: Of the files and the job that it is about.
    marks: frozenset[str]
    #: By `time.monotonic()`.
    until: float


@dataclass(slots=True)
class EarlierAnswers:
    """The latest answers of a worker, in memory only; all methods are thread-safe."""

    max_tokens: int = _MOST_TOKENS
    #: Oldest first.
    _answers: OrderedDict[int, _Answer] = field(default_factory=OrderedDict)
    _tokens: int = 0
    _serial: int = 0
    #: Marks of which nothing is kept.
    _erased: frozenset[str] = frozenset()
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def keep(
        self, subject: Subject, text: Reference, *, marks: frozenset[str], seconds: float
    ) -> None:
        """Remember an answer about a subject for at most so many seconds."""
        until = time.monotonic() + min(seconds, _MOST_S)
        with self._lock:
            if not text or marks & self._erased:
                return
            same = [n for n, one in self._answers.items() if one.subject == subject]
            again = [n for n in same if self._answers[n].text == text]
            for serial in again or same[: 1 - _MOST_ANSWERS]:
                self._drop(serial)
            self._serial += 1
            self._answers[self._serial] = _Answer(subject, text, marks, until)
            self._tokens += len(text)
            while self._tokens > self.max_tokens:
                self._drop(next(iter(self._answers)))

    def find(self, subject: Subject) -> list[Reference]:
        """Return what was answered about a subject, latest first."""
        now = time.monotonic()
        with self._lock:
            for serial in [n for n, one in self._answers.items() if one.until < now]:
                self._drop(serial)
            return [one.text for one in self._answers.values() if one.subject == subject][::-1]

    def forget(self, marks: frozenset[str]) -> None:
        """Drop what bears one of these marks, and keep nothing of them until the next call."""
        with self._lock:
            self._erased = marks
            for serial in [n for n, one in self._answers.items() if one.marks & marks]:
                self._drop(serial)

    def _drop(self, serial: int) -> None:
        self._tokens -= len(self._answers.pop(serial).text)
