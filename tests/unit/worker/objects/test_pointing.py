"""Boxes that a model gives: read from its answer, doubted, placed, and joined at seams."""

from __future__ import annotations

import json

import pytest

from shared.jobs import FoundObject, GenerationParams
from worker.objects.merging import join_objects, without_doubles
from worker.objects.pointing import place_boxes, pointing_params, read_boxes
from worker.places.geometry import turn_back
from worker.tiling import Tile

LABELS = ["cat", "red car"]


def item(box, label="cat"):
    return {"bbox_2d": box, "label": label}


def test_boxes_of_known_labels_are_read():
    answer = json.dumps([item([0, 0, 1000, 1000]), item([10, 20, 30, 40], "RED  car")])
    pointed = read_boxes(answer, LABELS)
    assert pointed.boxes == [("cat", (0, 0, 1000, 1000)), ("red car", (10, 20, 30, 40))]
    assert pointed.notices == []


@pytest.mark.parametrize(
    ("box", "label", "cause"),
    [
        ([30, 20, 10, 40], "cat", "with nothing in it"),
        ([30, 20, 40, 20], "cat", "with nothing in it"),
        ([-1, 20, 40, 30], "cat", "outside of the picture"),
        ([0, 0, 1001, 30], "cat", "outside of the picture"),
        ([0, 0, 30], "cat", "outside of the picture"),
        (["0", 0, 30, 30], "cat", "outside of the picture"),
        ([True, 0, 30, 30], "cat", "outside of the picture"),
        (None, "cat", "outside of the picture"),
        ([0, 0, float("nan"), 30], "cat", "outside of the picture"),
        ([0, 0, 30, 30], "dog", "of something that was not asked for"),
        ([0, 0, 30, 30], None, "of something that was not asked for"),
    ],
)
def test_a_box_that_makes_no_sense_is_counted_and_left_out(box, label, cause):
    pointed = read_boxes(json.dumps([item(box, label), item([1, 2, 3, 4])]), LABELS)
    assert pointed.boxes == [("cat", (1, 2, 3, 4))]
    assert dict(pointed.dropped) == {cause: 1}
    (notice,) = pointed.notices
    assert notice.code == "boxes_dropped"
    assert cause in notice.detail


@pytest.mark.parametrize(
    "answer", ["", "nothing", "{}", "null", '"cat"', "[1, [], null]", "[" * 99]
)
def test_an_answer_that_is_no_list_of_boxes_gives_none(answer):
    pointed = read_boxes(answer, LABELS)
    assert pointed.boxes == []
    assert pointed.notices


def test_a_list_that_was_cut_off_gives_its_whole_boxes_and_says_so():
    answer = json.dumps([item([1, 2, 3, 4]), item([5, 6, 7, 8]), item([9, 10, 11, 12])])
    pointed = read_boxes(answer[: answer.rindex("12")], LABELS)
    assert [box for _, box in pointed.boxes] == [(1, 2, 3, 4), (5, 6, 7, 8)]
    assert [notice.code for notice in pointed.notices] == ["objects_cut_short"]


def test_the_answer_is_held_to_the_labels_that_are_asked_for():
    params = GenerationParams(stop=("x",), uncertain_below=0.5, line_confidence=True)
    held = pointing_params(params, LABELS)
    assert held.constrained_by == ["response_format"]
    assert (held.stop, held.uncertain_below, held.line_confidence) == ((), None, False)
    assert held.response_format is not None
    assert held.response_format.json_schema is not None
    item = held.response_format.json_schema.schema_["items"]
    assert item["properties"]["label"]["enum"] == LABELS


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_a_box_of_a_turned_picture_is_one_of_the_stored_image(degrees):
    width, height = 400, 200
    size = (width, height) if degrees % 180 == 0 else (height, width)
    # the place of a box of the stored image in the picture that was turned clockwise
    stored = (40, 20, 120, 60)
    corners = [(40, 20), (120, 60)]
    turned = {
        0: corners,
        90: [(height - y, x) for x, y in corners],
        180: [(width - x, height - y) for x, y in corners],
        270: [(y, width - x) for x, y in corners],
    }[degrees]
    xs, ys = sorted(x for x, _ in turned), sorted(y for _, y in turned)
    grid = [
        xs[0] * 1000 // size[0],
        ys[0] * 1000 // size[1],
        xs[1] * 1000 // size[0],
        ys[1] * 1000 // size[1],
    ]
    pointed = read_boxes(json.dumps([item(grid)]), LABELS)
    (one,) = place_boxes(
        pointed,
        size,
        lambda place: turn_back(place, degrees, width, height),
        (width, height),
        0.9,
    )
    assert one.box == stored
    assert one.polygon is None
    assert one.confidence == 0.9


def test_a_box_beside_the_stored_image_is_dropped_and_one_across_its_edge_is_cut():
    pointed = read_boxes(json.dumps([item([0, 0, 100, 100]), item([0, 0, 200, 200])]), LABELS)
    objects = place_boxes(
        pointed, (1000, 1000), lambda place: (place[0] - 150, place[1] - 150), (500, 500), None
    )
    assert [one.box for one in objects] == [(0, 0, 50, 50)]
    assert dict(pointed.dropped) == {"beside the stored image": 1}


def thing(box, label="cat", confidence=0.5):
    return FoundObject(label=label, box=box, confidence=confidence, source="model")


UPPER, LOWER = Tile(0, (0, 0, 400, 300)), Tile(1, (0, 250, 400, 550), overlap=50)
LEFT, RIGHT = Tile(0, (0, 0, 300, 200)), Tile(1, (300, 0, 600, 200), axis="x")


@pytest.mark.parametrize(
    ("parts", "boxes"),
    [
        # one thing in the overlap, seen by both
        ([(UPPER, (20, 255, 60, 295)), (LOWER, (20, 6, 60, 45))], [(20, 255, 60, 295)]),
        # one thing that the seam cuts
        ([(UPPER, (20, 100, 60, 300)), (LOWER, (21, 0, 60, 200))], [(20, 100, 60, 450)]),
        ([(LEFT, (200, 50, 300, 90)), (RIGHT, (0, 52, 80, 90))], [(200, 50, 380, 90)]),
        # two things on both sides of the seam, at other heights
        (
            [(LEFT, (200, 50, 300, 90)), (RIGHT, (0, 100, 80, 140))],
            [(200, 50, 300, 90), (300, 100, 380, 140)],
        ),
        # two things that end before the seam
        (
            [(UPPER, (20, 100, 60, 240)), (LOWER, (20, 70, 60, 120))],
            [(20, 100, 60, 240), (20, 320, 60, 370)],
        ),
        # a whole thing, and the part of it that the next tile shows
        ([(UPPER, (20, 200, 60, 298)), (LOWER, (20, 0, 60, 48))], [(20, 200, 60, 298)]),
    ],
)
def test_what_two_tiles_show_is_one_thing(parts, boxes):
    objects = join_objects([(tile, [thing(box)]) for tile, box in parts])
    assert [one.box for one in objects] == boxes
    assert {one.image for one in objects} == {0}


def test_other_labels_other_images_and_things_of_one_tile_stay_apart():
    same = (20, 100, 60, 140)
    other = Tile(0, (0, 0, 400, 300), image=1)
    things = [thing(same), thing(same, "red car"), thing((40, 100, 80, 140))]
    objects = join_objects([(UPPER, things), (other, [thing(same)])])
    assert [(one.label, one.image) for one in objects] == [
        ("cat", 0),
        ("red car", 0),
        ("cat", 0),
        ("cat", 1),
    ]


def test_a_thing_across_many_tiles_is_one():
    tiles = [Tile(n, (0, 200 * n, 100, 200 * n + 200)) for n in range(4)]
    boxes = [(10, 150, 50, 200), (10, 0, 50, 200), (10, 0, 50, 200), (10, 0, 50, 30)]
    objects = join_objects([(t, [thing(box)]) for t, box in zip(tiles, boxes, strict=True)])
    assert [one.box for one in objects] == [(10, 150, 50, 630)]


def test_what_stands_in_the_text_is_not_told_again():
    printed = [thing((10, 10, 50, 30)).model_copy(update={"source": "reader"})]
    others = [thing((200, 10, 240, 30)), thing((10, 10, 50, 30), "red car")]
    pointed = [thing((11, 10, 50, 31)), *others]
    assert without_doubles(printed, pointed) == others
