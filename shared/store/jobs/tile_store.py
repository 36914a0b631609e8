"""The tile store: splits a long job into child rows, one for each tile or page of a document."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from shared.errors import PageFailed, ServiceError, TileFailed
from shared.jobs import (
    ROW_VERSION,
    JobInput,
    PageOutcome,
    Stage,
    TileInfo,
    TileOutcome,
    TilingTask,
    Usage,
    new_job_id,
)
from shared.jobs.row import JobRow, dump
from shared.store import keys
from shared.store.connection import load_script
from shared.store.failures import guard
from shared.store.jobs.job_store import Store
from shared.store.jobs.types import Claim, Doorbell, read_doorbells


def tiles_percent(*, together: bool, reads: bool) -> int:
    """Return the percent of a long job that are done when its tiles are."""
    if reads:
        return 99
    return 60 if together else 85


class TilesLost(Exception):
    """Redis came back without the pixels of tiles that were just stored: cut the images again."""


@dataclass(frozen=True, slots=True)
class PageWindow:
    """The outcomes of some pages of a job, in a row; numbers are places in the job, from 0."""

    #: The first page that is not streamed.
    first: int
    #: The page of the first outcome.
    start: int
    #: Up to the first page that is still worked on.
    outcomes: list[PageOutcome]
    #: The numbers of all pages of the job.
    numbers: tuple[int, ...]
    #: What was given to `stream` with the last pieces.
    seam: str

    @property
    def total(self) -> int:
        """Return how many pages the job has."""
        return len(self.numbers)


@dataclass(frozen=True, slots=True)
class NewTile:
    """A tile of a job that is split."""

    #: The input of its child, or an outcome that is known already.
    what: JobInput | TileOutcome
    #: Its text can be streamed while the child reads on.
    live: bool = False


class TileStore:
    """Splits long jobs and keeps the outcomes of their tiles.

    Every method raises StoreUnavailable without Redis.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._split_script = load_script(store.redis, "tiles/split")
        self._finish_script = load_script(store.redis, "tiles/finish")
        self._stream_script = load_script(store.redis, "tiles/stream")

    def split(
        self,
        claim: Claim,
        tiles: Sequence[TileInfo],
        work: Sequence[NewTile],
        *,
        together: bool,
        room: int,
        images_stored: bool = False,
    ) -> list[Doorbell] | None:
        """Make a child for each tile that has work left; return the doorbells to send.

        `together`: the children only make the tiles' features, for one prompt about all of them.
        At most `room` children, of all long jobs together, are queued or running at once. None
        when the job is no longer this owner's. Raises TilesLost where `images_stored` says that the
        tiles are there, and they are not.
        """
        tenant = claim.row.tenant
        fields = {
            "tiles": dump([tile.model_dump() for tile in tiles]),
            "together": "1" if together else "",
            **_split_fields(claim.row.input, TileFailed(), together=together),
        }
        if any(tile.turn for tile in tiles):
            # older workers cannot join turned tiles
            fields["version"] = str(ROW_VERSION)
        names = list(dict.fromkeys(keys.image(tenant, tile.id) for tile in tiles))
        return self._split(claim, names, fields, work, room, images_stored=images_stored)

    def split_pages(
        self, claim: Claim, numbers: Sequence[int], work: Sequence[NewTile], *, room: int
    ) -> list[Doorbell] | None:
        """Make a child for each page of a job's document that has work left, as `split` does.

        Pages whose outcome is known are told of at once.
        """
        fields = {
            "pages": dump(list(numbers)),
            **_split_fields(claim.row.input, PageFailed(), together=False),
        }
        return self._split(claim, (), fields, work, room)

    def _split(
        self,
        claim: Claim,
        names: Sequence[str],
        fields: dict[str, str],
        work: Sequence[NewTile],
        room: int,
        *,
        images_stored: bool = False,
    ) -> list[Doorbell] | None:
        flat = [part for tile in work for part in _child_args(tile)]
        stored = "1" if images_stored else ""
        args: list[str | int] = [claim.row.id, claim.owner, room, stored, dump(fields), *flat]
        with guard():
            reply = self._split_script(keys=list(names), args=args)
        if reply == "image_missing":
            raise TilesLost
        return None if reply is None else read_doorbells(reply)

    def finish(self, claim: Claim, outcome: TileOutcome | None, room: int) -> list[Doorbell] | None:
        """Keep a tile's outcome (None: try it again); return the doorbells to send.

        The last tile's end queues its long job again, which is then merged. None when the child is
        no longer this owner's: another has it, or its long job has ended.
        """
        row, usage = claim.row, outcome.usage if outcome else Usage()
        outcome_json = "" if outcome is None else _without_drafts(outcome).model_dump_json()
        counts = (usage.draft_tokens, usage.accepted_tokens, usage.reasoning_tokens)
        tile = (row.parent or "", row.tile, *counts)
        with guard():
            reply = self._finish_script(
                keys=[], args=[row.id, claim.owner, room, outcome_json, *tile]
            )
        return None if reply is None else read_doorbells(reply)

    def read_drafts(self, job_id: str) -> Usage:
        """Return how many tokens of a job's tiles were guessed ahead or thought, nothing else."""
        with guard():
            counts = self._store.redis.hmget(
                keys.job(job_id) + keys.JOB_TILES, ["drafted", "accepted", "thought"]
            )
        drafted, accepted, thought = (int(count or 0) for count in counts)
        return Usage(draft_tokens=drafted, accepted_tokens=accepted, reasoning_tokens=thought)

    def read_texts_before(self, row: JobRow) -> list[str]:
        """Return what parts of the same job say that are done: the two before this one, the first.

        The nearest comes first.
        """
        numbers = dict.fromkeys(n for n in (row.tile - 1, row.tile - 2, 0) if 0 <= n < row.tile)
        if not row.parent or not numbers:
            return []
        tiles = keys.job(row.parent) + keys.JOB_TILES
        with guard():
            texts = self._store.redis.hmget(tiles, [f"out:{number}" for number in numbers])
        return [text for known in texts if known and (text := json.loads(known).get("text"))]

    def read_unstreamed(self, job_id: str) -> tuple[int, list[TileInfo], list[TileOutcome]] | None:
        """Return what is known of a reading's text but not streamed yet.

        That is the number of the first tile that is not streamed, all tiles, and the outcomes of
        the tiles before the first one that is still worked on. None when nothing new is known.
        """
        row, tiles = keys.job(job_id), keys.job(job_id) + keys.JOB_TILES
        with guard():
            streams, streamed = self._store.redis.hmget(row, ["tile_stream", "tile_told"])
            if streams != "1" or not self._store.redis.hexists(tiles, f"out:{streamed}"):
                return None
            infos = _read_tiles(self._store.redis.hget(row, "tiles"))
            texts = self._store.redis.hmget(tiles, _outcome_fields(len(infos)))
        known = [TileOutcome.model_validate_json(text) for text in takewhile(bool, texts)]
        return int(streamed), infos, known

    def stream(self, job_id: str, first: int, pieces: Sequence[str], seam: str = "") -> int | None:
        """Stream what the tiles from number `first` on add to the text of their job.

        `seam` is what the next call must know of the text so far. Return how many tiles are
        streamed; None when the job has ended.
        """
        with guard():
            reply = self._stream_script(keys=[], args=[job_id, first, seam, *pieces])
        return None if reply is None else int(reply)

    def read_unstreamed_pages(self, job_id: str, around: int, most: int) -> PageWindow | None:
        """Return the pages of a reading that are to be streamed next, with those `around` them.

        At most `most` of them. None when the first of them is not known yet.
        """
        row, tiles = keys.job(job_id), keys.job(job_id) + keys.JOB_TILES
        with guard():
            streams, streamed, numbers = self._store.redis.hmget(
                row, ["tile_stream", "tile_told", "pages"]
            )
            if streams != "1":
                return None
            first, pages = int(streamed), json.loads(numbers)
            start, end = max(0, first - around), min(len(pages), first + most + around)
            names = [f"out:{number}" for number in range(start, end)]
            seam, *texts = self._store.redis.hmget(tiles, ["seam", *names])
        if not any(texts[first - start : first - start + 1]):
            return None
        known = takewhile(bool, texts)
        outcomes = [PageOutcome.model_validate_json(text) for text in known]
        return PageWindow(first, start, outcomes, tuple(pages), seam or "")

    def read_outcomes(self, row: JobRow) -> list[TileOutcome]:
        """Return the outcome of each tile of a job that is merged, in reading order."""
        with guard():
            texts = self._store.redis.hmget(
                keys.job(row.id) + keys.JOB_TILES, _outcome_fields(len(row.tiles))
            )
        return [
            TileOutcome.model_validate_json(text) if text else TileOutcome(gap=True)
            for text in texts
        ]

    def read_page_outcomes(self, row: JobRow) -> list[PageOutcome]:
        """Return the outcome of each page of a job that is merged, in the order of the job."""
        with guard():
            texts = self._store.redis.hmget(
                keys.job(row.id) + keys.JOB_TILES, _outcome_fields(len(row.pages))
            )
        return [
            PageOutcome.model_validate_json(text) if text else PageOutcome(gap=True)
            for text in texts
        ]

    def read_finished_pages(self, job_id: str) -> list[tuple[int, PageOutcome]]:
        """Return the page numbers that an unsuccessful job has finished, with their outcomes."""
        with guard():
            pages = json.loads(self._store.redis.hget(keys.job(job_id), "pages") or "[]")
            if not pages:
                return []
            texts = self._store.redis.hmget(
                keys.job(job_id) + keys.JOB_TILES, _outcome_fields(len(pages))
            )
        return [
            (page, PageOutcome.model_validate_json(text))
            for page, text in zip(pages, texts, strict=True)
            if text
        ]

    def read_finished(self, job_id: str) -> list[tuple[TileInfo, TileOutcome]]:
        """Return the tiles that an unsuccessful job has finished, with their outcomes."""
        with guard():
            infos = _read_tiles(self._store.redis.hget(keys.job(job_id), "tiles"))
            if not infos:
                return []
            texts = self._store.redis.hmget(
                keys.job(job_id) + keys.JOB_TILES, _outcome_fields(len(infos))
            )
        return [
            (info, TileOutcome.model_validate_json(text))
            for info, text in zip(infos, texts, strict=True)
            if text
        ]


def _split_fields(job: JobInput, failure: ServiceError, *, together: bool) -> dict[str, str]:
    """Return the row fields of a job that is split; a strict one ends with `failure`."""
    tiling = job.tiling
    reads = tiling is not None and tiling.task is TilingTask.READ
    strict = tiling is not None and tiling.strict
    return {
        # what is read is the answer, and is streamed as it comes
        "tile_stream": "1" if reads else "",
        "tile_stage": (Stage.ENCODE if together else Stage.DECODE).value,
        "tiles_percent": str(tiles_percent(together=together, reads=reads)),
        "strict_error": dump(failure.as_dict()) if strict else "",
    }


def _without_drafts(outcome: TileOutcome) -> TileOutcome:
    """Return an outcome that a worker of any version can join."""
    return outcome.model_copy(update={"usage": outcome.usage.in_every_version})


def _outcome_fields(count: int) -> list[str]:
    return [f"out:{number}" for number in range(count)]


def _read_tiles(text: str | None) -> list[TileInfo]:
    return [TileInfo.model_validate(tile) for tile in json.loads(text or "[]")]


def _child_args(tile: NewTile) -> tuple[str, str, str]:
    if isinstance(tile.what, TileOutcome):
        return "", tile.what.model_dump_json(), ""
    return new_job_id(), tile.what.model_dump_json(), "1" if tile.live else ""
