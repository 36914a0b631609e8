"""What looks for things, and how a search is planned: by the request and the workers that run."""

from __future__ import annotations

import pytest

from gateway.images.decoder.decoder import MeasuredImage
from gateway.submission.images.tiling import choose_tiling
from gateway.submission.planning.reader import check_reader, choose_reader
from gateway.submission.resolve import resolve
from shared.errors import BadParameters, ReaderUnavailable
from shared.jobs import SearchTerms, TilingTask
from tests.unit.gateway.submission.test_reader import (
    BARE,
    BARE_DEMO,
    DEMO,
    PRESETS,
    REAL,
    RULES,
    Submission,
)


def search(**fields):
    body = {"preset": "find"} | ({} if "phrase" in fields else {"labels": ["cat"]}) | fields
    return resolve(Submission.model_validate(body), PRESETS, RULES)


@pytest.mark.parametrize(
    ("workers", "reader"),
    [
        ([DEMO], "second"),
        ([DEMO, BARE_DEMO], "second"),
        ([REAL], "both"),
        ([REAL, BARE], "both"),
        ([DEMO, REAL], "both"),
        ([BARE], "model"),
        ([], "both"),
    ],
)
def test_the_text_comes_first_where_it_can_be_read(workers, reader):
    assert choose_reader(search(), workers) == reader
    assert choose_reader(search(text_layer="only"), workers) == "second"


@pytest.mark.parametrize("wanted", ["model", "both"])
def test_the_bundled_model_is_never_asked_to_point(wanted):
    with pytest.raises(BadParameters) as caught:
        choose_reader(search(reader=wanted), [DEMO, BARE_DEMO])
    assert caught.value.pointer == "/reader"
    assert choose_reader(search(reader=wanted), [DEMO, REAL]) == wanted


@pytest.mark.parametrize(
    ("fields", "workers"),
    [({}, [BARE_DEMO]), ({"reader": "second"}, [BARE]), ({"reader": "both"}, [BARE])],
)
def test_a_search_among_text_needs_a_reader_but_for_the_own_text_of_pages(fields, workers):
    with pytest.raises(ReaderUnavailable) as caught:
        choose_reader(search(**fields), workers)
    assert caught.value.pointer == "/reader"
    assert choose_reader(search(text_layer="only", reader="second"), workers) == "second"


def test_a_search_needs_something_to_look_at():
    with pytest.raises(BadParameters) as caught:
        check_reader(search(), "second", 0)
    assert caught.value.pointer == "/images"


def test_what_is_looked_for_is_in_the_prompt_and_the_job():
    asked = search(labels=["  a  cat ", "a cat", "狗"], fuzzy=True)
    assert asked.find == SearchTerms(labels=("a cat", "狗"), fuzzy=True, language="zh")
    assert '["a cat", "狗"]' in asked.prompt
    assert not asked.params.constrained_by
    assert search(phrase="the end", lang="zh").find == SearchTerms(
        labels=("the end",), language="zh"
    )
    assert resolve(Submission(preset="ocr"), PRESETS, RULES).find is None


@pytest.mark.parametrize(
    ("size", "reader", "cut"),
    [
        # a photograph is looked at as a whole, a long image in tiles
        ((4000, 3000), "model", False),
        ((4000, 3000), "both", False),
        ((1000, 6000), "model", True),
        ((6000, 900), "both", True),
        ((640, 480), "second", False),
        ((4000, 3000), "second", True),
    ],
)
def test_only_a_long_image_is_cut_for_the_model(size, reader, cut):
    tiling = choose_tiling(search(), [MeasuredImage(*size, size)], [REAL], reader)
    assert (tiling is not None) == cut
    assert tiling is None or tiling.task is TilingTask.READ


def test_several_images_are_searched_one_by_one():
    images = [MeasuredImage(100, 100, (100, 100))] * 2
    tiling = choose_tiling(search(), images, [REAL], "both")
    assert tiling is not None
    assert tiling.whole
