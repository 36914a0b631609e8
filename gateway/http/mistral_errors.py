"""Errors of Mistral's routes in the form that Mistral's clients read."""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import BaseModel, Field

from shared.errors import ServiceError

MIMETYPE = "application/json"
#: The paths whose errors have this form.
PATHS = frozenset(("/v1/ocr",))


class MistralFault(BaseModel):
    """What is wrong with a part of a request."""

    loc: list[str | int]
    msg: str
    type: str


class MistralError(BaseModel):
    """Mistral's error, with our hint and request ID beside it."""

    object: Literal["error"]
    message: str
    type: str
    param: str | None
    code: str = Field(description="Stable error code.")
    hint: str = Field(description="How to fix it.")
    request_id: str
    detail: list[MistralFault] | None = Field(None, description="With status 422.")


def in_its_form(responses: dict[int, Any]) -> dict[int, Any]:
    """Return documented errors with this form in the place of ours."""
    schema = {"$ref": "#/components/schemas/MistralError"}
    return {
        status: {**response, "content": {MIMETYPE: {"schema": schema}}}
        for status, response in responses.items()
    }


def error_body(error: ServiceError, shown: dict[str, Any], request_id: str) -> bytes:
    """Return the JSON body of an error that OpenAI's clients would be `shown` like this."""
    body = {"object": "error", **shown, "code": error.code, "hint": error.hint_text}
    body["request_id"] = request_id
    if error.status == 422:
        # what is wrong with the file is, to Mistral's clients, an invalid request
        place = [part for part in (error.pointer or "").split("/") if part]
        body["detail"] = [{"loc": ["body", *place], "msg": shown["message"], "type": error.code}]
    return json.dumps(body, ensure_ascii=False).encode("utf-8", "backslashreplace")
