"""A submission that reads one file, whatever it is: a document, or an image as its only page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from werkzeug.datastructures import FileStorage

from gateway.submission.fields.submission import Submission
from gateway.submission.request import ReceivedRequest, check_limits, validate_fields
from shared.settings import Settings

#: The preset that reads where the request names none.
_PRESET = "ocr"


class ReadingSubmission(Submission):
    """A submission in which an image counts as a document of one page."""

    @property
    def document_parameters(self) -> list[str]:
        """Return the names of the parameters that need a document; the first page needs none."""
        names = super().document_parameters
        return [name for name in names if name != "pages" or self.pages != ["1"]]

    def _unused_names(self) -> set[str]:
        return set()


def receive_reading(
    fields: Mapping[str, Any], settings: Settings, file: FileStorage | None = None
) -> ReceivedRequest[ReadingSubmission]:
    """Return the request to read what `fields` or `file` hold; raises BadParameters."""
    submission = validate_fields({"preset": _PRESET, **fields}, ReadingSubmission)
    files = [] if file is None else [file]
    check_limits(submission, len(files), settings)
    return ReceivedRequest(submission, files)
