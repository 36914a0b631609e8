"""Builds the question of a claimed job from Redis: its input, its images, its conversation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PIL.Image import Image

from shared.catalog.presets import Preset
from shared.errors import ImageGone
from shared.jobs import JobInput, Notice, TileInfo, Turn
from shared.jobs.row import JobRow
from shared.prediction.visual_tokens import visual_tokens
from shared.store import Claim
from shared.store.session_store import SessionStore
from shared.store.uploads.image_store import ImageStore
from worker.engine.api import ModelInfo
from worker.jobs.upright import Upright
from worker.pipeline import Question

#: Tokens of a chat template and of the words around a question.
TEMPLATE_TOKENS = 64


class QuestionBuilder:
    """Reads what a question needs; every method raises StoreUnavailable without Redis."""

    def __init__(
        self,
        images: ImageStore,
        sessions: SessionStore,
        info: ModelInfo,
        job_timeout_s: float,
        presets: Mapping[str, Preset],
        upright: Upright,
    ) -> None:
        self._presets = presets
        self._images = images
        self._sessions = sessions
        self._info = info
        self._job_timeout_s = job_timeout_s
        self._upright = upright

    def read_turns(self, row: JobRow) -> list[Turn]:
        """Return the earlier turns of a job's session, oldest first; none without a session."""
        return [turn.read_by(self._info.name) for turn in self._sessions.turns_before(row)]

    def build(
        self,
        claim: Claim,
        job: JobInput,
        turns: Sequence[Turn],
        pictures: Mapping[str, Image] | None = None,
    ) -> Question:
        """Return the question of `job` after these turns; `pictures` are not stored, by their id.

        Raises ImageGone without its images, and where nothing is left to see of a conversation.
        """
        row = claim.row
        fitting = [self._drop_tiles_without_room(turn, job) for turn in turns]
        pngs: dict[str, bytes | Image | None] = {**self._read_pngs(row.tenant, job, fitting)}
        pngs |= pictures or {}
        if not all(pngs[image_id] for image_id in job.every_image):
            raise ImageGone
        seen = [_show_tiles(turn, pngs) for turn in fitting]
        # an image of an old turn may be gone; without it the turn is pointless
        history = [turn for turn in seen if all(pngs[i] for i in turn.images)]
        if row.input.document is None and not job.images:
            self._check_picture(row, turns, history)
        # tiles were turned before they were cut, and pages when they were drawn
        upright = bool(row.parent or pictures)
        turned, variants, turn_notices = self._upright.turn_all(
            JobInput(prompt="") if upright else job, pngs
        )
        pngs |= turned
        needed = {i for turn in history for i in turn.images} | set(job.every_image)
        return Question(
            id=row.id,
            job=job,
            history=history,
            pngs={i: png for i, png in pngs.items() if png and i in needed},
            feature_scope=row.tenant,
            scope=_scope(row),
            time_left_s=self._time_left_s(claim),
            reads=self._asks_for_text(job),
            most_tokens=self._most_tokens(job),
            notices=(*_gone_notices(len(seen) - len(history)), *turn_notices),
            variants=variants,
            file_ids=_file_ids(row, pictures or {}),
        )

    def _asks_for_text(self, job: JobInput) -> bool:
        """Tell whether a job asks for all text of its one image, in the words of its preset."""
        preset = self._presets.get(job.preset or "")
        plain = len(job.images) == 1 and not job.encode_only and not job.params.constrained_by
        return plain and preset is not None and preset.asks_for_text(job.prompt)

    def _most_tokens(self, job: JobInput) -> int | None:
        """Return the tokens that a request allows its whole answer; None where it names none."""
        preset = self._presets.get(job.preset or "")
        usual = preset.params.max_new_tokens if preset else None
        return None if job.params.max_new_tokens == usual else job.params.max_new_tokens

    def _check_picture(self, row: JobRow, turns: Sequence[Turn], history: Sequence[Turn]) -> None:
        """Raise ImageGone for a question whose conversation has lost the picture it is about."""
        if row.input.every_image or row.input.document:
            return
        latest = next((turn.job_id for turn in reversed(turns) if turn.images), None)
        shown = {turn.job_id for turn in history if turn.images}
        if (latest not in shown) if latest else self._sessions.has_lost_picture(row):
            raise ImageGone(
                "The picture of this conversation was deleted or has expired.",
                hint="Ask again and attach the picture.",
            )

    def _drop_tiles_without_room(self, turn: Turn, job: JobInput) -> Turn:
        """Return a turn that shows its long image as a whole where its tiles do not fit."""
        looks = {"max_pixels": turn.max_pixels, "tiling": None}
        if fit_one_prompt(turn.parts, job.model_copy(update=looks), self._info):
            return turn
        return turn.model_copy(update={"tiles": ()})

    def _read_pngs(
        self, tenant: str, job: JobInput, turns: Sequence[Turn]
    ) -> dict[str, bytes | None]:
        """Return PNG bytes by image id; None for those that are gone."""
        shown = {i for turn in turns for i in (*turn.images, *turn.tiles)}
        ids = sorted(shown | set(job.every_image))
        return dict(zip(ids, self._images.pngs(tenant, ids), strict=True))

    def _time_left_s(self, claim: Claim) -> float:
        # both times are of Redis' clock: the claim was made a moment ago
        until_expiry = (claim.row.expire_ms - claim.at_ms) / 1000
        return min(self._job_timeout_s, until_expiry)


def _file_ids(row: JobRow, pictures: Mapping[str, Image]) -> dict[str, str]:
    """Return the document of each picture that was drawn from one."""
    document = row.input.document
    return dict.fromkeys(pictures, document.id) if document else {}


def _gone_notices(turns: int) -> tuple[Notice, ...]:
    if not turns:
        return ()
    detail = f"{turns} earlier turns were left out: their images are no longer stored."
    return (Notice(code="history_image_gone", detail=detail),)


def pixel_budget(job: JobInput) -> int:
    """Return the pixels of one of a job's images, or of one tile of a tiled job."""
    return job.tiling.budget if job.tiling else job.max_pixels


def answer_room(job: JobInput, info: ModelInfo) -> int:
    """Return the tokens that a prompt leaves to its answer: as asked, at most half of them."""
    return min(job.params.max_new_tokens, info.context_tokens // 2)


def fit_one_prompt(tiles: Sequence[TileInfo], job: JobInput, info: ModelInfo) -> bool:
    """Tell whether one prompt has room for all tiles beside a job's question and answer."""
    budget = min(pixel_budget(job), info.max_pixels)
    visual = [
        visual_tokens(*tile.size, budget, min_pixels=info.min_pixels, factor=info.token_side).tokens
        for tile in tiles
    ]
    # no tokenizer makes more tokens than bytes
    words = len(job.prompt.encode("utf-8", "replace")) + TEMPLATE_TOKENS
    tokens = sum(visual) + words + answer_room(job, info)
    return tokens <= info.context_tokens and info.image_room.holds(visual)


def _show_tiles(turn: Turn, pngs: Mapping[str, object]) -> Turn:
    """Return a turn that shows the tiles of its long image while all of them are stored."""
    if turn.tiles and all(pngs[i] for i in turn.tiles):
        return turn.model_copy(update={"images": turn.tiles, "image_places": (), "tiles": ()})
    return turn


def _scope(row: JobRow) -> str:
    """Return the scope within which keys and values are shared, "" for none."""
    # neither a session nor a thread has a NUL in its name
    if row.session_id:
        return f"{row.tenant}\x00{row.session_id}"
    return f"{row.tenant}\x00\x00{row.input.thread}" if row.input.thread else ""
