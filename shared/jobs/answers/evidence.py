"""Where the values of an answer stand on the images or pages that it is about."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import SerializerFunctionWrapHandler, model_serializer

from shared.jobs.answers.lines import Box
from shared.jobs.parameters.generation import Frozen

#: It stands there; it may stand there, or it cannot be told; it stands nowhere.
EvidenceStatus = Literal["supported", "unverified", "not_found"]


class Evidence(Frozen):
    """Whether a value of an answer is printed, and where."""

    status: EvidenceStatus
    #: What is printed there; None without a place.
    text: str | None = None
    box: Box | None = None
    #: Which of the job's images it stands on, from 0, or which page of the document, from 1.
    image: int | None = None
    page: int | None = None
    #: How well it was seen, and how much it is like the value, 0 to 1; None without a place.
    confidence: float | None = None

    @model_serializer(mode="wrap")
    def _without_unused(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = dump(self)
        empty = {name for name in ("image", "page") if fields[name] is None}
        return {name: value for name, value in fields.items() if name not in empty}
