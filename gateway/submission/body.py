"""Reads the body of a request: a JSON object, or the fields and image files of a form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from flask import Request
from pydantic import BaseModel, ValidationError
from werkzeug.datastructures import FileStorage

from gateway.http.bodies import strict_json
from gateway.http.bodies.multipart import IMAGE_FIELDS
from gateway.http.problems import from_validation
from gateway.large_input import read_slowly
from shared.errors import BadParameters, InvalidJson, PayloadTooLarge, UnsupportedMediaType
from shared.excerpt import excerpt

V = TypeVar("V")
M = TypeVar("M", bound=BaseModel)

#: Where a request keeps its body once it is read.
_WHOLE_BODY = "sightline.whole_body"
#: Characters in which a JSON text begins.
_BEGIN_CHARS = 100
_FORM_TYPES = ("multipart/form-data", "application/x-www-form-urlencoded")
#: Form fields whose files are images or documents; one of the last two is read page by page, also
#: where it could be taken for an image.
FILE_FIELDS = ("image", "images", "document", "file")
#: Form fields whose text is JSON when it looks like it.
_COMPLEX = (
    *("images", "stop", "metadata", "fields", "postprocess", "webhook_events"),
    *("choices", "response_format", "enhance", "sha256", "bytes"),
    *("document", "pages", "labels", "review"),
)
#: Form fields that may be repeated.
_REPEATED = (
    *("stop", "fields", "postprocess", "webhook_events", "choices"),
    *("sha256", "bytes", "pages", "labels"),
)
#: Form fields of which one value may be a word and several are a list.
_WORD_OR_LIST = ("enhance",)


def refuse_compressed(request: Request) -> None:
    """Raise UnsupportedMediaType for a body that is compressed."""
    encoding = request.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in ("", "identity"):
        raise UnsupportedMediaType(
            f"The body is compressed (Content-Encoding: {excerpt(encoding)}).",
            hint="Send it without compression; images are compressed already.",
        )


def is_form(request: Request) -> bool:
    """Tell whether the request says that its body is a form."""
    return request.mimetype in _FORM_TYPES


def is_json(request: Request) -> bool:
    """Tell whether the request says that its body is JSON."""
    return request.mimetype == "application/json" or request.mimetype.endswith("+json")


def parse_json_object(request: Request) -> dict[str, Any]:
    """Return the request's JSON object; raises InvalidJson and PayloadTooLarge."""
    value = strict_json.parse(read_whole_body(request))
    if not isinstance(value, dict):
        raise InvalidJson("The body must be a JSON object.")
    return value


def parse_body(request: Request, model: type[M]) -> M:
    """Return the request's JSON object as a model of it.

    Raises UnsupportedMediaType, InvalidJson, PayloadTooLarge, BadParameters.
    """
    if not is_json(request):
        raise UnsupportedMediaType
    fields = parse_json_object(request)
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        raise from_validation(error) from None


def read_whole_body(request: Request) -> bytearray:
    """Return all of the body, also when it is asked for again; raises as `parse_json_object`.

    The framework cuts it off at its limits without an error.
    """
    body = request.environ.get(_WHOLE_BODY)
    if body is None:
        body = request.environ[_WHOLE_BODY] = read_slowly(request.stream)
    length, most = request.content_length, request.max_content_length
    if length is None and most is not None and len(body) >= most:
        raise PayloadTooLarge
    if length is not None and len(body) < length:
        raise InvalidJson(f"The body ended after {len(body)} of {length} bytes.")
    whole: bytearray = body
    return whole


def parse_form(request: Request) -> dict[str, Any]:
    """Return the fields of a form, their JSON parsed; raises InvalidJson and BadParameters."""
    fields: dict[str, Any] = {}
    for name, values in request.form.lists():
        parsed = [_parse_form_value(name, value) for value in values]
        flat = [
            part for value in parsed for part in (value if isinstance(value, list) else [value])
        ]
        if name in IMAGE_FIELDS:
            fields.setdefault("images", []).extend(flat)
        elif name in _REPEATED or (name in _WORD_OR_LIST and len(flat) > 1):
            fields[name] = flat
        else:
            fields[name] = _only_value(name, parsed)
    return fields


def form_texts(request: Request) -> dict[str, str]:
    """Return the fields of a form as they are; raises BadParameters for a repeated one."""
    return {name: _only_value(name, values) for name, values in request.form.lists()}


def _only_value(name: str, values: Sequence[V]) -> V:
    if len(values) > 1:
        name = excerpt(name)
        raise BadParameters(f"{name} is given more than once.", pointer=f"/{name}")
    return values[0]


def _parse_form_value(name: str, value: str) -> Any:
    if name not in _COMPLEX or not value[:_BEGIN_CHARS].lstrip().startswith(("[", "{")):
        return value
    return strict_json.parse(value, what=name, pointer=f"/{name}")


def form_files(request: Request) -> list[FileStorage]:
    """Return the image files and the document of a form in their order; raises BadParameters."""
    files = [file for name in FILE_FIELDS for file in request.files.getlist(name)]
    unknown = set(request.files) - set(FILE_FIELDS)
    if unknown:
        name = excerpt(min(unknown))
        raise BadParameters(
            f"Unknown file field: {name}; use image or document.", pointer=f"/{name}"
        )
    return files
