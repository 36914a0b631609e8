"""The transitions of long jobs: one row waits while child rows work on the tiles of its image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shared import keys
from shared.connection import guard, load_script
from shared.errors import TileFailed
from shared.jobs import JobInput, Stage, TileInfo, TileOutcome, TilingTask, new_job_id
from shared.row import JobRow, dump
from shared.store import Claim, Doorbell, Store


def tiles_percent(*, together: bool, reads: bool) -> int:
    """Return the percent of a long job that are done when its tiles are."""
    if reads:
        return 99
    return 60 if together else 85


class TileStore:
    """Splits long jobs and takes in what becomes of their tiles; raises like the Store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._split = load_script(store.redis, "split")
        self._finish = load_script(store.redis, "finish_tile")

    def split(
        self,
        claim: Claim,
        tiles: Sequence[TileInfo],
        inputs: Sequence[JobInput | None],
        *,
        together: bool,
        room: int,
    ) -> list[Doorbell] | None:
        """Let a child work on each tile (None: it has no ink) and return what to ring for.

        `together`: the children only make the tiles' features, for one prompt about all of them.
        At most `room` children, of all long jobs together, are queued or running at once. None
        when the job is no longer this owner's.
        """
        row = claim.row
        tiling = row.input.tiling
        if tiling is None:
            raise ValueError("a job without tiling cannot be split")
        reads = tiling.task is TilingTask.READ
        fields = {
            "tiles": dump([tile.model_dump() for tile in tiles]),
            "together": "1" if together else "",
            # what is read is the answer, and is told as it comes
            "tile_stream": "1" if reads else "",
            "tile_stage": (Stage.ENCODE if together else Stage.DECODE).value,
            "tiles_percent": str(tiles_percent(together=together, reads=reads)),
            "strict_error": dump(TileFailed().as_dict()) if tiling.strict else "",
        }
        flat = [part for one in inputs for part in _child(one)]
        names = list(dict.fromkeys(keys.image(row.tenant, tile.id) for tile in tiles))
        with guard():
            reply = self._split(keys=names, args=[row.id, claim.owner, room, dump(fields), *flat])
        return _bells(reply)

    def finish(self, claim: Claim, outcome: TileOutcome | None, room: int) -> list[Doorbell] | None:
        """Keep a tile's outcome (None: try it again) and return what to ring for.

        The last tile's end queues its long job again, which is then merged. None when the child is
        no longer this owner's: another has it, or its long job has ended.
        """
        told = "" if outcome is None else outcome.model_dump_json()
        with guard():
            reply = self._finish(keys=[], args=[claim.row.id, claim.owner, room, told])
        return _bells(reply)

    def outcomes(self, row: JobRow) -> list[TileOutcome]:
        """Return what became of each tile of a job that is merged, in reading order."""
        names = [f"out:{number}" for number in range(len(row.tiles))]
        with guard():
            texts = self._store.redis.hmget(keys.job(row.id) + keys.JOB_TILES, names)
        return [
            TileOutcome.model_validate_json(text) if text else TileOutcome(gap=True)
            for text in texts
        ]


def _child(one: JobInput | None) -> tuple[str, str]:
    if one is None:
        return "", TileOutcome().model_dump_json()
    return new_job_id(), one.model_dump_json()


def _bells(reply: Any) -> list[Doorbell] | None:
    if reply is None:
        return None
    return [Doorbell(job_id, queue) for job_id, queue in reply]
