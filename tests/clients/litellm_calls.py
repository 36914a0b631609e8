"""litellm: Mistral's OCR, a chat whole and streamed, and a response."""

from __future__ import annotations

import base64
import json
import os
import sys
from pathlib import Path

# its price list comes with it; the net is not asked for a newer one
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm


def main(url: str, pdf: str, image: str) -> None:
    """Print what each call has given."""
    base = f"{url}/v1"
    content = base64.b64encode(Path(pdf).read_bytes()).decode()
    ocr = litellm.ocr(
        model="mistral/mistral-ocr-latest",
        document={
            "type": "document_url",
            "document_url": f"data:application/pdf;base64,{content}",
        },
        api_base=base,
        api_key="none",
        pages=[0, 1],
        include_image_base64=False,
    )
    question = [
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": {"url": image}},
    ]
    asked = {
        "model": "openai/sightline",
        "messages": [{"role": "user", "content": question}],
        "api_base": base,
        "api_key": "none",
        "max_tokens": 6,
    }
    whole = litellm.completion(**asked)
    pieces = [
        chunk.choices[0].delta.content or "" for chunk in litellm.completion(**asked, stream=True)
    ]
    response = litellm.responses(
        model="openai/sightline",
        input="What is it?",
        api_base=base,
        api_key="none",
        max_output_tokens=6,
    )
    results = {
        "ocr": ocr.model_dump(mode="json"),
        "whole": whole.choices[0].message.content,
        "streamed": "".join(pieces),
        "response": response.model_dump(mode="json"),
    }
    print(json.dumps(results))


main(*sys.argv[1:])
