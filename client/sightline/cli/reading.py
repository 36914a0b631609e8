"""Reads one file as a job, taking up that of an interrupted run, and gives its text a form."""

from __future__ import annotations

import argparse
import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from sightline._api import OnUpdate
from sightline.cli.ask import document_password, send_unlocked, submit_options
from sightline.client import Client, Job
from sightline.errors import APIError
from sightline.jobs import Answer
from sightline.types import ResultForm, SubmitOptions

#: Formats that show where the text stands.
_PLACED = ("pdf", "hocr")


class _NamedFile(io.BytesIO):
    """Bytes of a file that keep its name."""

    def __init__(self, name: str, data: bytes) -> None:
        super().__init__(data)
        self.name = name


@dataclass(frozen=True, slots=True)
class FileReader:
    """Reads files in one way; `password` opens those that are encrypted."""

    client: Client
    prompt: str | None
    options: SubmitOptions
    password: str | None = None

    @classmethod
    def of(cls, client: Client, args: argparse.Namespace) -> FileReader:
        """Return the reader that a command line describes; raises UsageError."""
        options = submit_options(args)
        if args.format in _PLACED:
            options.setdefault("boxes", "word")
        return cls(client, args.prompt, options, document_password(args))

    def read(self, path: Path, show: OnUpdate) -> Job:
        """Return the ended job; a document with too many pages has boxes of its lines alone."""
        file = (path.name, path.read_bytes())
        words = json.dumps([self.prompt, self.options], sort_keys=True)
        key = "ocr-" + hashlib.sha256(words.encode() + b"\0" + file[1]).hexdigest()
        try:
            return self._fetch_job(file, key, self.options, show)
        except APIError as error:
            if error.pointer != "/boxes" or self.options.get("boxes") != "word":
                raise
        return self._fetch_job(file, key, {**self.options, "boxes": "line"}, show)

    def _fetch_job(
        self, file: tuple[str, bytes], key: str, options: SubmitOptions, show: OnUpdate
    ) -> Job:
        """Return the ended job; the key finds the job of an interrupted run.

        One that failed or has gaps is retried: pages and parts that were read are not read again.
        """
        job = self._submit(file, options, key).wait(on_update=show)
        is_partial = job.data["output"] is not None and job.data["output"]["partial"]
        if job.replayed and (job.status != "succeeded" or is_partial):
            try:
                job = job.retry().wait(on_update=show)
            except APIError:
                # what it needs is gone
                job = self._submit(file, options).wait(on_update=show)
        return job

    def _submit(
        self, file: tuple[str, bytes], options: SubmitOptions, key: str | None = None
    ) -> Job:
        def send(**more: str) -> Job:
            whole = cast("SubmitOptions", {**options, **more})
            source = _NamedFile(*file)
            return self.client.submit(self.prompt, source, idempotency_key=key, **whole)

        return send_unlocked(send, self.password)


def is_partial(answer: Answer) -> bool:
    """Tell whether pages or parts could not be read."""
    output = answer.job["output"]
    return bool(output and output["partial"])


def warnings_of(answer: Answer) -> list[dict[str, str]]:
    """Return one warning of each code."""
    return list({warning["code"]: warning for warning in answer.job["warnings"]}.values())


def export_answer(job: Job, answer: Answer, form: str) -> bytes:
    """Return the file; the service makes those that need the picture."""
    if form in _PLACED:
        return job.export(cast("ResultForm", form))
    return _format_answer(answer, form).encode("utf-8")


def _format_answer(answer: Answer, form: str) -> str:
    output = answer.job["output"]
    pages = output.get("pages") if output else None
    if form == "json":
        document: dict[str, Any] = {"text": answer.text, "fields": answer.fields}
        document |= {"json": answer.json, "job": answer.job["id"]}
        document |= {"pages": pages} if pages else {}
        return json.dumps(document, ensure_ascii=False, indent=1) + "\n"
    if form == "md" and pages:
        return "\n".join(f"<!-- page {page.number} -->\n\n{page.text}\n" for page in answer.pages)
    return answer.text + "\n"
