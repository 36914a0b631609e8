"""Asks a loaded engine about a new picture, and tells what the answer has cost."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import NamedTuple

from bench.engine.measures import QUESTION, picture
from bench.engine.probe import record_writers
from shared.jobs import GenerationParams
from worker.engine.api import Completion, Engine, EngineRequest, Failed, ImageInput, Message


class Seconds(NamedTuple):
    """A moment or a time, by the wall and in processor time of a whole process."""

    wall: float
    cpu: float

    def since(self, sooner: Seconds) -> Seconds:
        """Return the time from `sooner` until this moment."""
        return Seconds(self.wall - sooner.wall, self.cpu - sooner.cpu)

    def divide(self, count: int) -> Seconds:
        """Return one of so many equal parts."""
        return Seconds(self.wall / count, self.cpu / count)


@dataclass(frozen=True, slots=True)
class Answer:
    """What an answer to a question about a new picture has cost."""

    #: Of the picture and the words together.
    prompt_tokens: int
    #: From the picture's pixels until the logits of the first token.
    cold: Seconds
    #: Of `cold` by the wall, the tower.
    tower_wall: float
    #: Of one token after the first, sampling included; zero if there was none.
    token: Seconds


def ask_engine(engine: Engine, side: int, seed: int, tokens: int) -> Answer:
    """Ask about a square of noise and let exactly so many tokens be written.

    Raises ServiceError if the engine fails, RuntimeError if the answer ends sooner.
    """
    image = ImageInput(f"img_{side}_{seed}", picture(side, seed), 1 << 24)
    params = GenerationParams(max_new_tokens=tokens)
    request = EngineRequest("bench", (Message("user", QUESTION, (image,)),), params)
    with record_writers() as writers:
        started = Seconds(time.perf_counter(), time.process_time())
        done = _end(engine, request)
    [writer] = writers
    if len(writer.times) != tokens:
        raise RuntimeError(f"{len(writer.times)} instead of {tokens} tokens")
    chosen = [Seconds(*both) for both in zip(writer.times, writer.cpu_times, strict=True)]
    return Answer(
        done.usage.prompt_tokens,
        chosen[0].since(started),
        done.timings.encode_s,
        chosen[-1].since(chosen[0]).divide(max(tokens - 1, 1)),
    )


def _end(engine: Engine, request: EngineRequest) -> Completion:
    last = list(engine.submit(request).events())[-1]
    if isinstance(last, Failed):
        raise last.error
    if not isinstance(last, Completion):
        raise TypeError(last)
    return last
