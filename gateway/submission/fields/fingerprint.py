"""What makes two submissions the same request."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from gateway.large_input import with_pauses
from gateway.submission.fields.images import DOCUMENT_NAMES
from gateway.submission.fields.submission import Submission
from shared.jobs import ConversationMessage, ImagePlaces
from shared.jobs.row import dump

#: Parameters that are part of each fingerprint, whatever they say. No further ones may be added: a
#: repeated request would be taken for another one during an upgrade.
_COUNTED = (
    *("prompt", "preset", "lang", "fields", "session_id", "detail", "max_pixels", "tiling"),
    *("reader", "strict", "max_new_tokens", "do_sample", "temperature", "top_p", "top_k", "min_p"),
    *("presence_penalty", "frequency_penalty", "repetition_penalty", "seed", "stop", "choices"),
    *("regex", "response_format", "loop_guard", "uncertain_below", "line_confidence"),
    *("postprocess", "enhance", "priority", "ttl_s", "deadline_s", "webhook", "webhook_events"),
    "metadata",
)
#: Parameters that are no part of it: what they bring is named otherwise, or makes no difference.
_NOT_COUNTED = ("images", "document", "password", "sha256", "file_bytes", "wait_for_model", "model")


def fingerprint_of(
    submission: Submission,
    image_ids: Sequence[str],
    before: Sequence[ConversationMessage] = (),
    image_places: ImagePlaces = (),
) -> str:
    """Return a SHA-256 that equal requests have in common, whether form or JSON.

    `image_ids` names the document too. No password becomes part of it, and no model.
    """
    content = submission.model_dump(mode="json", include=_counted_names(submission))
    content["images"] = image_ids
    if before:
        content["before"] = [message.model_dump() for message in with_pauses(before)]
    if image_places:
        content["image_places"] = image_places
    if submission.effort is not None:
        content["effort"] = submission.effort
    if submission.preset is not None:
        # a default value that is named wins over the preset's
        content["explicit"] = sorted(submission.explicit_params().keys() - submission.from_fleet)
    return hashlib.sha256(dump(content).encode()).hexdigest()


def _counted_names(submission: Submission) -> set[str]:
    """Return the parameters that tell this request from others.

    One that says nothing is left out, so that a request is still the same after an upgrade that
    brought it.
    """
    known = type(submission).model_fields
    added = known.keys() - {*_COUNTED, *_NOT_COUNTED, *DOCUMENT_NAMES}
    defaults = {name: known[name].get_default(call_default_factory=True) for name in added}
    said = {
        name for name in added if getattr(submission, name) not in (defaults[name], None, "", False)
    }
    documents = DOCUMENT_NAMES if submission.document_parameters else ()
    # a request is still the same while no worker is up, or one of another kind
    return {*_COUNTED, *said, *documents} - submission.from_fleet
