"""What reads a job's images: the request's wish, or what suits the model that is loaded."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.submission.fields.submission import Submission
from gateway.submission.planning.finder import choose_finder
from gateway.submission.resolve import ResolvedRequest
from shared.errors import BadParameters, ReaderUnavailable
from shared.jobs import GenerationParams, Reader, TextLayer
from shared.prediction.heartbeat import Heartbeat

#: Parameters that the second reader heeds too; those of all others that a request may name are the
#: model's alone.
_SHARED = {"stop", "line_confidence", "uncertain_below"}
_MODEL_ONLY = (
    "enhance",
    "reference",
    *(name for name in GenerationParams.model_fields if name not in _SHARED),
)


def choose_reader(resolved: ResolvedRequest, workers: Sequence[Heartbeat]) -> Reader:
    """Return what reads the images of a request.

    Where it names none, the second reader reads beside the bundled model, which errs too often, and
    the model in any other case. Raises BadParameters where nothing is read, ReaderUnavailable
    where no running worker has the second reader.
    """
    submission, accepting = resolved.submission, [w for w in workers if not w.draining]
    if resolved.find is not None:
        return choose_finder(submission, accepting)
    reads = resolved.reads or submission.tiling == "read"
    _check_boxes(submission, accepting, reads=reads)
    _check_evidence(resolved, accepting)
    wanted = submission.reader
    if wanted is None:
        suits = resolved.reads and not _names_models_look(submission)
        return "second" if suits and _is_demo_with_reader(accepting) else "model"
    if not reads:
        raise BadParameters(
            "reader has an effect only on jobs that read: a preset such as ocr without a "
            "constraint, or tiling=read.",
            pointer="/reader",
        )
    if wanted != "model" and accepting and not any(worker.reader for worker in accepting):
        raise ReaderUnavailable(pointer="/reader")
    return wanted


def _check_boxes(submission: Submission, accepting: Sequence[Heartbeat], *, reads: bool) -> None:
    """Raise BadParameters or ReaderUnavailable where boxes are wanted that nobody could find."""
    if submission.boxes == "none":
        return
    if not reads or submission.tiling == "ask":
        raise BadParameters(
            "boxes has an effect only on jobs that read: a preset such as ocr without a "
            "constraint, or tiling=read.",
            pointer="/boxes",
        )
    _check_finder(submission, accepting, "boxes")


def _check_evidence(resolved: ResolvedRequest, accepting: Sequence[Heartbeat]) -> None:
    """Raise BadParameters or ReaderUnavailable where values are to be found that are none."""
    if not resolved.submission.evidence:
        return
    if not resolved.params.wants_json or resolved.submission.tiling == "read":
        raise BadParameters(
            "evidence has an effect only on JSON answers: the preset fields, or a response_format.",
            pointer="/evidence",
        )
    _check_finder(resolved.submission, accepting, "evidence")


def _check_finder(submission: Submission, accepting: Sequence[Heartbeat], name: str) -> None:
    """Raise ReaderUnavailable where nobody could find the places that a parameter asks for."""
    own_text = submission.text_layer is TextLayer.ONLY
    if not own_text and accepting and not any(worker.reader for worker in accepting):
        raise ReaderUnavailable(
            hint=f"Ask without {name}, or have the operator install the extra [reader] in the "
            "workers.",
            pointer=f"/{name}",
        )


def check_reader(resolved: ResolvedRequest, reader: Reader, images: int) -> Reader:
    """Return the reader of a job with so many images of its own.

    Those of earlier turns are left to the model. Raises BadParameters.
    """
    if not images and resolved.submission.boxes != "none":
        raise BadParameters("boxes needs an image.", pointer="/boxes")
    if not images and resolved.find is not None:
        raise BadParameters("find needs an image or a document.", pointer="/images")
    if not images and resolved.submission.evidence:
        raise BadParameters("evidence needs an image.", pointer="/evidence")
    if images or reader == "model":
        return reader
    if resolved.submission.reader is not None:
        raise BadParameters(f"reader={reader} needs an image.", pointer="/reader")
    return "model"


def reader_notices(resolved: ResolvedRequest, reader: Reader) -> list[dict[str, str]]:
    """Return what of a request its reader leaves aside."""
    if reader != "second":
        return []
    submission, notices = resolved.submission, []
    if submission.names_prompt:
        detail = "The second reader reads all text and follows no prompt."
        notices.append({"code": "prompt_ignored", "detail": detail})
    if ignored := [name for name in _MODEL_ONLY if name in submission.model_fields_set]:
        detail = f"Only the model uses {', '.join(ignored)}; the second reader does not."
        notices.append({"code": "parameter_ignored", "detail": detail})
    return notices


def _names_models_look(submission: Submission) -> bool:
    """Tell whether a request says what the model is to look at, or what it is to look for."""
    named = submission.enhance is not None or submission.tiling != "auto"
    return named or submission.names_prompt or submission.names_budget


def _is_demo_with_reader(workers: Sequence[Heartbeat]) -> bool:
    """Tell whether only the bundled model runs, and every worker can read beside it."""
    return bool(workers) and all(worker.demo and worker.reader for worker in workers)
