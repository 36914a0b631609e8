"""Which pixels a question shows to the engine, and what it says was done to them."""

from __future__ import annotations

import io
from random import Random

import pytest

pytest.importorskip("cv2")

from shared.jobs import JobInput, Turn
from tests.unit.worker.enhance import drawings
from tests.unit.worker.pipeline.test_pipeline import Narrow
from worker.pipeline import Pipeline, Question
from worker.pipeline.images import QuestionImages

SKEWED = drawings.turned(drawings.page(Random(4)), 5)


def png(image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def asked(enhance, history=(), images=("img_a",)):
    question = Question(
        id="job",
        job=JobInput(prompt="now?", images=images, enhance=enhance),
        history=list(history),
        pngs={"img_a": png(SKEWED)},
        feature_scope="tenant",
        scope="",
        time_left_s=10,
    )
    engine = Narrow()
    _, notices = Pipeline(engine).start(question)
    return [i for m in engine.taken[0].messages for i in m.images], notices


def turn(enhance):
    return Turn(
        job_id="j1",
        prompt="q",
        images=("img_a",),
        max_pixels=1_048_576,
        enhance=enhance,
        text="a",
        finish_reason="stop",
        created_ms=0,
    )


@pytest.mark.parametrize("enhance", ["off", "auto"])
def test_a_picture_of_a_document_is_known_by_its_document(enhance):
    images = QuestionImages({"img_a": png(SKEWED)}, file_ids={"img_a": "doc_b"})
    (drawn,) = images.inputs(("img_a",), 1_048_576, enhance)
    assert (drawn.id, drawn.file_id) == ("img_a", "doc_b")


def test_an_enhanced_image_is_another_to_the_engine_and_told():
    (plain,), silent = asked("off")
    (done,), notices = asked("auto")

    assert (plain.id, plain.variant, silent) == ("img_a", "", [])
    assert done.id == "img_a"
    assert done.variant
    assert [notice.code for notice in notices] == ["image_enhanced"]
    assert "img_a: deskew: a skew of 5.0°" in notices[0].detail


def test_a_step_that_finds_nothing_to_do_is_told():
    (shown,), notices = asked(("perspective",))

    assert shown.variant == ""
    assert [notice.code for notice in notices] == ["enhance_step_left_out"]


def test_a_follow_up_shows_the_image_as_the_turn_before_did():
    (first,), _ = asked("auto")
    (again,), notices = asked("off", [turn("auto")], images=())

    assert again.variant == first.variant
    assert again.image.tobytes() == first.image.tobytes()
    assert notices == []
