"""Looks for things in the one image of a question: among its text, and by asking the model."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from shared.errors import InferenceFailed
from shared.jobs import FinishReason, JobInput, Notice, SearchTerms, Usage
from shared.jobs.answers.find import name_labels
from worker.engine.api import UNFINISHED, Completion, Timings
from worker.jobs.claimed_job import ClaimedJob
from worker.jobs.results import EngineAnswer
from worker.jobs.upright import degrees_of
from worker.objects.looks import Look, make_look
from worker.objects.pointing import place_boxes, pointing_params, read_boxes
from worker.pipeline import Question
from worker.pipeline.images import enhancement_notices, open_image
from worker.places.seen import SeenImage, seen_lines

NOT_ASKED = Notice(
    code="model_not_asked",
    detail="Only the text was searched: the loaded model points at nothing.",
)


def find_in_image(job: ClaimedJob, question: Question) -> EngineAnswer:
    """Return what was seen in a question's image, and what the model has pointed at in it.

    The model is asked for what does not stand in the text, unless only one of them is to look.
    Nothing is published. Raises as `ClaimedJob.answer`.
    """
    terms, wanted = question.job.find, question.job
    if terms is None:
        raise ValueError("the question looks for nothing")
    began = time.monotonic()
    read = EngineAnswer(Completion("", FinishReason.STOP, Usage(), Timings()))
    labels: Sequence[str] = terms.labels
    if wanted.reader != "model":
        read = _read(job, question)
        labels = missing_labels(terms, read.seen or ())
    reason = read.completion.finish_reason
    if wanted.reader == "second" or not labels or reason is not FinishReason.STOP:
        return read
    if not job.model.points:
        if wanted.reader == "model":
            raise InferenceFailed("The loaded model points at nothing: it only reads.")
        return replace(read, notices=(*read.notices, NOT_ASKED))
    left_s = max(0.0, question.time_left_s - (time.monotonic() - began))
    pointed = point_at(job, replace(question, time_left_s=left_s), labels)
    return replace(pointed, read_s=read.read_s, seen=read.seen)


def missing_labels(terms: SearchTerms, seen: Sequence[SeenImage]) -> list[str]:
    """Return the labels that stand nowhere in what was seen."""
    # the extra is installed where anything was seen
    from worker.objects.texts import find_in_text

    printed = {one.label for one in find_in_text(terms, seen_lines(seen))}
    return [label for label in terms.labels if label not in printed]


def _read(job: ClaimedJob, question: Question) -> EngineAnswer:
    """Return what the second reader sees, without its text."""
    asked = question.job.model_copy(update={"reader": "second"})
    answer = job.answer(replace(question, job=asked))
    return replace(answer, completion=replace(answer.completion, text="", lines=None))


def point_at(job: ClaimedJob, question: Question, labels: Sequence[str]) -> EngineAnswer:
    """Return what the model points at in a question's image; raises as `ClaimedJob.run_engine`."""
    (image_id,) = question.job.images
    degrees = degrees_of(question.variants.get(image_id))
    image = open_image(question.pngs[image_id])
    look = make_look(image, degrees, question.job, job.model)
    asked = replace(
        question,
        job=_pointing_job(question.job, labels),
        pngs={image_id: look.image},
        variants={image_id: look.variant} if look.variant else {},
        history=(),
        scope="",
        reads=False,
        notices=(),
    )
    answer = job.run_engine(asked, silent=True)
    completion = answer.completion
    pointed = read_boxes(completion.text, labels)
    within = image.size if degrees % 180 == 0 else image.size[::-1]
    objects = place_boxes(pointed, look.image.size, look.back, within, completion.confidence)
    kept = tuple(one for one in completion.notices if one.code != UNFINISHED)
    # what was cut off or interrupted has no boxes to tell of
    interrupted = completion.finish_reason in (FinishReason.CANCELED, FinishReason.DEADLINE)
    about = () if interrupted else (*_look_notices(image_id, look), *pointed.notices)
    return replace(
        answer,
        completion=replace(completion, text="", token_ids=(), lines=None, notices=kept),
        objects=tuple(objects),
        notices=(*question.notices, *answer.notices, *about),
    )


def _pointing_job(job: JobInput, labels: Sequence[str]) -> JobInput:
    """Return the question that is asked of the model about labels."""
    every = job.find.labels if job.find else ()
    return JobInput(
        prompt=job.prompt.replace(name_labels(every), name_labels(labels)),
        images=job.images,
        params=pointing_params(job.params, labels),
        max_pixels=job.max_pixels,
    )


def _look_notices(image_id: str, look: Look) -> list[Notice]:
    return enhancement_notices(image_id, look.report, look.skipped)
