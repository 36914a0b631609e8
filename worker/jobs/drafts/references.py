"""Finds the texts that an answer may follow: of its job so far, and about the same images."""

from __future__ import annotations

from dataclasses import replace

from shared.errors import StoreUnavailable
from shared.jobs import MAX_REFERENCE_CHARS, FinishReason
from shared.jobs.image import stored_file_mark
from shared.jobs.row import JobRow
from shared.store import Claim
from shared.store.jobs.tile_store import TileStore
from worker.engine.api import Completion, Reference
from worker.jobs.drafts.earlier_answers import EarlierAnswers, Subject
from worker.pipeline import Question

#: Ends of an answer that another one may repeat.
_ENDED = (FinishReason.STOP, FinishReason.LENGTH)


class References:
    """What a worker offers to each answer; its threads share it."""

    def __init__(self, tiles: TileStore) -> None:
        self._tiles = tiles
        self._answers = EarlierAnswers()

    def add_to(self, claim: Claim, question: Question) -> Question:
        """Return a question of a job with the texts that its answer may follow."""
        if question.job.encode_only:
            return question
        # an attempt that was broken off has begun as this one will
        earlier: list[Reference] = [claim.written[:MAX_REFERENCE_CHARS]] if claim.written else []
        if question.job.images:
            earlier += self._answers.find(_subject(question))
        earlier += self._read_parts(claim.row)
        return replace(question, references=tuple(dict.fromkeys([*question.references, *earlier])))

    def keep(self, row: JobRow, question: Question, completion: Completion) -> None:
        """Remember an answer about images, no longer than its job is kept."""
        if question.job.images and completion.finish_reason in _ENDED:
            scope, files = question.feature_scope, question.file_ids
            ids = [files.get(image, image) for image in question.job.images]
            self._answers.keep(
                _subject(question),
                completion.token_ids or completion.text,
                marks=frozenset(stored_file_mark(scope, i) for i in (*ids, row.parent or row.id)),
                seconds=row.ttl_ms / 1000,
            )

    def forget(self, marks: frozenset[str]) -> None:
        """Drop answers about files, and of jobs, with these marks; see EarlierAnswers."""
        self._answers.forget(marks)

    def _read_parts(self, row: JobRow) -> list[Reference]:
        """Return what earlier tiles or pages of the same job say, such as their running headers."""
        if not row.parent:
            return []
        try:
            texts = self._tiles.read_texts_before(row)
        except StoreUnavailable:
            # it only comes later without them
            return []
        return [text[:MAX_REFERENCE_CHARS] for text in texts]


def _subject(question: Question) -> Subject:
    return question.feature_scope, *question.job.images
