"""Images whose text is read are turned upright, and places stay those of the stored image."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from shared.documents.picture import turn_picture
from shared.jobs import JobInput, Tiling, TilingTask
from tests.support.documents.drawn import prose, scan
from worker.jobs.upright import Turn, Upright

UPRIGHT = Upright(frozenset({"ocr"}))
OCR = JobInput(prompt="Read it.", images=("img_a",), preset="ocr")


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_place_in_the_turned_image_is_found_in_the_stored_one(degrees):
    stored = np.random.default_rng(1).integers(0, 255, (70, 50, 3), np.uint8)
    turned = np.asarray(turn_picture(Image.fromarray(stored), degrees))
    left, top, right, bottom = box = (7, 11, 29, 42)
    x0, y0, x1, y1 = Turn(degrees, 50, 70).turn_back(box)
    part = Image.fromarray(stored[y0:y1, x0:x1])
    assert (np.asarray(turn_picture(part, degrees)) == turned[top:bottom, left:right]).all()


@pytest.mark.parametrize("lies", [0, 90, 180, 270])
def test_a_page_that_lies_on_its_side_is_turned_and_told_of(lies):
    page = scan(prose(40), turn=lies).convert("RGB")
    turned, variants, notices = UPRIGHT.turn_all(OCR, {"img_a": page})
    if not lies:
        assert (turned, variants, notices) == ({}, {}, [])
        return
    assert variants == {"img_a": f"turn{360 - lies}"}
    assert turned["img_a"].size == scan([]).size
    assert [notice.code for notice in notices] == ["image_turned"]
    assert f"{360 - lies} degrees" in notices[0].detail


@pytest.mark.parametrize(
    ("change", "reads"),
    [
        ({}, True),
        ({"preset": "describe"}, False),
        ({"preset": None}, False),
        ({"preset": None, "tiling": Tiling(task=TilingTask.READ, budget=9999, planned=2)}, True),
        ({"preset": None, "tiling": Tiling(task=TilingTask.ASK, budget=9999, planned=2)}, False),
        ({"encode_only": True}, False),
    ],
)
def test_only_what_is_read_is_turned(change, reads):
    job = OCR.model_copy(update=change)
    assert UPRIGHT.reads(job) is reads
    page = scan(prose(40), turn=90).convert("RGB")
    assert bool(UPRIGHT.turn_all(job, {"img_a": page})[0]) is reads


SHORT = scan(["one line"]).convert("RGB")


@pytest.mark.parametrize("degrees", [0, 90, 180, None])
def test_an_image_whose_ink_does_not_tell_is_looked_at(degrees):
    looked = []

    def look(image):
        looked.append(image)
        return degrees

    upright = Upright(frozenset({"ocr"}), look)
    turned, variants, notices = upright.turn_all(OCR, {"img_a": SHORT})
    assert looked == [SHORT]
    assert variants == ({"img_a": f"turn{degrees}"} if degrees else {})
    codes = {0: [], None: ["orientation_unknown"]}.get(degrees, ["image_turned"])
    assert [notice.code for notice in notices] == codes
    if degrees:
        assert np.array_equal(turned["img_a"], turn_picture(SHORT, degrees))
    # a page that is full of print is not, nor what the second reader reads by itself
    upright.turn_all(OCR, {"img_a": scan(prose(40)).convert("RGB")})
    alone = OCR.model_copy(update={"reader": "second"})
    assert upright.turn_all(alone, {"img_a": SHORT}) == ({}, {}, [])
    assert len(looked) == 1


def test_that_nothing_tells_how_an_image_lies_is_said_but_for_a_blank_one():
    for image, codes in ((SHORT, ["orientation_unknown"]), (scan([]).convert("RGB"), [])):
        turned, _, notices = UPRIGHT.turn_all(OCR, {"img_a": image})
        assert not turned
        assert [notice.code for notice in notices] == codes
