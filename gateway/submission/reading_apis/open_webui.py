"""The request of Open WebUI's external loader: a file as the body, its name in a header."""

from __future__ import annotations

import io
from urllib.parse import unquote

from flask import Request
from werkzeug.datastructures import FileStorage

from gateway.submission.body import read_whole_body
from gateway.submission.reading_apis.reading import ReadingSubmission, receive_reading
from gateway.submission.request import ReceivedRequest
from shared.settings import Settings

_NAME_HEADER = "X-Filename"


def receive_file(request: Request, settings: Settings) -> ReceivedRequest[ReadingSubmission]:
    """Return the request to read the file that is the body; raises PayloadTooLarge, InvalidJson."""
    file = FileStorage(
        io.BytesIO(read_whole_body(request)),
        filename=unquote(request.headers.get(_NAME_HEADER, "")) or None,
        name="file",
        content_type=request.mimetype or None,
    )
    return receive_reading({}, settings, file)
