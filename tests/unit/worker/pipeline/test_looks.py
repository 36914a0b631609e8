"""Blank parts of an image that is read are left out before the model sees it, and told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageDraw

from shared.jobs import JobInput
from tests.unit.worker.pipeline.test_pipeline import Narrow, turn
from tests.unit.worker.reader.pages import page
from worker.engine.api import ImageInput, ModelInfo
from worker.pipeline import Pipeline, Question
from worker.pipeline.looks import leave_out_blanks, tight_look

INFO = ModelInfo("m", "1", context_tokens=4096, numerics="fp32")


def letter(noise: int = 0) -> Image.Image:
    """Draw four lines, a wide blank and two lines more on a mostly blank sheet."""
    text = page(1, 6, width=500).image
    sheet = Image.new("RGB", (1000, 1000), "white")
    sheet.paste(text.crop((0, 40, 500, 155)), (200, 100))
    sheet.paste(text.crop((0, 155, 500, 220)), (200, 700))
    if noise:
        grain = np.random.default_rng(0).normal(0, noise, (1000, 1000, 1))
        sheet = Image.fromarray(np.clip(np.asarray(sheet) + grain, 0, 255).astype(np.uint8))
    return sheet


def test_margins_and_wide_blanks_go_and_no_ink_does():
    tight = leave_out_blanks(ImageInput("img_a", letter(), 1 << 20), INFO)
    shown = np.asarray(tight.source.image) < 128
    drawn = np.asarray(letter()) < 128
    assert shown.sum() == drawn.sum()
    assert tight.source.image.width < 520
    assert 200 < tight.source.image.height < 330
    assert tight.source.variant == "@ink"
    assert tight.notice.code == "blanks_left_out"
    used = round(tight.source.image.width / 32) * round(tight.source.image.height / 32)
    assert f"{used} visual tokens instead of 961" in tight.notice.detail


def test_a_rule_a_picture_and_faint_text_are_ink():
    sheet = Image.new("RGB", (900, 900), "white")
    pen = ImageDraw.Draw(sheet)
    pen.line((300, 200, 600, 200), fill="black")
    pen.line((700, 300, 700, 500), fill="black")
    pen.rectangle((100, 600, 160, 660), fill=(235, 235, 235))
    assert tight_look(sheet, (0, 0, 900, 900)) == (83, 183, 718, 678)


@pytest.mark.parametrize(
    "image",
    [
        page(2, 30, width=620).image.crop((30, 30, 600, 900)),
        Image.new("RGB", (800, 800), "white"),
        letter(noise=12),
    ],
    ids=["full", "blank", "noisy"],
)
def test_an_image_stays_where_little_is_saved_or_nothing_is_sure(image):
    assert leave_out_blanks(ImageInput("img_a", image, 1 << 20), INFO) is None


def test_text_on_a_sheet_beyond_the_budget_is_shown_larger():
    tight = leave_out_blanks(ImageInput("img_a", letter(), 65_536), INFO)
    assert tight.source.image.size[0] < 520
    assert "times the size" in tight.notice.detail


def shown(**changes: object) -> tuple[str, list[str]]:
    question = Question(
        id="job",
        job=JobInput(prompt="read", images=("img_a",)),
        history=(),
        pngs={"img_a": letter()},
        feature_scope="tenant",
        scope="",
        time_left_s=10,
        reads=True,
    )
    engine = Narrow()
    _, notices = Pipeline(engine).start(replace(question, **changes))
    image = engine.taken[0].messages[-1].images[0]
    return image.variant, [notice.code for notice in notices]


def test_only_reading_leaves_blanks_out_and_only_where_no_conversation_goes_on():
    assert shown() == ("@ink", ["blanks_left_out"])
    assert shown(reads=False) == ("", [])
    assert shown(scope="tenant/session", history=[turn(1)]) == ("", [])
