"""Progress of a running job: the estimate of what is left, and the reports that callers see."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from shared.errors import StoreUnavailable
from shared.jobs import Stage
from shared.store import Store
from worker.engine.api import (
    Completion,
    Delta,
    Event,
    Failed,
    Progress,
    Started,
    Thought,
    UsedImage,
)
from worker.jobs.leases import Lease
from worker.tiling import LiveText

_log = logging.getLogger(__name__)

#: Deltas within this time travel together: one round trip instead of one for each token.
_GATHER_S = 0.05
_PROGRESS_EVERY_S = 0.5
#: A store that does not answer is called again after this time.
_AWAY_S = 0.5
#: Percent from which on a job's own pace says something, where nothing was predicted.
_PACE_PERCENT_UNPREDICTED = 5
#: Share of its expected tokens that an answer is taken to have left, however long it is already.
_LEAST_LEFT = 0.2
#: Percent of the whole that are done when a stage begins, and percent that it takes itself.
Share = tuple[float, float]
#: Shares of a job of which nothing was predicted.
_SHARES: dict[Stage, Share] = {
    Stage.ENCODE: (0, 40),
    Stage.PREFILL: (40, 20),
    Stage.DECODE: (60, 39),
}


class ProgressEstimator:
    """Estimates how much of a job is done, and the seconds that are left.

    Each stage has a share of the job in proportion to its predicted seconds, 99 % in all:
    percent = start of the stage + its share · done fraction of the stage. With d = percent / 100,
    the seconds left are (1 - d) · predicted_s · (1 - d) + d · spent_s · (1 - d) / d: the prediction
    at first, more and more the job's own pace.
    """

    def __init__(self, predicted: Mapping[str, float | None], max_new_tokens: int) -> None:
        """`predicted` has the seconds of each stage as `encode_s` and so on, as far as known."""
        shares = _predicted_shares(predicted)
        self._shares = shares[0] if shares else _SHARES
        self._predicted_s = shares[1] if shares else None
        self._max_new_tokens = max_new_tokens
        self._expected_tokens = predicted.get("tokens") or max_new_tokens
        self._began = time.monotonic()
        self._fraction = 0.0
        self.stage = Stage.ENCODE
        self.output_tokens = 0

    def set_stage(self, stage: Stage, fraction: float) -> None:
        """Note that a `fraction` of a stage is done, 0 to 1."""
        self.stage, self._fraction = stage, fraction

    def set_output_tokens(self, tokens: int) -> None:
        """Note how many tokens of the answer are written."""
        self.output_tokens = tokens
        expected = self._expected_tokens
        left = min(max(expected - tokens, _LEAST_LEFT * expected), self._max_new_tokens - tokens)
        self.set_stage(Stage.DECODE, tokens / (tokens + max(0.0, left)) if tokens else 0.0)

    def percent(self) -> float:
        """Return the percent that are done; 100 is for the end itself."""
        start, share = self._shares[self.stage]
        return start + share * min(1.0, self._fraction)

    def eta_s(self, now: float) -> float | None:
        """Return the seconds left, None while nothing is known of them."""
        done = self.percent() / 100
        spent_s = now - self._began
        if self._predicted_s is not None:
            return round((1 - done) * ((1 - done) * self._predicted_s + spent_s), 1)
        if 100 * done < _PACE_PERCENT_UNPREDICTED:
            return None
        return round(spent_s * (1 - done) / done, 1)


def _predicted_shares(
    predicted: Mapping[str, float | None],
) -> tuple[dict[Stage, Share], float] | None:
    """Return the share of each stage as it was predicted, and the seconds of all."""
    stages = (Stage.ENCODE, Stage.PREFILL, Stage.DECODE)
    seconds = [predicted.get(f"{stage.value}_s") or 0.0 for stage in stages]
    whole_s = sum(seconds)
    if whole_s <= 0:
        return None
    shares, start = {}, 0.0
    for stage, part in zip(stages, seconds, strict=True):
        shares[stage] = (start, 99 * part / whole_s)
        start += 99 * part / whole_s
    return shares, whole_s


@dataclass(frozen=True, slots=True)
class PartsDone:
    """The parts of a long job that were done before."""

    unit: Literal["tiles", "pages"]
    count: int

    def fields(self) -> dict[str, int]:
        """Return them as progress has them."""
        return {f"{self.unit}_done": self.count, f"{self.unit}_total": self.count}


class ProgressReporter:
    """Gathers the events of one job and reports them under its lease."""

    def __init__(
        self,
        store: Store,
        lease: Lease,
        max_new_tokens: int,
        *,
        parts: PartsDone | None = None,
        percent: float = 0,
        span: float | None = None,
        silent: bool = False,
    ) -> None:
        """`percent` of the job, and all of its `parts`, were done before.

        `span` is the percent of the job that this is, by default all that is left. A `silent`
        reporter sends no text: what the engine writes is not yet the caller's answer.
        """
        row = lease.claim.row
        self._store = store
        self._lease = lease
        # a tile's text that its neighbours may change is sent when they are read
        self._silent = silent or bool(row.parent and not row.live)
        #: Of a tile: which of its text can be sent while it is written.
        self._live = LiveText() if row.live else None
        self._parts = parts
        self._before = percent
        self._span = 100 - percent if span is None else span
        # the prediction of a long job was mostly for its tiles, which are done
        self._estimator = ProgressEstimator({} if parts else row.predicted or {}, max_new_tokens)
        #: What the model sees of each image, once the engine has started.
        self.used_images: tuple[UsedImage, ...] = ()
        #: All text that can be sent, and how much of it Redis surely has.
        self._written = bytearray()
        self._sent_bytes = 0
        #: The same of what the model thinks before it answers.
        self._thought = bytearray()
        self._sent_thought_bytes = 0
        self._reported_stage: Stage | None = None
        self._flushed_at = 0.0
        self._progress_at = 0.0
        self._hold_until = 0.0

    def take(self, event: Event | None) -> None:
        """Take an event (None: nothing came) and report when it is time."""
        match event:
            case Delta(text, tokens):
                self._written += self._publishable(text).encode()
                self._estimator.set_output_tokens(tokens)
            case Thought(text, tokens):
                # of a tile nobody reads along what is thought about it
                self._thought += b"" if self._silent or self._live else text.encode()
                self._estimator.set_output_tokens(tokens)
            case Progress(stage, fraction):
                self._estimator.set_stage(stage, fraction)
            case Started(_, images):
                self.used_images = images
            case None | Completion() | Failed():
                pass
        if self._is_due():
            self.flush()

    def _publishable(self, text: str) -> str:
        """Return what of new text can be sent; a tile's neighbours may still change the rest."""
        if self._silent:
            return ""
        return self._live.take(text) if self._live else text

    def _is_due(self) -> bool:
        now = time.monotonic()
        if now < self._hold_until:
            return False
        if self._has_unsent:
            return now - self._flushed_at >= _GATHER_S
        return self._progress_is_due(now)

    @property
    def _has_unsent(self) -> bool:
        unsent = len(self._written) > self._sent_bytes
        return unsent or len(self._thought) > self._sent_thought_bytes

    def _progress_is_due(self, now: float) -> bool:
        new_stage = self._estimator.stage is not self._reported_stage
        return new_stage or now - self._progress_at >= _PROGRESS_EVERY_S

    def flush(self) -> None:
        """Report what has gathered; while the store is down it is kept for later.

        What is never reported is no loss: the end of the job brings its whole text.
        """
        now = time.monotonic()
        progress = self._progress(now) if self._progress_is_due(now) else None
        if self._has_unsent or progress:
            self._report(now, progress)

    def _report(self, now: float, progress: dict[str, Any] | None) -> None:
        self._flushed_at = now
        text = self._written[self._sent_bytes :].decode()
        thought = self._thought[self._sent_thought_bytes :].decode()
        claim = self._lease.claim
        try:
            reported = self._store.report(
                claim.row.id,
                claim.owner,
                text,
                at=self._sent_bytes,
                progress=progress,
                thought=thought,
                thought_at=self._sent_thought_bytes,
            )
        except StoreUnavailable as error:
            # it may have arrived all the same: the next report begins at the same byte
            self._hold_until = now + _AWAY_S
            _log.warning("report.failed", extra={"cause": error.detail})
            return
        self._lease.apply(reported.verdict)
        self._sent_bytes = reported.known_bytes
        self._sent_thought_bytes = reported.known_thought_bytes
        if progress:
            self._progress_at, self._reported_stage = now, self._estimator.stage

    def _progress(self, now: float) -> dict[str, Any]:
        estimator = self._estimator
        parts = self._parts.fields() if self._parts else {}
        return parts | {
            "stage": estimator.stage.value,
            "percent": round(self._before + self._span * estimator.percent() / 100),
            "output_tokens": estimator.output_tokens,
            "eta_s": estimator.eta_s(now),
        }
