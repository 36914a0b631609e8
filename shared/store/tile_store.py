"""The transitions of long jobs: one row waits while child rows work on the tiles of its image."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from shared.errors import TileFailed
from shared.jobs import JobInput, Stage, TileInfo, TileOutcome, TilingTask, new_job_id
from shared.jobs.row import JobRow, dump
from shared.store import keys
from shared.store.connection import guard, load_script
from shared.store.job_store import Store
from shared.store.job_types import Claim, Doorbell


def tiles_percent(*, together: bool, reads: bool) -> int:
    """Return the percent of a long job that are done when its tiles are."""
    if reads:
        return 99
    return 60 if together else 85


@dataclass(frozen=True, slots=True)
class NewTile:
    """What a tile is given when its job is split."""

    #: What a child is to do, or an outcome that is known already.
    what: JobInput | TileOutcome
    #: What the child reads can be told while it reads on.
    live: bool = False


class TileStore:
    """Splits long jobs and takes in what becomes of their tiles; raises like the Store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._split = load_script(store.redis, "tiles/split")
        self._finish = load_script(store.redis, "tiles/finish")
        self._settle = load_script(store.redis, "tiles/stream")

    def split(
        self,
        claim: Claim,
        tiles: Sequence[TileInfo],
        work: Sequence[NewTile],
        *,
        together: bool,
        room: int,
    ) -> list[Doorbell] | None:
        """Make a child for each tile that has work left; return the doorbells to send.

        `together`: the children only make the tiles' features, for one prompt about all of them.
        At most `room` children, of all long jobs together, are queued or running at once. None
        when the job is no longer this owner's.
        """
        row = claim.row
        tiling = row.input.tiling
        reads = tiling is not None and tiling.task is TilingTask.READ
        strict = tiling is not None and tiling.strict
        fields = {
            "tiles": dump([tile.model_dump() for tile in tiles]),
            "together": "1" if together else "",
            # what is read is the answer, and is told as it comes
            "tile_stream": "1" if reads else "",
            "tile_stage": (Stage.ENCODE if together else Stage.DECODE).value,
            "tiles_percent": str(tiles_percent(together=together, reads=reads)),
            "strict_error": dump(TileFailed().as_dict()) if strict else "",
        }
        flat = [part for one in work for part in _child(one)]
        names = list(dict.fromkeys(keys.image(row.tenant, tile.id) for tile in tiles))
        with guard():
            reply = self._split(keys=names, args=[row.id, claim.owner, room, dump(fields), *flat])
        return _doorbells(reply)

    def finish(self, claim: Claim, outcome: TileOutcome | None, room: int) -> list[Doorbell] | None:
        """Keep a tile's outcome (None: try it again); return the doorbells to send.

        The last tile's end queues its long job again, which is then merged. None when the child is
        no longer this owner's: another has it, or its long job has ended.
        """
        told = "" if outcome is None else outcome.model_dump_json()
        with guard():
            reply = self._finish(keys=[], args=[claim.row.id, claim.owner, room, told])
        return _doorbells(reply)

    def begun(self, job_id: str) -> tuple[int, list[TileInfo], list[TileOutcome]] | None:
        """Return what of a reading's text is known from its beginning on, but not told yet.

        That is the number of the first tile that is not told, all tiles, and the outcomes of the
        first of them up to one that is still worked on. None when nothing new is known.
        """
        row, tiles = keys.job(job_id), keys.job(job_id) + keys.JOB_TILES
        with guard():
            streams, told = self._store.redis.hmget(row, ["tile_stream", "tile_told"])
            if streams != "1" or not self._store.redis.hexists(tiles, f"out:{told}"):
                return None
            infos = _infos(self._store.redis.hget(row, "tiles"))
            texts = self._store.redis.hmget(tiles, _outs(len(infos)))
        known = [TileOutcome.model_validate_json(text) for text in takewhile(bool, texts)]
        return int(told), infos, known

    def settle(self, job_id: str, first: int, pieces: Sequence[str]) -> None:
        """Stream what tiles from number `first` on are sure to add to the text of their job."""
        with guard():
            self._settle(keys=[], args=[job_id, first, *pieces])

    def outcomes(self, row: JobRow) -> list[TileOutcome]:
        """Return what became of each tile of a job that is merged, in reading order."""
        with guard():
            texts = self._store.redis.hmget(
                keys.job(row.id) + keys.JOB_TILES, _outs(len(row.tiles))
            )
        return [
            TileOutcome.model_validate_json(text) if text else TileOutcome(gap=True)
            for text in texts
        ]

    def kept(self, job_id: str) -> list[tuple[TileInfo, TileOutcome]]:
        """Return the tiles that an unsuccessful job has finished, with their outcomes."""
        with guard():
            infos = _infos(self._store.redis.hget(keys.job(job_id), "tiles"))
            if not infos:
                return []
            texts = self._store.redis.hmget(keys.job(job_id) + keys.JOB_TILES, _outs(len(infos)))
        return [
            (info, TileOutcome.model_validate_json(text))
            for info, text in zip(infos, texts, strict=True)
            if text
        ]


def _outs(count: int) -> list[str]:
    return [f"out:{number}" for number in range(count)]


def _infos(text: str | None) -> list[TileInfo]:
    return [TileInfo.model_validate(one) for one in json.loads(text or "[]")]


def _child(given: NewTile) -> tuple[str, str, str]:
    if isinstance(given.what, TileOutcome):
        return "", given.what.model_dump_json(), ""
    return new_job_id(), given.what.model_dump_json(), "1" if given.live else ""


def _doorbells(reply: Any) -> list[Doorbell] | None:
    if reply is None:
        return None
    return [Doorbell(job_id, queue) for job_id, queue in reply]
