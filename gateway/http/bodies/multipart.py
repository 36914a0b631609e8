"""Parsing of forms in bounded steps; what is broken or too much in one is refused by its name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Any, Never

from flask import Request
from werkzeug.datastructures import FileStorage, Headers, MultiDict
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.formparser import FormDataParser, MultiPartParser
from werkzeug.sansio.multipart import (
    Data,
    Epilogue,
    Event,
    Field,
    File,
    MultipartDecoder,
    NeedData,
    Preamble,
)

from gateway.large_input import MAX_TEXT_BYTES, decode_slowly, give_way, read_slowly, unquote_slowly
from shared.errors import BadParameters, PayloadTooLarge
from shared.excerpt import excerpt

#: Fields whose text may be an image in base64, and all that may be as long.
IMAGE_FIELDS = ("image", "image_url", "image_base64", "images")
_LONG_FIELDS = (*IMAGE_FIELDS, "document")

_CHUNK_BYTES = 64 << 10
#: Bytes of a part's headers: a name, a file's name and a type.
_MAX_HEADER_BYTES = 8 << 10
#: Bytes that may wait for the end of a part's headers.
_MAX_BUFFER_BYTES = 2 * _CHUNK_BYTES + _MAX_HEADER_BYTES
_NESTED_HINT = (
    "curl makes one of -F 'name=(…' for its parenthesis, and of all that follows: "
    "send such a value with --form-string 'name=(…'."
)


class _BoundedDecoder(MultipartDecoder):
    def _parse_headers(self, data: bytes | bytearray) -> Headers:
        if len(data) > _MAX_HEADER_BYTES:
            _refuse_headers()
        return super()._parse_headers(data)


def _refuse_headers() -> Never:
    raise PayloadTooLarge(
        f"The form has more than {_MAX_HEADER_BYTES} bytes before the content of a part.",
        hint="Send shorter names and headers of parts.",
    )


class _FlatParser(MultiPartParser):
    """Refuses a form inside a form, as it is always a mistake, and a form that ended early."""

    def parse(
        self, stream: IO[bytes], boundary: bytes, content_length: int | None
    ) -> tuple[MultiDict[str, str], MultiDict[str, FileStorage]]:
        """Return fields and files; raises BadParameters and PayloadTooLarge."""
        fields: list[tuple[str, str]] = []
        files: list[tuple[str, FileStorage]] = []
        events = _iter_events(stream, boundary)
        for part in events:
            self._check_count(len(fields) + len(files) + 1)
            if not isinstance(part, Field | File) or part.name is None:
                raise BadParameters("A part of the form has no name.")
            contents = _iter_contents(events)
            if isinstance(part, File):
                file = self.start_file_streaming(part, content_length)
                file.writelines(contents)
                files.append((part.name, _stored_file(part, file)))
            else:
                fields.append((part.name, self._field_text(part, contents)))
        return self.cls(fields), self.cls(files)

    def _check_count(self, count: int) -> None:
        if self.max_form_parts is not None and count > self.max_form_parts:
            raise PayloadTooLarge(
                f"The form has more than {self.max_form_parts} parts.",
                hint="Send fewer fields and files at a time.",
            )

    def _field_text(self, part: Field, contents: Iterator[bytes]) -> str:
        content = bytearray()
        for data in contents:
            content += data
        return _decode_field(part.name, content, self.get_part_charset(part.headers))

    def get_part_charset(self, headers: Headers) -> str:
        """Return the charset of a field; raises BadParameters if the field is a form itself."""
        disposition = headers.get("content-disposition", "")
        if headers.get("content-type", "").lower().startswith("multipart/"):
            name = excerpt(disposition.partition('name="')[2].partition('"')[0])
            raise BadParameters(
                f"The form field {name} contains another form.",
                pointer=f"/{name}",
                hint=_NESTED_HINT,
            )
        return super().get_part_charset(headers)


def _iter_contents(events: Iterator[Event]) -> Iterator[bytes]:
    """Yield the data of one part; what follows stays in `events`."""
    for event in events:
        if isinstance(event, Data):
            yield event.data
            if not event.more_data:
                return


def _iter_events(stream: IO[bytes], boundary: bytes) -> Iterator[Event]:
    """Yield the begin of each part and its data; raises BadParameters and PayloadTooLarge."""
    decoder = _BoundedDecoder(boundary, _MAX_BUFFER_BYTES)
    size = 0
    for chunk in _iter_chunks(stream):
        size += len(chunk or b"")
        try:
            decoder.receive_data(chunk)
            while not isinstance(event := decoder.next_event(), Epilogue | NeedData):
                if not isinstance(event, Preamble):
                    yield event
        except RequestEntityTooLarge:
            _refuse_headers()
        except ValueError as error:
            raise _broken_form_error(size, error, ended=decoder.complete) from None


def _broken_form_error(size: int, error: ValueError, *, ended: bool) -> BadParameters:
    if not ended:
        return BadParameters(f"The form is broken: {excerpt(error)}.")
    return BadParameters(
        f"The form ended early, after {size} bytes: its last boundary is missing.",
        hint="Send the whole form; it may have been cut off on its way.",
    )


def _iter_chunks(stream: IO[bytes]) -> Iterator[bytes | None]:
    """Yield what comes, and None at the end; others go on in between."""
    while chunk := stream.read(_CHUNK_BYTES):
        yield chunk
        give_way()
    yield None


def _stored_file(part: File, content: IO[bytes]) -> FileStorage:
    content.seek(0)
    return FileStorage(content, part.filename, part.name, headers=part.headers)


def _decode_field(name: str, content: bytes | bytearray, charset: str = "utf-8") -> str:
    may_be_long = len(content) <= MAX_TEXT_BYTES or name in _LONG_FIELDS
    text = decode_slowly(content, charset) if may_be_long else None
    if text is None:
        name = excerpt(name)
        raise PayloadTooLarge(
            f"The text field {name} has {len(content)} bytes; only images may be that large.",
            pointer=f"/{name}",
        )
    return text


class _FlatFormParser(FormDataParser):
    def _parse_multipart(
        self,
        stream: IO[bytes],
        mimetype: str,  # noqa: ARG002 as the base class has it
        content_length: int | None,
        options: dict[str, str],
    ) -> Any:
        parser = _FlatParser(
            stream_factory=self.stream_factory, max_form_parts=self.max_form_parts, cls=self.cls
        )
        boundary = options.get("boundary", "").encode("ascii", "replace")
        if not boundary:
            raise BadParameters(
                "The Content-Type of the form names no boundary.",
                hint="Let your HTTP client make the Content-Type of a form.",
            )
        form, files = parser.parse(stream, boundary, content_length)
        return stream, form, files

    def _parse_urlencoded(
        self,
        stream: IO[bytes],
        mimetype: str,  # noqa: ARG002 as the base class has it
        content_length: int | None,  # noqa: ARG002
        options: dict[str, str],  # noqa: ARG002
    ) -> Any:
        """Return the fields, of which there may be as many as parts of a multipart form."""
        body = read_slowly(stream)
        fields: list[tuple[str, str]] = []
        begin = count = 0
        while begin < len(body):
            count += 1
            if self.max_form_parts is not None and count > self.max_form_parts:
                raise PayloadTooLarge(
                    f"The form has more than {self.max_form_parts} fields.",
                    hint="Send fewer fields at a time.",
                )
            end = body.find(b"&", begin)
            end = len(body) if end < 0 else end
            if end > begin:
                fields.append(_decode_pair(body, begin, end))
            begin = end + 1
        return stream, self.cls(fields), self.cls()


def _decode_pair(body: bytearray, begin: int, end: int) -> tuple[str, str]:
    """Return the name and the value of a field between two places."""
    middle = body.find(b"=", begin, end)
    middle = end if middle < 0 else middle
    if middle - begin > _MAX_HEADER_BYTES:
        raise PayloadTooLarge(f"A field of the form has a name of {middle - begin} bytes.")
    name = _decode_field("name", unquote_slowly(body, begin, middle, form=True))
    return name, _decode_field(name, unquote_slowly(body, middle + 1, end, form=True))


class FormRequest(Request):
    """A request whose forms are parsed in bounded steps."""

    form_data_parser_class = _FlatFormParser

    def forget_body(self) -> None:
        """Free the body and what was parsed of it."""
        self.close()
        for name in ("_cached_data", "data", "form", "files", "values"):
            vars(self).pop(name, None)
