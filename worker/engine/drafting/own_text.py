"""Guesses that what was written before comes again: in the prompt and in the answer so far."""

from __future__ import annotations

from collections.abc import Sequence

#: Tokens by which an earlier place is found, longest first.
_RUNS = (6, 3)
#: Tokens at the end of a prompt that are searched; more would take time for each request.
_PROMPT_TOKENS = 8192


class OwnText:
    """A DraftSource over the conversation itself; each token costs the same."""

    first_chance = 0.3

    def __init__(self, prompt: Sequence[int]) -> None:
        """Search the last tokens of the prompt too."""
        self._tokens: list[int] = []
        #: Where the latest occurrence of each run ends.
        self._ends: dict[tuple[int, ...], int] = {}
        #: Place of the next token, None where nothing is known.
        self._next: int | None = None
        self._agreed = False
        for token in prompt[-_PROMPT_TOKENS:]:
            self._tokens.append(int(token))
            self._note_runs()
        self._prompt_tokens = len(self._tokens)

    @property
    def trust(self) -> int:
        """See DraftSource."""
        return int(self._agreed)

    def guess(self, count: int) -> Sequence[int]:
        """See DraftSource."""
        return [] if self._next is None else self._tokens[self._next : self._next + count]

    def append(self, token: int) -> None:
        """See DraftSource."""
        self._agreed = list(self.guess(1)) == [token]
        self._tokens.append(token)
        self._next = self._next + 1 if self._agreed and self._next is not None else self._find()
        self._note_runs()

    def rewind(self, answer: Sequence[int]) -> None:
        """See DraftSource; runs of what was removed are forgotten."""
        del self._tokens[self._prompt_tokens + len(answer) :]
        self._ends = {run: end for run, end in self._ends.items() if end <= len(self._tokens)}
        self._next, self._agreed = None, False

    def _find(self) -> int | None:
        """Return where the longest run at the end occurred before."""
        runs = (tuple(self._tokens[-length:]) for length in _RUNS)
        return next((self._ends[run] for run in runs if run in self._ends), None)

    def _note_runs(self) -> None:
        for length in _RUNS:
            if len(self._tokens) >= length:
                self._ends[tuple(self._tokens[-length:])] = len(self._tokens)
