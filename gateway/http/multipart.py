"""Multipart bodies; one inside another is refused, for nobody means to send it."""

from __future__ import annotations

from typing import IO, Any

from flask import Request
from werkzeug.datastructures import Headers
from werkzeug.formparser import FormDataParser, MultiPartParser

from shared.errors import BadParameters


class _Parts(MultiPartParser):
    def get_part_charset(self, headers: Headers) -> str:
        """Return how a field's text is written; raises BadParameters for a form inside the form."""
        disposition = headers.get("content-disposition", "")
        if headers.get("content-type", "").lower().startswith("multipart/"):
            name = disposition.partition('name="')[2].partition('"')[0]
            raise BadParameters(
                f"The form field {name} contains another form.",
                pointer=f"/{name}",
                hint="curl treats the parenthesis in -F 'name=(…' as the start of a nested form: "
                "send such a value with --form-string 'name=(…'.",
            )
        return super().get_part_charset(headers)


class _Form(FormDataParser):
    def _parse_multipart(
        self,
        stream: IO[bytes],
        mimetype: str,  # noqa: ARG002 as its base is called
        content_length: int | None,
        options: dict[str, str],
    ) -> Any:
        parser = _Parts(
            stream_factory=self.stream_factory,
            max_form_memory_size=self.max_form_memory_size,
            max_form_parts=self.max_form_parts,
            cls=self.cls,
        )
        boundary = options.get("boundary", "").encode("ascii", "replace")
        if not boundary:
            raise ValueError("no boundary")
        form, files = parser.parse(stream, boundary, content_length)
        return stream, form, files


class FormRequest(Request):
    """A request whose forms have no forms inside."""

    form_data_parser_class = _Form
