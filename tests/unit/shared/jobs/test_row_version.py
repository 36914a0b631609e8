"""A row with members that older workers do not know must have a new version."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shared.jobs import (
    ROW_VERSION,
    ConversationMessage,
    DocumentInput,
    GenerationParams,
    JobInput,
    SearchTerms,
    Tiling,
    TilingTask,
)

#: The members and values of the input in a row of this version.
VERSION = 5
WORDS = {
    "ConversationMessage": "image_places images max_pixels role text",
    "DocumentInput": "cut dpi id kind name page_count pages running_lines text_layer",
    "EnhanceStep": "binarize contrast denoise deskew downscale perspective upscale",
    "GenerationParams": "choices do_sample enable_thinking frequency_penalty from_model "
    "line_confidence loop_guard max_new_tokens max_reasoning_tokens max_total_tokens min_p "
    "presence_penalty regex repetition_penalty response_format seed stop temperature top_k top_p "
    "uncertain_below",
    "JobInput": "before boxes document encode_only enhance evidence find image_places images "
    "keep_all max_pixels params postprocess preset prompt reader reference review thread tiling",
    "JsonSchema": "description name schema strict",
    "ResponseFormat": "json_schema type",
    "ReviewRule": "below",
    "SearchTerms": "fuzzy labels language",
    "TextLayer": "auto ignore only",
    "Tiling": "budget planned strict task whole",
    "TilingTask": "ask read",
}


READERS = ("model", "second", "both")


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


#: The members that a worker of version 3 takes; it refuses a row with any other.
KNOWN_TO_3 = set(WORDS["GenerationParams"].split()) - {
    *("top_k", "presence_penalty", "frequency_penalty", "repetition_penalty", "from_model"),
    *("min_p", "enable_thinking", "max_reasoning_tokens", "max_total_tokens"),
}


@pytest.mark.parametrize(
    "params", [{}, {"top_k": None}, {"repetition_penalty": 1}, {"min_p": 0}, {"top_p": 0.5}]
)
def test_a_row_without_new_words_is_one_that_an_older_worker_reads(params):
    row = JobInput(prompt="hi", params=GenerationParams(**params))
    assert row.row_version == 3
    assert set(json.loads(row.model_dump_json())["params"]) == KNOWN_TO_3
    assert JobInput.model_validate_json(row.model_dump_json()) == row


@pytest.mark.parametrize(
    "params",
    [
        *({"top_k": 0}, {"presence_penalty": 1}, {"frequency_penalty": -1}),
        *({"repetition_penalty": 1.1}, {"from_model": ("top_k",)}),
    ],
    ids=str,
)
def test_an_older_worker_leaves_a_row_alone_that_asks_for_what_it_does_not_know(params):
    row = JobInput(prompt="hi", params=GenerationParams(**params))
    assert row.row_version == 4
    assert JobInput.model_validate_json(row.model_dump_json()) == row


@pytest.mark.parametrize(
    "fields",
    [
        {"params": GenerationParams(min_p=0.1)},
        {"params": GenerationParams(max_new_tokens=4097, top_k=5)},
        {"keep_all": True},
        {"boxes": "line"},
        {"find": SearchTerms(labels=("a",)), "reader": "model"},
        {"enhance": ("downscale",)},
        {"images": ("img_1",), "image_places": (2,)},
        {"before": (ConversationMessage(role="user", text="a", images=("i",), image_places=(1,)),)},
    ],
    ids=str,
)
def test_a_worker_of_version_4_leaves_alone_what_came_later(fields):
    row = JobInput(prompt="hi", **fields)
    assert row.row_version == ROW_VERSION == 5
    assert JobInput.model_validate_json(row.model_dump_json()) == row


def test_places_that_change_nothing_are_not_in_a_row():
    row = JobInput(prompt="hi", before=(ConversationMessage(role="user", text="a"),))
    assert "image_places" not in row.model_dump_json()


def test_only_a_row_that_reads_each_image_as_a_whole_says_so():
    for whole, version in ((False, 3), (True, ROW_VERSION)):
        tiling = Tiling(task=TilingTask.READ, budget=4096, planned=2, whole=whole)
        row = JobInput(prompt="hi", tiling=tiling)
        assert row.row_version == version
        assert ("whole" in json.loads(row.model_dump_json())["tiling"]) == whole
        assert JobInput.model_validate_json(row.model_dump_json()) == row


def test_a_job_about_a_document_is_left_alone_by_older_workers():
    document = DocumentInput(id="doc_" + "0" * 64, kind="pdf", page_count=9, pages=(1, 9))
    row = JobInput(prompt="hi", document=document)
    assert row.row_version == 5
    assert JobInput.model_validate_json(row.model_dump_json()) == row
    assert "document" not in json.loads(JobInput(prompt="hi").model_dump_json())


def test_what_looks_among_text_needs_the_second_reader_unless_pages_bring_theirs():
    terms = SearchTerms(labels=("a",))
    needs = {reader: JobInput(prompt="", find=terms, reader=reader) for reader in READERS}
    assert [job.needs_reader for job in needs.values()] == [False, True, True]
    document = DocumentInput(id="doc_1", kind="pdf", page_count=1, pages=(1,), text_layer="only")
    own = JobInput(prompt="", find=terms, reader="second", document=document)
    assert not own.needs_reader
