"""What the parameters of paths, queries and headers have in common."""

from __future__ import annotations

import functools
import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, Field

from shared.errors import NotFound

#: Of the URL of an image or a webhook.
MAX_URL_CHARS = 4096


Sha256 = Annotated[str, Field(pattern="^[0-9A-Fa-f]{64}$")]


def known_form(pattern: re.Pattern[str]) -> AfterValidator:
    """Return a check that raises NotFound for an id of another form than ours.

    As part of a Redis key such an id could name another key.
    """

    def check(value: str) -> str:
        if not pattern.fullmatch(value):
            raise NotFound
        return value

    return AfterValidator(check)


class Parameters(BaseModel):
    """Parameters of a path, query or header.

    flask-openapi3 asks for their schema at each request, so it is cached.
    """

    @classmethod
    def model_json_schema(cls, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Return the schema, cached if called without arguments."""
        if args or kwargs:
            return super().model_json_schema(*args, **kwargs)
        return _default_schema(cls)


@functools.cache
def _default_schema(shape: type[Parameters]) -> dict[str, Any]:
    return super(Parameters, shape).model_json_schema()
