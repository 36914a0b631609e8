"""What a running job tells the world: text as it comes, progress now and then."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

from shared.errors import StoreUnavailable
from shared.jobs import Stage
from shared.store import Store
from worker.engine.api import Completion, Delta, Event, Failed, Progress, Started, UsedImage
from worker.jobs.leases import Lease
from worker.tiling import LiveText

_log = logging.getLogger(__name__)

#: Deltas within this time travel together: one round trip instead of one for each token.
_GATHER_S = 0.05
_PROGRESS_EVERY_S = 0.5
#: A store that does not answer is asked again after this time.
_AWAY_S = 0.5
#: From here on a job's own pace tells more than its prediction.
_PACE_PERCENT = 25
#: Share of the whole that is done when a stage begins, and its own share, in percent.
Share = tuple[float, float]
#: Shares of a job of which nothing was predicted.
_SHARES: dict[Stage, Share] = {
    Stage.ENCODE: (0, 40),
    Stage.PREFILL: (40, 20),
    Stage.DECODE: (60, 39),
}


class ProgressReporter:
    """Gathers the events of one job and reports them under its owner's token."""

    def __init__(
        self,
        store: Store,
        lease: Lease,
        max_new_tokens: int,
        *,
        tiles: int = 0,
        percent: int = 0,
        silent: bool = False,
    ) -> None:
        """`percent` of the job were done before, and all of its `tiles`.

        A `silent` one tells no text: what comes is not yet what the caller gets.
        """
        row = lease.claim.row
        # a tile's text that its neighbours may change is told when they are read
        self._silent = silent or bool(row.parent and not row.live)
        self._tiles = tiles
        self._before = percent
        self._store = store
        self._lease = lease
        self._max_new_tokens = max_new_tokens
        # what was predicted of a long job was mostly its tiles
        told = {} if tiles else row.predicted or {}
        predicted = _predicted_shares(told)
        self._shares = predicted[0] if predicted else _SHARES
        self._predicted_s = predicted[1] if predicted else None
        self._began = time.monotonic()
        #: What the model sees of each image, once the engine has told it.
        self.seen: tuple[UsedImage, ...] = ()
        #: Of a tile: what of its text can be told as it comes.
        self._live = LiveText() if row.live else None
        self._text: list[str] = []
        self._tokens = 0
        self._stage = Stage.ENCODE
        self._fraction = 0.0
        self._told_stage: Stage | None = None
        self._flushed = 0.0
        self._hold_until = 0.0
        self._progressed = 0.0

    def take(self, event: Event | None) -> None:
        """Take an event (None: nothing came) and report when it is time."""
        match event:
            case Delta(text, tokens):
                if told := self._told(text):
                    self._text.append(told)
                self._tokens = tokens
                self._stage, self._fraction = Stage.DECODE, tokens / self._max_new_tokens
            case Progress(stage, fraction):
                self._stage, self._fraction = stage, fraction
            case Started(_, images):
                self.seen = images
            case None | Completion() | Failed():
                pass
        if self._due():
            self.flush()

    def _told(self, text: str) -> str:
        """Return what can be told of new text; a tile's neighbours may still change it."""
        if self._silent:
            return ""
        return self._live.take(text) if self._live else text

    def _due(self) -> bool:
        now = time.monotonic()
        if now < self._hold_until:
            return False
        if self._text:
            return now - self._flushed >= _GATHER_S
        return self._stage is not self._told_stage or now - self._progressed >= _PROGRESS_EVERY_S

    def flush(self) -> None:
        """Report what has gathered; a store that is away loses nothing but time."""
        now = time.monotonic()
        events: list[tuple[str, dict[str, Any]]] = []
        if self._text:
            events.append(("output.delta", {"text": "".join(self._text)}))
        progress = None
        stage_changed = self._stage is not self._told_stage
        if stage_changed or now - self._progressed >= _PROGRESS_EVERY_S:
            progress = self._progress(now)
            events.append(("job.progress", progress))
        if not events:
            return
        self._flushed = now
        row = self._lease.claim.row
        try:
            verdict = self._store.report(row.id, self._lease.claim.owner, events, progress)
        except StoreUnavailable as error:
            # the text stays gathered and travels with the next report
            self._hold_until = now + _AWAY_S
            _log.warning("report.failed", extra={"cause": error.detail})
            return
        self._lease.apply(verdict)
        self._text.clear()
        if progress:
            self._progressed, self._told_stage = now, self._stage

    def _progress(self, now: float) -> dict[str, Any]:
        start, share = self._shares[self._stage]
        percent = start + share * min(1.0, self._fraction)
        tiles = {"tiles_done": self._tiles, "tiles_total": self._tiles} if self._tiles else {}
        return tiles | {
            "stage": self._stage.value,
            "percent": round(self._before + (100 - self._before) * percent / 100),
            "output_tokens": self._tokens,
            "eta_s": self._eta_s(percent, now - self._began),
        }

    def _eta_s(self, percent: float, spent_s: float) -> float | None:
        """Return the seconds left: by what was predicted at first, by our own pace later on."""
        if percent >= _PACE_PERCENT or (self._predicted_s is None and percent >= 5):
            return round(spent_s * (100 - percent) / percent, 1)
        if self._predicted_s is None:
            return None
        return round(self._predicted_s * (100 - percent) / 100, 1)


def _predicted_shares(told: Mapping[str, float | None]) -> tuple[dict[Stage, Share], float] | None:
    """Return each stage's place in the whole as it was predicted, and the whole's seconds."""
    stages = (Stage.ENCODE, Stage.PREFILL, Stage.DECODE)
    seconds = [told.get(f"{stage.value}_s") or 0.0 for stage in stages]
    whole_s = sum(seconds)
    if whole_s <= 0:
        return None
    shares, start = {}, 0.0
    for stage, part in zip(stages, seconds, strict=True):
        # 100 is for the end itself
        shares[stage] = (start, 99 * part / whole_s)
        start += 99 * part / whole_s
    return shares, whole_s
