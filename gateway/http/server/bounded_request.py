"""gunicorn's request with a bounded head, which closes its connection if its body stays unread."""

from __future__ import annotations

from collections import Counter
from typing import Any

from gunicorn.http.body import ChunkedReader, LengthReader
from gunicorn.http.message import Request

from shared.errors import InputError

#: Bytes of all header lines together, and of all trailers.
MAX_HEAD_BYTES = 64 << 10
#: Bytes of all values of one header; they are joined and parsed as one.
MAX_VALUE_BYTES = 8190
#: The same for those whose values are compared with each other, which takes longer.
MAX_LIST_BYTES = 1024
#: Bytes of an unread body that are worth reading to keep the connection.
_WORTH_READING = 64 << 10


class BoundedRequest(Request):
    """A request whose head or trailers of more than `MAX_HEAD_BYTES` are invalid."""

    def parse(self, unreader: Any) -> Any:
        """Read the head; raises gunicorn's ParseException, and InputError for a long value."""
        # gunicorn has only settings for lines and for one line, whose product is 800 KB
        self.max_buffer_headers = MAX_HEAD_BYTES
        if self.req_number > 1:
            # what was left of the last body has been read by now
            unreader.sock.await_request(begun=bool(unreader.buf.getvalue()))
        unused = super().parse(unreader)
        self._check_values()
        return unused

    def _check_values(self) -> None:
        lengths: Counter[str] = Counter()
        for name, value in self.headers:
            lengths[name] += len(value) + 1
        for name, length in lengths.items():
            most = MAX_LIST_BYTES if name.startswith("ACCEPT") else MAX_VALUE_BYTES
            if length > most:
                raise InputError(
                    f"The header {name.title()} has more than {most} bytes.",
                    hint="Send a shorter value, and the header once.",
                )

    @property
    def announced_bytes(self) -> int:
        """Return the length that the body has by its header; 0 if it does not say."""
        reader = getattr(self.body, "reader", None)
        return int(reader.length) if isinstance(reader, LengthReader) else 0

    def should_close(self) -> bool:
        """Tell whether the connection ends with this request."""
        return bool(super().should_close()) or self._leaves_much_unread()

    def _leaves_much_unread(self) -> bool:
        reader = getattr(self.body, "reader", None)
        if isinstance(reader, ChunkedReader):
            return reader.parser is not None
        return isinstance(reader, LengthReader) and reader.length > _WORTH_READING
