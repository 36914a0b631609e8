"""A row with members that older workers do not know must have a new version."""

from __future__ import annotations

from typing import Any

from shared.jobs import ROW_VERSION, JobInput

#: The members and values of the input in a row of this version.
VERSION = 3
WORDS = {
    "ConversationMessage": "images max_pixels role text",
    "EnhanceStep": "binarize contrast denoise deskew perspective upscale",
    "GenerationParams": "choices do_sample line_confidence loop_guard max_new_tokens regex "
    "response_format seed stop temperature top_p uncertain_below",
    "JobInput": "before encode_only enhance images max_pixels params postprocess preset prompt "
    "thread tiling",
    "JsonSchema": "description name schema strict",
    "ResponseFormat": "json_schema type",
    "Tiling": "budget planned strict task",
    "TilingTask": "ask read",
}


def _words(schema: dict[str, Any]) -> dict[str, str]:
    parts = {"JobInput": schema, **schema["$defs"]}
    return {
        name: " ".join(sorted([*part.get("properties", {}), *part.get("enum", [])]))
        for name, part in sorted(parts.items())
    }


def test_a_row_that_says_something_new_bears_a_new_version():
    assert (ROW_VERSION, _words(JobInput.model_json_schema())) == (VERSION, WORDS), (
        "a row has other words now: raise ROW_VERSION, so that older workers leave it alone, "
        "and note version and words here"
    )
