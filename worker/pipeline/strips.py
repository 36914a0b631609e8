"""Reads an image in strips that a small model reads well, all at once, as one answer.

A strip whose answer has another number of lines than its image is read again in halves, so that a
model which loses its place is led back to it.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from PIL import Image

from shared.jobs import FinishReason, Notice, Stage, Usage
from worker.engine.api import (
    Completion,
    Delta,
    Event,
    Failed,
    ImageInput,
    Progress,
    Reference,
    Started,
    Thought,
    Ticket,
    Timings,
    UsedImage,
)
from worker.pipeline.strip_answers import (
    both_states,
    distinct_notices,
    find_lines,
    mean_confidence,
    share_time,
)
from worker.tiling import settle_pieces
from worker.tiling.strips import Strip, halve_strip
from worker.tiling.tables import is_rule
from worker.tiling.tile import Box

#: Order in which a strip goes through the stages.
_STAGES = (Stage.ENCODE, Stage.PREFILL, Stage.DECODE)
_ENDED_EARLY = (FinishReason.CANCELED, FinishReason.DEADLINE)


@dataclass(slots=True, eq=False)
class _Part:
    """A strip, and how far its reading has come."""

    strip: Strip
    #: None before it is asked about.
    ticket: Ticket | None = None
    completion: Completion | None = None
    stage: Stage = Stage.ENCODE
    used: UsedImage | None = None
    #: Its answer stays as it is.
    settled: bool = False

    @property
    def running(self) -> bool:
        """Tell whether the engine works on it."""
        return self.ticket is not None and self.completion is None

    @property
    def missing(self) -> int:
        """Return how many of its lines the answer lacks, below 0 where it has more."""
        return len(self.strip.rows) - _count_lines(self.completion)

    @property
    def looks_whole(self) -> bool:
        """Tell whether its answer has as many lines as its image, and came to its end."""
        stopped = self.completion is None or self.completion.finish_reason is FinishReason.STOP
        return stopped and self.missing == 0


def _count_lines(completion: Completion | None) -> int:
    text = completion.text if completion else ""
    return sum(bool(line.strip()) and not is_rule(line) for line in text.split("\n"))


#: Asks the engine about a part of the image: its box, tokens at most, and if others go first.
Asker = Callable[[ImageInput, int, bool], Ticket]


class StripTicket:
    """The events of all strips of an image as those of one answer; one thread gets them."""

    def __init__(
        self,
        source: ImageInput,
        strips: Sequence[Strip],
        ask: Asker,
        *,
        at_once: int,
        max_new_tokens: int,
        most_tokens: int | None = None,
        look: Callable[[Image.Image, Box], Box],
    ) -> None:
        """`at_once` strips are given to the engine; `look` returns the part of a box to be seen.

        Each answer has at most `max_new_tokens`, all together `most_tokens`.
        """
        self._source = source
        self._parts = [_Part(strip) for strip in strips]
        self._ask = ask
        self._at_once = at_once
        self._max_new_tokens = max_new_tokens
        self._most_tokens = most_tokens
        self._look = look
        self._references: list[Reference] = []
        #: Of answers that were read again.
        self._spent = Usage()
        self._spent_timings: list[Timings] = []
        self._events: deque[Event] = deque()
        self._sent = ""
        self._ended = False
        self._canceled = False
        self._began = time.monotonic()
        self._ask_more()
        self._events.append(self._started())

    def get(self, timeout_s: float) -> Event | None:
        """Return the next event, or None when none came in time."""
        until = time.monotonic() + timeout_s
        while not self._events and not self._ended:
            if self._canceled and not any(part.running for part in self._parts):
                self._end(self._completion(FinishReason.CANCELED))
                break
            left = until - time.monotonic()
            if not self._take_events() and (left <= 0 or not self._wait(left)):
                break
        return self._events.popleft() if self._events else None

    def refer(self, reference: Reference) -> None:
        """Add what the answer may follow."""
        self._references.append(reference)
        for part in self._parts:
            if part.ticket is not None and part.running:
                part.ticket.refer(reference)

    def cancel(self) -> None:
        """Ask the engine to stop."""
        self._canceled = True
        for part in self._parts:
            if part.ticket is not None:
                part.ticket.cancel()

    def events(self, poll_s: float = 1.0) -> Iterator[Event]:
        """Yield events until the last one, a Completion or a Failed."""
        while True:
            event = self.get(poll_s)
            if event is not None:
                yield event
            if isinstance(event, Completion | Failed):
                return

    def _ask_more(self) -> None:
        """Keep so many strips in the engine; the first of all is asked before other jobs' parts."""
        running = sum(part.running for part in self._parts)
        waiting = (part for part in self._parts if part.ticket is None)
        for part in waiting:
            if running >= self._at_once or self._canceled:
                return
            self._start(part, self._max_new_tokens)
            running += 1

    def _start(self, part: _Part, tokens: int) -> None:
        box = self._look(self._source.image, part.strip.tile.box)
        image = replace(
            self._source,
            image=self._source.image.crop(box),
            variant=f"{self._source.variant}@{','.join(map(str, box))}",
        )
        part.ticket, part.completion = self._ask(image, tokens, part is not self._parts[0]), None
        for reference in self._references:
            part.ticket.refer(reference)

    def _take_events(self) -> bool:
        """Take what the strips have sent so far; False where there is nothing."""
        took = False
        for part in list(self._parts):
            # one that was cut off, or halved, is of no interest any more
            while part.ticket is not None and self._awaits(part):
                event = part.ticket.get(0)
                if event is None:
                    break
                took = True
                self._take(part, event)
        return took

    def _awaits(self, part: _Part) -> bool:
        return part.running and part in self._parts and not self._ended

    def _wait(self, seconds: float) -> bool:
        """Wait for the first strip that runs; False where nothing came in time."""
        part = next((part for part in self._parts if part.running), None)
        event = part.ticket.get(seconds) if part is not None and part.ticket is not None else None
        if part is None or event is None:
            return False
        self._take(part, event)
        return True

    def _take(self, part: _Part, event: Event) -> None:
        match event:
            case Started(_, images):
                part.used = images[0] if images else None
            case Progress(stage, _):
                self._note_stage(part, stage)
            case Delta() | Thought():
                self._note_stage(part, Stage.DECODE)
            case Failed():
                self._end(event)
            case Completion():
                part.completion = event
                self._take_completion(part, event)

    def _note_stage(self, part: _Part, stage: Stage) -> None:
        if stage is part.stage or stage not in _STAGES:
            return
        part.stage = stage
        if not self._sent:
            self._events.append(self._progress())

    def _progress(self) -> Progress:
        """Return the stage that not every strip has left, and how many have."""
        for place, stage in enumerate(_STAGES):
            done = sum(p.settled or _STAGES.index(p.stage) > place for p in self._parts)
            if done < len(self._parts):
                return Progress(stage, done / len(self._parts))
        return Progress(Stage.DECODE, 1.0)

    def _take_completion(self, part: _Part, completion: Completion) -> None:
        if completion.finish_reason in _ENDED_EARLY:
            self._end(self._completion(completion.finish_reason, part))
            return
        halves = [] if part.looks_whole else halve_strip(self._source.image, part.strip)
        if len(halves) > 1:
            self._note_spent(completion)
            at = self._parts.index(part)
            self._parts[at : at + 1] = [_Part(strip) for strip in halves]
        self._ask_more()
        self._settle()

    def _note_spent(self, completion: Completion) -> None:
        self._spent = Usage.total([self._spent, completion.usage])
        self._spent_timings.append(completion.timings)

    def _settle(self) -> None:
        """Send what is final of the text: that of the first strips which are read."""
        left = math.inf if self._most_tokens is None else self._most_tokens
        for part in self._parts:
            if part.completion is None:
                break
            tokens = part.completion.usage.answer_tokens
            if tokens > left:
                self._limit(part, int(left))
                break
            part.settled = True
            left -= tokens
        self._send_settled()
        if not self._ended and all(part.settled for part in self._parts):
            self._end(self._completion(self._reason()))

    def _limit(self, part: _Part, left: int) -> None:
        """Read a strip whose answer is too long for the whole again, with the tokens left to it."""
        for later in self._parts[self._parts.index(part) + 1 :]:
            if later.ticket is not None:
                later.ticket.cancel()
        self._parts = self._parts[: self._parts.index(part) + 1]
        if part.completion is not None:
            self._note_spent(part.completion)
        if left:
            self._start(part, left)
            # what is missing is no longer looked for
            part.strip = replace(part.strip, rows=part.strip.rows[:1])
            return
        self._parts.pop()
        self._send_settled()
        self._end(self._completion(FinishReason.LENGTH))

    def _send_settled(self) -> None:
        text = self._text()
        if len(text) > len(self._sent):
            tokens = sum(one.usage.answer_tokens for one in self._settled())
            self._events.append(Delta(text[len(self._sent) :], tokens))
            self._sent = text

    def _settled(self) -> Iterator[Completion]:
        """Yield the answers about the strips that are read."""
        for part in self._parts:
            if not part.settled or part.completion is None:
                return
            yield part.completion

    def _text(self, partial: str | None = None) -> str:
        """Return the text of the strips that are read, with what the next one has so far."""
        tiles = [replace(p.strip.tile, order=n) for n, p in enumerate(self._parts)]
        texts = [one.text for one in self._settled()]
        if partial:
            texts.append(partial)
        return "".join(settle_pieces(tiles, texts))

    def _reason(self) -> FinishReason:
        reasons = {one.finish_reason for one in self._settled()}
        for reason in (FinishReason.LOOP, FinishReason.LENGTH):
            if reason in reasons:
                return reason
        return FinishReason.STOP

    def _end(self, event: Completion | Failed) -> None:
        self._ended = True
        for part in self._parts:
            if part.ticket is not None and part.running:
                part.ticket.cancel()
        if isinstance(event, Completion):
            self._events.append(self._started())
        self._events.append(event)

    def _started(self) -> Started:
        """Return the sizes so far: the image as it is, and the tokens that it took."""
        known = [part.used for part in self._parts if part.used is not None]
        image = self._source.image
        used = UsedImage(self._source.id, image.size, sum(one.tokens for one in known))
        tokens = sum(one.usage.prompt_tokens for one in self._settled())
        return Started(tokens, (used,) if known else ())

    def _completion(self, reason: FinishReason, interrupted: _Part | None = None) -> Completion:
        ended = list(self._settled())
        cut_off = interrupted.completion if interrupted else None
        is_next = interrupted is not None and self._parts.index(interrupted) == len(ended)
        text = self._text(cut_off.text if is_next and cut_off else None)
        missing = sum(max(0, part.missing) for part in self._parts if part.settled)
        counted = [*ended, *([cut_off] if cut_off else [])]
        timings = [*self._spent_timings, *(one.timings for one in counted)]
        return Completion(
            text=text,
            finish_reason=reason,
            usage=Usage.total([self._spent, *(one.usage for one in counted)]),
            timings=share_time(time.monotonic() - self._began, timings),
            features=both_states([one.features for one in ended]),
            prefix=both_states([one.prefix for one in ended]),
            confidence=mean_confidence(ended),
            lines=find_lines(text, ended),
            notices=(*distinct_notices(ended), *_missing_notices(missing, reason)),
        )


def _missing_notices(missing: int, reason: FinishReason) -> list[Notice]:
    if not missing or reason in _ENDED_EARLY:
        return []
    detail = f"The image seems to have {missing} more lines of text than the answer."
    return [Notice(code="lines_missing", detail=detail)]
