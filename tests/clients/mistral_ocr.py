"""mistralai: a PDF by upload and signed URL, by its file ID, as a data URI; and refusals."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Literal

from mistralai.client import Mistral
from mistralai.client.errors import HTTPValidationError, MistralError
from mistralai.extra import response_format_from_pydantic_model
from pydantic import BaseModel


class Summary(BaseModel):
    """What is asked for."""

    kind: Literal["letter", "table"]
    pages: int


def main(url: str, pdf: str) -> None:
    """Print what each call has given."""
    client = Mistral(api_key="none", server_url=url)
    data = Path(pdf).read_bytes()
    uploaded = client.files.upload(file={"file_name": "a.pdf", "content": data}, purpose="ocr")
    retrieved = client.files.retrieve(file_id=uploaded.id)
    link = client.files.get_signed_url(file_id=uploaded.id, expiry=1)
    by_url = client.ocr.process(
        model="mistral-ocr-latest",
        document={"type": "document_url", "document_url": link.url},
        include_image_base64=True,
        pages=[0],
    )
    by_id = client.ocr.process(
        model="mistral-ocr-latest",
        document={"type": "file", "file_id": uploaded.id},
        table_format="html",
        extract_header=True,
    )
    annotated = client.ocr.process(
        model="mistral-ocr-latest",
        document={"type": "file", "file_id": uploaded.id},
        document_annotation_format=response_format_from_pydantic_model(Summary),
        bbox_annotation_format=response_format_from_pydantic_model(Summary),
        include_image_base64=True,
        pages=[2],
    )
    outcomes = {}
    for name, options in (
        (
            "validation",
            {
                "document": {
                    "type": "document_url",
                    "document_url": "data:application/pdf;base64,JVBERi0x",
                }
            },
        ),
        ("model", {"document": {"type": "file", "file_id": uploaded.id}, "model": "gpt-none"}),
    ):
        try:
            client.ocr.process(**{"model": "mistral-ocr-latest", **options})
        except HTTPValidationError as error:
            outcomes[name] = [error.status_code, error.data.detail[0].msg]
        except MistralError as error:
            outcomes[name] = [error.status_code, json.loads(error.body)["message"]]
    deleted = client.files.delete(file_id=uploaded.id)
    results = {
        "uploaded": uploaded.model_dump(mode="json"),
        "retrieved": retrieved.model_dump(mode="json"),
        "by_url": by_url.model_dump(mode="json"),
        "by_id": by_id.model_dump(mode="json"),
        "annotated": annotated.model_dump(mode="json"),
        "errors": outcomes,
        "deleted": deleted.deleted,
    }
    print(json.dumps(results))


main(*sys.argv[1:])
