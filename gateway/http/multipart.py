"""Parsing of multipart forms; a form inside a form is refused, as it is always a mistake."""

from __future__ import annotations

from typing import IO, Any

from flask import Request
from werkzeug.datastructures import Headers
from werkzeug.formparser import FormDataParser, MultiPartParser

from shared.errors import BadParameters


class _FlatParser(MultiPartParser):
    def get_part_charset(self, headers: Headers) -> str:
        """Return the charset of a field; raises BadParameters if the field is a form itself."""
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


class _FlatFormParser(FormDataParser):
    def _parse_multipart(
        self,
        stream: IO[bytes],
        mimetype: str,  # noqa: ARG002 as the base class has it
        content_length: int | None,
        options: dict[str, str],
    ) -> Any:
        parser = _FlatParser(
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
    """A request that refuses a form inside its form."""

    form_data_parser_class = _FlatFormParser

    def forget_body(self) -> None:
        """Free the body and what was parsed of it."""
        self.close()
        for name in ("_cached_data", "data", "form", "files", "values"):
            vars(self).pop(name, None)
