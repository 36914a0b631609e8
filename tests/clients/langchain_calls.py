"""langchain-openai: an image asked about, whole and streamed; structured output; a response."""

from __future__ import annotations

import json
import sys

from langchain_core.messages import HumanMessage
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, Field


class Shape(BaseModel):
    """A shape in a picture."""

    name: str = Field(max_length=8)
    count: int = Field(ge=0, le=9)


def main(url: str, image: str) -> None:
    """Print what each call has given."""
    options = {"model": "sightline", "base_url": f"{url}/v1", "api_key": "none"}
    chat = ChatOpenAI(**options, max_tokens=6, temperature=0)
    message = HumanMessage(
        [
            {"type": "text", "text": "What is it?"},
            {"type": "image_url", "image_url": {"url": image}},
        ]
    )
    whole = chat.invoke([message])
    streamed = "".join(chunk.text for chunk in chat.stream([message]))
    structured = ChatOpenAI(**options, max_tokens=200).with_structured_output(
        Shape, method="json_schema"
    )
    shape = structured.invoke([message])
    responses = ChatOpenAI(**options, use_responses_api=True, max_tokens=6)
    answered = responses.invoke("What is it?")
    results = {
        "whole": whole.content,
        "usage": whole.usage_metadata,
        "streamed": streamed,
        "shape": shape.model_dump(),
        "response": answered.text,
    }
    print(json.dumps(results))


main(*sys.argv[1:])
