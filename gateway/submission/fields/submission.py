"""A submission: all that a request for a job may say, checked and typed."""

from __future__ import annotations

from pydantic import ConfigDict

from gateway.submission.fields.answer import AnswerFields
from gateway.submission.fields.conversation import ConversationFields
from gateway.submission.fields.handling import HandlingFields
from gateway.submission.fields.images import ImageFields
from gateway.submission.fields.question import QuestionFields
from gateway.submission.fields.sizes import SizeFields


# The last base has the first fields. Fingerprints follow the order of fields, so it must stay.
class Submission(
    HandlingFields, AnswerFields, SizeFields, ConversationFields, ImageFields, QuestionFields
):
    """The body of POST /v1/jobs."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)
