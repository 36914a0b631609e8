"""The thread that owns the model: in each step it admits, encodes, computes, samples and ends."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable

import torch

from shared.errors import InferenceFailed, OutOfMemory
from shared.jobs import DETAIL_PIXELS, FinishReason
from worker.engine.drafting.drafter import Draft
from worker.engine.drafting.sharing import MOST_TOKENS, share_rows
from worker.engine.failures import service_error
from worker.engine.loader import LoadedModel
from worker.engine.memory.budget import MemoryBudget
from worker.engine.memory.feature_cache import FeatureCache
from worker.engine.memory.kv_cache import KVEntry, KVPool, SequenceKV
from worker.engine.memory.malloc import trim_memory
from worker.engine.packing import Row, pack_batch
from worker.engine.scheduler import Phase, Scheduler
from worker.engine.sequence import PromptImage, Sequence
from worker.engine.speed.pass_seconds import PassSeconds
from worker.engine.speed.rates import RateMeter

_log = logging.getLogger(__name__)

#: Running answers wait for the tower no longer than for one block of an image of this budget.
_LARGEST_PIXELS = DETAIL_PIXELS["auto"]
#: And no longer than this where even such a block is slow.
_TOWER_MOST_S = 0.25

#: Tokens reserved for the next turn of a conversation, so that its buffer need not be copied.
_NEXT_TURN_TOKENS = 512

#: Such features would spoil every later answer about the image.
_NOT_FINITE = "The model computed no finite features of an image; its weights may be damaged."


class EngineLoop:
    """All running requests, and the steps that move them on."""

    def __init__(
        self, model: LoadedModel, features: FeatureCache, slots: int, budget: MemoryBudget
    ) -> None:
        """`budget` bounds keys and values of running and of idle sequences together."""
        self.meter = RateMeter()
        self._pass_seconds = PassSeconds()
        self._model = model
        self._features = features
        self._kv_bytes = budget.kv_bytes
        self._pool = KVPool(budget.kv_bytes)
        self._scheduler: Scheduler[Sequence] = Scheduler(slots, budget)
        self._inbox: queue.SimpleQueue[Sequence | None] = queue.SimpleQueue()
        self._closing = False
        self._ended = False
        self._end_lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    @property
    def alive(self) -> bool:
        """Tell whether the thread works."""
        return self._thread.is_alive() and not self._ended

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def submit(self, sequence: Sequence) -> None:
        """Prepare a sequence's images in the caller's thread, and queue it."""
        request = sequence.ticket.request
        shared = bool(request.feature_scope)
        reusable = self._pool.count_reusable(request.scope, sequence.prompt.identity)
        # patches of a request that must wait for memory would take memory meanwhile
        with_patches = self._scheduler.fits_at_once(sequence.need)
        for image in sequence.images:
            if image.span.end > reusable:
                look_up = self._features.get if shared else _no_features
                self._prepare(image, look_up, with_patches=with_patches)
        with self._end_lock:
            self._inbox.put(sequence)
            if self._ended:
                self._end_all()

    def forget(self, marks: frozenset[str]) -> None:
        """Keep nothing that was computed from files with these marks, until the next call."""
        self._features.forget(marks)
        self._pool.forget(marks)

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
            with self._end_lock:
                self._ended = True
                self._end_all()

    def _step(self) -> None:
        self._receive()
        for sequence in [*self._scheduler.waiting, *self._scheduler.running]:
            reason = sequence.end_reason
            if reason:
                self._finish(sequence, reason)
        for sequence in list(self._scheduler.admit()):
            self._guard(self._start, sequence)
        plan = self._scheduler.plan()
        if plan.encode is not None:
            self._run_tower(plan.encode, plan.blocks)
        self._draft(plan.decode, sum(tokens for _, tokens in plan.prefill))
        rows: list[Row] = [(sequence, 0) for sequence in plan.decode]
        self._compute(rows + list(plan.prefill))

    def _draft(self, answers: Iterable[Sequence], prefill_tokens: int) -> None:
        """Guess so many tokens of each answer as it pays to check in the next pass."""
        drafts: dict[Sequence, Draft] = {}
        for sequence in answers:
            # the pass brings one token more than those that are guessed
            most = min(MOST_TOKENS, sequence.tokens_left - 1)
            drafts[sequence] = sequence.drafter.draft(most)
        if not any(draft.tokens for draft in drafts.values()):
            return
        chances = [draft.chances for draft in drafts.values()]
        counts = share_rows(chances, self._pass_seconds.at, prefill_tokens)
        for (sequence, draft), count in zip(drafts.items(), counts, strict=True):
            sequence.draft = draft.tokens[:count]

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
            sequence.start(SequenceKV(shape, 0, dtype), 0)
            self._end_if_only_encoding(sequence)
            return
        capacity = len(sequence.prompt.ids) + sequence.writer.total
        reserve = _NEXT_TURN_TOKENS if request.scope else 0
        kv = self._pool.take(request.scope, sequence.prompt.identity)
        self._pool.shrink(self._kv_bytes - self._scheduler.reserved_bytes)
        kv = kv.grow(shape, capacity) if kv else SequenceKV(shape, capacity + reserve, dtype)
        sequence.start(kv, kv.length)

    def _prepare(
        self,
        image: PromptImage,
        look_up: Callable[[str], torch.Tensor | None],
        *,
        with_patches: bool = True,
    ) -> None:
        """Look up an image's features by key; without any, compute its patches."""
        image.features = look_up(image.span.key)
        if with_patches and image.features is None and image.patches is None:
            image.patches = self._model.reader.patches(image.span.source)

    def _run_tower(self, sequence: Sequence, blocks: int) -> None:
        """Run so many blocks, fewer where the image or the sequence ends."""
        for _ in range(blocks):
            self._guard(self._encode, sequence)
            ended = sequence.steps is None or sequence not in self._scheduler.running
            if ended or sequence.end_reason:
                return

    def _encode(self, sequence: Sequence) -> None:
        """Run one block of the tower for the first image that lacks features."""
        image = sequence.to_encode
        if image is None:
            return
        shared = bool(sequence.ticket.request.feature_scope)
        if sequence.steps is None:
            # another request may have encoded the same image in the meantime
            self._prepare(image, self._features.get_local if shared else _no_features)
            if image.patches is None or image.features is not None:
                self._end_if_only_encoding(sequence)
                return
            sequence.steps = self._model.tower.steps(image.patches, image.span.size)
        started = time.monotonic()
        try:
            fraction = next(sequence.steps)
        except StopIteration as end:
            if not end.value.isfinite().all():
                raise InferenceFailed(_NOT_FINITE) from None
            sequence.set_features(image, end.value)
            if shared:
                self._features.put(image.span.key, end.value)
            trim_memory()
            self._scheduler.tower_s = self._largest_block_s()
            self._end_if_only_encoding(sequence)
            return
        sequence.block_s = time.monotonic() - started
        share = 1 / self._model.shape.vision.depth
        self.meter.add_encode(image.span.size.tokens, share, sequence.block_s)
        sequence.report_encode(fraction)

    def _largest_block_s(self) -> float:
        """Return the seconds of a block of the largest usual image, as measured so far."""
        pixels = min(_LARGEST_PIXELS, self._model.reader.pixels[1])
        whole = self.meter.read().encode.at(pixels // self._model.reader.factor**2)
        return min(_TOWER_MOST_S, whole / self._model.shape.vision.depth)

    def _end_if_only_encoding(self, sequence: Sequence) -> None:
        """End a request without an answer once all features are there."""
        if sequence.ticket.request.encode_only and sequence.to_encode is None:
            self._finish(sequence, FinishReason.STOP)

    def _compute(self, rows: list[Row]) -> None:
        """Run one pass over all rows; if it fails, each sequence alone to find the one at fault."""
        if not rows:
            return
        for sequence, _ in rows:
            sequence.start_prefill()
        started = time.monotonic()
        try:
            logits = self._model.text.forward(pack_batch(rows))
        except Exception as error:  # noqa: BLE001 - no error of a request may end the thread
            if len(rows) == 1:
                self._compute_undrafted(rows[0], error)
                return
            for row in rows:
                self._compute([row])
            return
        seconds = time.monotonic() - started
        scored = [1 if tokens else 1 + len(sequence.draft) for sequence, tokens in rows]
        self._measure(rows, sum(scored), seconds)
        parts = torch.split(logits, scored)
        for (sequence, tokens), part in zip(rows, parts, strict=True):
            self._guard(self._advance, sequence, tokens, part)

    def _compute_undrafted(self, row: Row, error: Exception) -> None:
        """Try again without a draft, which must not fail a sequence; without any it has failed."""
        sequence, _ = row
        if not sequence.draft:
            self._fail(sequence, error)
            return
        sequence.draft = ()
        self._compute([row])

    def _measure(self, rows: list[Row], scored: int, seconds: float) -> None:
        """Count a pass, whose drafted tokens are `scored` beside those of answers and prompts."""
        prefill = sum(tokens for _, tokens in rows)
        decode = scored - sum(bool(tokens) for _, tokens in rows)
        self._pass_seconds.add(prefill + decode, seconds)
        self.meter.add_pass(prefill, decode, len(rows), seconds)

    def _advance(self, sequence: Sequence, prefill_tokens: int, logits: torch.Tensor) -> None:
        """Append tokens once the prompt is computed, and finish where the answer ends."""
        if prefill_tokens:
            sequence.report_prefill()
            if sequence.phase is Phase.PREFILL:
                return
        reason = sequence.write_tokens(logits)
        if reason is not None:
            self._finish(sequence, reason)

    def _finish(self, sequence: Sequence, reason: FinishReason) -> None:
        """End an answer and pool its keys and values for the next turn."""
        self._scheduler.remove(sequence)
        if sequence.kv is not None and sequence.kv.length:
            scope = sequence.ticket.request.scope
            self._pool.put(scope, KVEntry(sequence.kv, sequence.identity, sequence.file_marks))
            self._pool.shrink(self._kv_bytes - self._scheduler.reserved_bytes)
        sequence.finish(reason)

    def _guard(
        self, work: Callable[..., None], sequence: Sequence, *args: int | torch.Tensor
    ) -> None:
        """Call `work`; an error fails this sequence only."""
        try:
            work(sequence, *args)
        except Exception as error:  # noqa: BLE001
            self._fail(sequence, error)

    def _fail(self, sequence: Sequence, error: Exception) -> None:
        self._scheduler.remove(sequence)
        failure = service_error(error)
        if isinstance(failure, OutOfMemory):
            self._pool.shrink(0)
        _log.error(
            "sequence.failed",
            extra={"request": sequence.ticket.request.id, "error": failure.code},
            exc_info=error,
        )
        sequence.fail(failure)

    def _end_all(self) -> None:
        """End all sequences: canceled on closing, failed after the thread died."""
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
                sequence.fail(InferenceFailed("The engine's thread has crashed."))


def _no_features(_key: str) -> torch.Tensor | None:
    return None
