"""Which parts of an answer are listed for people."""

from __future__ import annotations

import pytest

from shared.jobs import FinishReason, Output, PageOutput, TextLine, TileOutput
from shared.jobs.answers.evidence import Evidence
from shared.jobs.answers.find import FoundObject
from shared.jobs.answers.review import Confirmation, Correction, Review
from worker.jobs.doubts import find_doubts


def line(confidence, agreement=None):
    return TextLine(text="x", confidence=confidence, agreement=agreement)


def tile(confidence=1.0, **fields):
    return TileOutput(box=(0, 0, 1, 1), confidence=confidence, **fields)


def test_lines_are_listed_that_the_model_or_the_other_reader_doubts():
    lines = (line(0.9), line(0.84), line(1, 0.5), line(None), line(None, 0.0), line(0.85, 0.85))
    output = Output(lines=lines, confidence=0.1)
    assert find_doubts(output, 0.85, wants_json=False) == ("/lines/1", "/lines/2", "/lines/4")


def test_pages_tiles_or_the_whole_text_are_listed_where_there_are_no_lines():
    pages = (PageOutput(page=4, confidence=0.9), PageOutput(page=5, confidence=0.2))
    pages += (PageOutput(page=6), PageOutput(page=7, gap=True))
    assert find_doubts(Output(pages=pages), 0.85, wants_json=False) == ("/pages/1", "/pages/3")
    tiles = (tile(0.5), tile(), tile(None, gap=True))
    assert find_doubts(Output(tiles=tiles), 0.85, wants_json=False) == ("/tiles/0", "/tiles/2")
    assert find_doubts(Output(confidence=0.5), 0.85, wants_json=False) == ("/text",)
    assert find_doubts(Output(confidence=None), 0.85, wants_json=False) == ()


def test_values_are_listed_that_are_not_well_supported():
    evidence = {
        "/a~1b": Evidence(status="supported", confidence=0.99),
        "/items/0/price": Evidence(status="supported", confidence=0.5),
        "/x": Evidence(status="unverified", confidence=0.99),
        "/y": Evidence(status="not_found"),
    }
    output = Output(json_value={}, evidence=evidence, lines=(line(0.1),))
    assert find_doubts(output, 0.85, wants_json=True) == (
        *("/json/items/0/price", "/json/x", "/json/y"),
    )


def test_objects_are_listed_that_are_less_sure():
    objects = [
        FoundObject(label="sign", box=(0, 0, 1, 1), confidence=chance, source="model")
        for chance in (0.9, 0.2, None)
    ]
    output = Output(objects=tuple(objects), lines=(line(0.1),))
    assert find_doubts(output, 0.85, wants_json=False) == ("/objects/1",)


@pytest.mark.parametrize("reason", [FinishReason.LENGTH, FinishReason.LOOP])
def test_an_answer_that_was_cut_off_is_listed_as_a_whole(reason):
    output = Output(finish_reason=reason, lines=(line(1),))
    assert find_doubts(output, 0.5, wants_json=False) == ("/text",)
    assert find_doubts(Output(json_value=None), 0.5, wants_json=True) == ("/text",)


@pytest.mark.parametrize(
    ("corrected", "confirmed", "state"),
    [
        *(([], [], "open"), (["/lines/3/text"], [], "open"), (["/json/items"], [], "open")),
        *((["/lines/3/text"], ["/json"], "done"), (["/json/items"], ["/lines/3"], "done")),
        (["/lines/3/cells/1/text"], ["/json/items/0/price"], "done"),
        # a neighbour settles nothing, nor does a part that was only confirmed
        *((["/lines/30/text"], ["/json"], "open"), ([], ["/lines/3/text", "/json"], "open")),
    ],
)
def test_a_review_is_done_when_every_part_was_looked_at(corrected, confirmed, state):
    fields = {"by": "k", "at_ms": 1}
    review = Review(
        corrections=[Correction(pointer=at, value=1, before=2, **fields) for at in corrected],
        confirmed=[Confirmation(pointer=at, **fields) for at in confirmed],
    )
    assert review.state(["/lines/3", "/json/items/0/price"]) == state
