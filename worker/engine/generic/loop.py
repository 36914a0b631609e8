"""The thread of the generic engine: it writes one answer after another."""

from __future__ import annotations

import gc
import logging
import threading
from typing import Any

import torch

from shared.errors import InferenceFailed, OutOfMemory
from shared.jobs import FinishReason
from worker.engine.failures import service_error
from worker.engine.generic.answer import NOT_KEPT, Answer
from worker.engine.generic.decoding import AnswerWriting, Interrupted
from worker.engine.generic.watch import ModelWatch
from worker.engine.memory.malloc import trim_memory
from worker.engine.speed.rates import RateMeter

_log = logging.getLogger(__name__)

#: Seconds between two looks at those that wait, whose callers may have gone.
_LOOK_S = 0.05


class GenericLoop:
    """The waiting requests, and the one that is answered."""

    def __init__(self, model: Any) -> None:
        """Work on transformers' `model` once it is started."""
        self.meter = RateMeter()
        self._model = model
        self._watch = ModelWatch(model)
        self._waiting: list[Answer] = []
        self._changed = threading.Condition()
        self._closing = False
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    @property
    def alive(self) -> bool:
        """Tell whether the thread works."""
        return self._thread.is_alive() and not self._ended

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def submit(self, answer: Answer) -> None:
        """Queue a request; those that nobody waits for are overtaken."""
        with self._changed:
            self._waiting.append(answer)
            self._changed.notify()
            if self._ended:
                self._end_all()

    def close(self) -> None:
        """End every request as canceled, and the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        try:
            with torch.inference_mode():
                while not self._closing:
                    self._answer_next()
        except BaseException:
            _log.exception("engine.died")
            raise
        finally:
            with self._changed:
                self._ended = True
                self._end_all()

    def _answer_next(self) -> None:
        """Answer the next request; without any, wait a moment for one."""
        answer = self._take()
        if answer is None:
            return
        try:
            if answer.ticket.request.encode_only:
                answer.finish(FinishReason.STOP, NOT_KEPT)
            else:
                self._write(answer)
        except Exception as error:  # noqa: BLE001 - no error of a request may end the thread
            self._fail(answer, error)

    def _take(self) -> Answer | None:
        with self._changed:
            if not self._waiting and not self._closing:
                self._changed.wait(_LOOK_S)
            self._end_abandoned()
            if self._closing or not self._waiting:
                return None
            urgent = (a for a in self._waiting if not a.ticket.request.background)
            answer = next(urgent, self._waiting[0])
            self._waiting.remove(answer)
            return answer

    def _write(self, answer: Answer) -> None:
        writing = AnswerWriting(self._model, self._watch, answer, self.meter, self._look_around)
        answer.finish(writing.run())

    def _look_around(self) -> None:
        """End requests that nobody waits for any more, beside the one that is answered.

        Raises Interrupted when that one must end too, because the engine closes.
        """
        if self._closing:
            raise Interrupted(FinishReason.CANCELED)
        if self._changed.acquire(blocking=False):
            try:
                self._end_abandoned()
            finally:
                self._changed.release()

    def _end_abandoned(self) -> None:
        for answer in list(self._waiting):
            reason = answer.ticket.end_reason
            if reason is not None:
                self._waiting.remove(answer)
                answer.finish(reason)

    def _fail(self, answer: Answer, error: Exception) -> None:
        failure = service_error(error)
        _log.error(
            "sequence.failed",
            extra={"request": answer.ticket.request.id, "error": failure.code},
            exc_info=error,
        )
        answer.fail(failure)
        if isinstance(failure, OutOfMemory):
            gc.collect()
            trim_memory()

    def _end_all(self) -> None:
        """End those that wait: canceled on closing, failed after the thread died."""
        while self._waiting:
            answer = self._waiting.pop()
            if self._closing:
                answer.finish(FinishReason.CANCELED)
            else:
                answer.fail(InferenceFailed("The engine's thread has crashed."))
