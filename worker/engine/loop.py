"""The thread that owns the model: admits, encodes, computes, samples, ends; step after step."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable

import torch

from shared.errors import InferenceFailed, OutOfMemory, ServiceError
from shared.jobs import DETAIL_PIXELS, FinishReason
from worker.engine.loader import LoadedModel
from worker.engine.memory.budget import MemoryBudget
from worker.engine.memory.feature_cache import FeatureCache
from worker.engine.memory.kv_cache import KVEntry, KVPool, SequenceKV
from worker.engine.memory.malloc import trim_memory
from worker.engine.packing import Row, pack_batch
from worker.engine.scheduler import Phase, Scheduler
from worker.engine.sequence import ImageWork, Sequence
from worker.engine.speed.rates import RateMeter

_log = logging.getLogger(__name__)

#: Running answers wait for the tower no longer than for one block of an image of this budget.
_LARGEST_PIXELS = DETAIL_PIXELS["auto"]
#: Nor longer than this where even such a block is slow.
_TOWER_MOST_S = 0.25

#: Room for the next turn of a conversation, so that it need not move to a larger buffer.
_NEXT_TURN_TOKENS = 512

_NO_MEMORY = ("can't allocate memory", "not enough memory")


class EngineLoop:
    """All running requests, and the steps that move them on."""

    def __init__(
        self, model: LoadedModel, features: FeatureCache, slots: int, room: MemoryBudget
    ) -> None:
        """`room` bounds keys and values of running and of idle sequences together."""
        self.meter = RateMeter()
        self._model = model
        self._features = features
        self._kv_bytes = room.kv_bytes
        self._pool = KVPool(room.kv_bytes)
        self._scheduler: Scheduler[Sequence] = Scheduler(slots, room)
        self._inbox: queue.SimpleQueue[Sequence | None] = queue.SimpleQueue()
        self._closing = False
        self._ended = False
        self._ending = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    @property
    def alive(self) -> bool:
        """Tell whether the thread works."""
        return self._thread.is_alive() and not self._ended

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def submit(self, sequence: Sequence) -> None:
        """Prepare its images in the caller's thread and queue it."""
        request = sequence.ticket.request
        shared = bool(request.feature_scope)
        reusable = self._pool.reusable(request.scope, sequence.prompt.identity)
        ahead = self._scheduler.fits_at_once(sequence.need)
        for image in sequence.images:
            if image.span.end > reusable:
                find = self._features.get if shared else _no_features
                self._prepare(image, find, patches=ahead)
        with self._ending:
            self._inbox.put(sequence)
            if self._ended:
                self._end_all()

    def close(self) -> None:
        """End every request as canceled, and the thread."""
        self._closing = True
        self._inbox.put(None)
        if self._thread.is_alive():
            self._thread.join()
        self._features.close()

    def _run(self) -> None:
        try:
            with torch.inference_mode():
                while not self._closing:
                    self._step()
        except BaseException:
            _log.exception("engine.died")
            raise
        finally:
            with self._ending:
                self._ended = True
                self._end_all()

    def _step(self) -> None:
        self._receive()
        for sequence in [*self._scheduler.waiting, *self._scheduler.running]:
            reason = sequence.overdue
            if reason:
                self._finish(sequence, reason)
        for sequence in list(self._scheduler.admit()):
            self._guard(self._start, sequence)
        plan = self._scheduler.plan()
        if plan.encode is not None:
            self._run_tower(plan.encode, plan.blocks)
        rows: list[Row] = [(sequence, 0) for sequence in plan.decode]
        self._compute(rows + list(plan.prefill))

    def _receive(self) -> None:
        """Take new requests; wait for one when there is nothing else to do."""
        idle = not (self._scheduler.waiting or self._scheduler.running)
        while idle or not self._inbox.empty():
            sequence = self._inbox.get()
            idle = False
            if sequence is not None:
                self._scheduler.add(sequence)

    def _start(self, sequence: Sequence) -> None:
        """Give an admitted sequence its buffer, reusing what an earlier one computed."""
        shape, dtype = self._model.shape.text, self._model.text.dtype
        request = sequence.ticket.request
        if request.encode_only:
            sequence.admitted(SequenceKV(shape, 0, dtype), 0)
            self._end_if_only_encoding(sequence)
            return
        capacity = len(sequence.prompt.ids) + sequence.writer.limit
        reserve = _NEXT_TURN_TOKENS if request.scope else 0
        kept = self._pool.take(request.scope, sequence.prompt.identity)
        self._pool.shrink(self._kv_bytes - self._scheduler.reserved_bytes)
        kv = kept.grown(shape, capacity) if kept else SequenceKV(shape, capacity + reserve, dtype)
        sequence.admitted(kv, kv.length)

    def _prepare(
        self, image: ImageWork, find: Callable[[str], torch.Tensor | None], *, patches: bool = True
    ) -> None:
        """Look for an image's features; have its patches ready if there are none."""
        image.features = find(image.span.key)
        if patches and image.features is None and image.patches is None:
            image.patches = self._model.reader.patches(image.span.source)

    def _run_tower(self, sequence: Sequence, blocks: int) -> None:
        """Run so many blocks, fewer where the image or the sequence ends."""
        for _ in range(blocks):
            self._guard(self._encode, sequence)
            ended = sequence.steps is None or sequence not in self._scheduler.running
            if ended or sequence.overdue:
                return

    def _encode(self, sequence: Sequence) -> None:
        """Run one block of the tower for the first image that lacks features."""
        image = sequence.to_encode
        if image is None:
            return
        shared = bool(sequence.ticket.request.feature_scope)
        if sequence.steps is None:
            # another request may have encoded the same image in the meantime
            self._prepare(image, self._features.near if shared else _no_features)
            if image.patches is None or image.features is not None:
                self._end_if_only_encoding(sequence)
                return
            sequence.steps = self._model.tower.steps(image.patches, image.span.size)
        started = time.monotonic()
        try:
            fraction = next(sequence.steps)
        except StopIteration as end:
            sequence.encoded(image, end.value)
            if shared:
                self._features.put(image.span.key, end.value)
            trim_memory()
            self._scheduler.tower_s = self._largest_block_s()
            self._end_if_only_encoding(sequence)
            return
        sequence.block_s = time.monotonic() - started
        share = 1 / self._model.shape.vision.depth
        self.meter.encoded(image.span.size.tokens, share, sequence.block_s)
        sequence.encode_went_on(fraction)

    def _largest_block_s(self) -> float:
        """Return what a block of the largest usual image takes, as far as is known by now."""
        pixels = min(_LARGEST_PIXELS, self._model.reader.pixels[1])
        whole = self.meter.read().encode.at(pixels // self._model.reader.factor**2)
        return min(_TOWER_MOST_S, whole / self._model.shape.vision.depth)

    def _end_if_only_encoding(self, sequence: Sequence) -> None:
        """End a request that wants no answer, once it has its features."""
        if sequence.ticket.request.encode_only and sequence.to_encode is None:
            self._finish(sequence, FinishReason.STOP)

    def _compute(self, rows: list[Row]) -> None:
        """Run one pass over all rows; if it fails, each sequence alone to find the culprit."""
        if not rows:
            return
        for sequence, _ in rows:
            sequence.prefill_starts()
        started = time.monotonic()
        try:
            logits = self._model.text.forward(pack_batch(rows))
        except Exception as error:  # noqa: BLE001 - no error of a request may end the thread
            if len(rows) == 1:
                self._fail(rows[0][0], error)
                return
            for row in rows:
                self._compute([row])
            return
        prefill = sum(tokens for _, tokens in rows)
        decode = sum(not tokens for _, tokens in rows)
        self.meter.stepped(prefill, decode, len(rows), time.monotonic() - started)
        for (sequence, tokens), row in zip(rows, logits, strict=True):
            self._guard(self._advance, sequence, tokens, row)

    def _advance(self, sequence: Sequence, prefill_tokens: int, logits: torch.Tensor) -> None:
        """Sample where a token is due, and end the answer where it ends."""
        if prefill_tokens:
            sequence.prefill_went_on()
            if sequence.phase is Phase.PREFILL:
                return
        reason = sequence.write(logits)
        if reason is not None:
            self._finish(sequence, reason)

    def _finish(self, sequence: Sequence, reason: FinishReason) -> None:
        """End an answer and keep its keys and values for the next turn."""
        self._scheduler.remove(sequence)
        if sequence.kv is not None and sequence.kv.length:
            scope = sequence.ticket.request.scope
            self._pool.put(scope, KVEntry(sequence.kv, sequence.identity))
            self._pool.shrink(self._kv_bytes - self._scheduler.reserved_bytes)
        sequence.finish(reason)

    def _guard(
        self, work: Callable[..., None], sequence: Sequence, *args: int | torch.Tensor
    ) -> None:
        """Let an error end one sequence only."""
        try:
            work(sequence, *args)
        except Exception as error:  # noqa: BLE001
            self._fail(sequence, error)

    def _fail(self, sequence: Sequence, error: Exception) -> None:
        self._scheduler.remove(sequence)
        seen = _service_error(error)
        if isinstance(seen, OutOfMemory):
            self._pool.shrink(0)
        _log.error(
            "sequence.failed",
            extra={"request": sequence.ticket.request.id, "error": seen.code},
            exc_info=error,
        )
        sequence.fail(seen)

    def _end_all(self) -> None:
        """End what is left: canceled on closing, failed after the thread died."""
        left = [*self._scheduler.waiting, *self._scheduler.running]
        while not self._inbox.empty():
            sequence = self._inbox.get()
            if sequence is not None:
                left.append(sequence)
        for sequence in left:
            self._scheduler.remove(sequence)
            if self._closing:
                sequence.finish(FinishReason.CANCELED)
            else:
                sequence.fail(InferenceFailed("The engine's thread has died."))


def _no_features(_key: str) -> torch.Tensor | None:
    return None


def _service_error(error: Exception) -> ServiceError:
    """Return what the caller is told of an error."""
    if isinstance(error, ServiceError):
        return error
    if isinstance(error, MemoryError) or any(part in str(error) for part in _NO_MEMORY):
        return OutOfMemory()
    return InferenceFailed(f"The model raised {type(error).__name__}.")
