"""What looks for things: the model, the text that is read, or first one and then the other."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.submission.fields.submission import Submission
from shared.errors import BadParameters, ReaderUnavailable
from shared.jobs import Reader, TextLayer
from shared.prediction.heartbeat import Heartbeat


def choose_finder(submission: Submission, accepting: Sequence[Heartbeat]) -> Reader:
    """Return what looks for the things that a request names.

    Where it names nothing, that is the text and then the model; the text alone while only models
    run that point at nothing, as the bundled one; the model alone where no worker reads. Raises
    BadParameters and ReaderUnavailable where no running worker can look as wanted.
    """
    own_text = submission.text_layer is TextLayer.ONLY
    wanted = submission.reader or ("second" if own_text else _usual(accepting))
    if own_text and wanted == "model":
        raise BadParameters(
            "text_layer=only leaves nothing that the model could look at; use reader=second.",
            pointer="/reader",
        )
    is_blind = bool(accepting) and not any(worker.points for worker in accepting)
    if is_blind and wanted != "second":
        raise BadParameters(
            "The loaded model points at nothing: it only reads.",
            pointer="/reader",
            hint="Use reader=second, which looks among the text, or have another checkpoint run.",
        )
    reads = not accepting or any(worker.reader for worker in accepting)
    if wanted != "model" and not own_text and not reads:
        raise ReaderUnavailable(pointer="/reader", hint=_HINT)
    return wanted


_HINT = (
    "Have the operator install the extra [reader] in the workers. Without it a model that points "
    "at things can be asked with reader=model, and the own text of a PDF's pages is searched with "
    "reader=second and text_layer=only."
)


def _usual(accepting: Sequence[Heartbeat]) -> Reader:
    if accepting and not any(worker.points for worker in accepting):
        return "second"
    reads = not accepting or any(worker.reader for worker in accepting)
    return "both" if reads else "model"
