"""The second reader on drawn pages: letters, places, reading order, turns and interruptions."""

from __future__ import annotations

import socket

import pytest
from PIL import Image, ImageDraw

pytest.importorskip("onnxruntime")
pytest.importorskip("rapidocr")

from rapidfuzz.distance import Levenshtein

from demo.data import fonts
from shared.settings import Settings
from tests.support.long_form import ends_of
from tests.unit.worker.reader.pages import Drawn, page
from worker.jobs.load_meter import LoadMeter
from worker.jobs.reader_loading import find_reader
from worker.reader import ReaderIncomplete, ReadingStopped, ReadPage, find_weights
from worker.reader import weights as weights_module
from worker.reader.reader import SecondReader


@pytest.fixture(scope="module")
def reader():
    reader = SecondReader(find_weights(), threads=2)
    yield reader
    reader.close()


def errors(read: ReadPage, lines: list[str]) -> float:
    drawn = "\n".join(lines)
    text = "\n".join(line for line in read.text.split("\n") if line)
    return Levenshtein.distance(text, drawn) / len(drawn)


def overlap(one, other) -> float:
    across = min(one[2], other[2]) - max(one[0], other[0])
    down = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(0, across) * max(0, down)
    area = sum((b[2] - b[0]) * (b[3] - b[1]) for b in (one, other))
    return shared / (area - shared)


@pytest.mark.parametrize("repetitive", [False, True])
def test_every_line_of_a_page_is_read_once_and_lies_where_it_was_drawn(reader, repetitive):
    drawn = page(1, 12, repetitive=repetitive)
    read = reader.read(drawn.image)
    assert errors(read, drawn.lines) <= 0.02
    assert len(read.lines) == len(drawn.lines)
    assert min(overlap(a.box, b) for a, b in zip(read.lines, drawn.boxes, strict=True)) > 0.5


def test_small_and_large_type_are_read(reader):
    for size, width in ((11, 500), (90, 1400)):
        drawn = page(2, 4, size=size, width=width)
        assert errors(reader.read(drawn.image), drawn.lines) <= 0.02


def test_light_letters_on_a_dark_ground_are_read(reader):
    drawn = page(3, 4, ink=(230, 230, 230), ground=(20, 30, 60))
    assert errors(reader.read(drawn.image), drawn.lines) <= 0.02


@pytest.mark.parametrize(
    "turn",
    ends_of([Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270, Image.Transpose.ROTATE_90]),
)
def test_a_turned_page_is_read_and_its_lines_stay_in_the_pixels_of_the_image(reader, turn):
    drawn = page(4, 6)
    turned = drawn.image.transpose(turn)
    read = reader.read(turned)
    assert errors(read, drawn.lines) <= 0.02
    width, height = drawn.image.size
    left, top, right, bottom = drawn.boxes[0]
    expected = {
        Image.Transpose.ROTATE_90: (top, width - right, bottom, width - left),
        Image.Transpose.ROTATE_180: (width - right, height - bottom, width - left, height - top),
        Image.Transpose.ROTATE_270: (height - bottom, left, height - top, right),
    }[turn]
    assert overlap(read.lines[0].box, expected) > 0.5
    # how far it was turned clockwise to be read is told to the caller
    degrees = {Image.Transpose.ROTATE_90: 90, Image.Transpose.ROTATE_180: 180}
    assert (reader.read(drawn.image).turned, read.turned) == (0, degrees.get(turn, 270))


@pytest.mark.parametrize("top", [40, 850, 1680])
def test_a_lone_line_on_a_page_that_is_blank_otherwise_is_read(reader, top):
    sheet = Image.new("RGB", (1240, 1754), "white")
    drawn = page(5, 1, width=300)
    sheet.paste(drawn.image, (500, top))
    read = reader.read(sheet)
    assert errors(read, drawn.lines) <= 0.02
    left, upper, right, lower = drawn.boxes[0]
    assert overlap(read.lines[0].box, (left + 500, upper + top, right + 500, lower + top)) > 0.5


def test_a_slanted_page_keeps_its_lines_apart(reader):
    drawn = page(5, 8)
    slanted = drawn.image.rotate(3, Image.Resampling.BICUBIC, expand=True, fillcolor="white")
    assert errors(reader.read(slanted), drawn.lines) <= 0.02


def test_columns_are_read_one_after_the_other(reader):
    left, right = page(6, 16, width=560), page(7, 16, width=560)
    both = Image.new("RGB", (1120, left.image.height), "white")
    both.paste(left.image, (0, 0))
    both.paste(right.image, (560, 0))
    assert errors(reader.read(both), left.lines + right.lines) <= 0.02


@pytest.mark.parametrize("count", ends_of([2, 3, 5]))
def test_short_columns_are_read_one_after_the_other(reader, count):
    both = Image.new("RGB", (1240, 60 + 80 + 30 * count + 60), "white")
    pen = ImageDraw.Draw(both)
    font = fonts.load(fonts.PILLOW, 20)
    heading = "A heading that reaches over both columns of the page below"
    pen.text((40, 20), heading, font=font, fill="black")
    left, right = page(6, count, width=560), page(7, count, width=560)
    both.paste(left.image, (0, 50))
    # not level with each other
    both.paste(right.image, (600, 58))
    assert errors(reader.read(both), [heading, *left.lines, *right.lines]) <= 0.02


def test_two_columns_of_a_form_are_read_row_by_row(reader):
    rows = [["Name", "Anna Berger"], ["Street", "12 Long Lane"], ["Town", "Leeds"]]
    image = Image.new("RGB", (900, 200), "white")
    pen, font = ImageDraw.Draw(image), fonts.load(fonts.PILLOW, 24)
    for y, row in enumerate(rows):
        for x, cell in enumerate(row):
            pen.text((40 + 420 * x, 30 + 45 * y), cell, font=font, fill="black")
    assert reader.read(image).text.split("\n") == [" ".join(row) for row in rows]


def table() -> Drawn:
    rows = [
        ["Item", "Pieces", "Price"],
        ["Apples", "12", "3.40"],
        ["Flour", "1", "0.99"],
        ["Olive oil", "2", "15.80"],
    ]
    image = Image.new("RGB", (700, 240), "white")
    pen, lines = ImageDraw.Draw(image), []
    for y, row in enumerate(rows):
        for x, cell in enumerate(row):
            pen.text(
                (40 + 240 * x, 30 + 45 * y), cell, font=fonts.load(fonts.PILLOW, 24), fill="black"
            )
        lines.append(f"| {' | '.join(row)} |")
    return Drawn(image, [lines[0], "| --- | --- | --- |", *lines[1:]], [])


def test_cells_below_each_other_make_a_table(reader):
    drawn = table()
    assert reader.read(drawn.image).text.split("\n") == drawn.lines


def test_a_word_has_its_own_place(reader):
    image = Image.new("RGB", (500, 80), "white")
    pen = ImageDraw.Draw(image)
    font = fonts.load(fonts.PILLOW, 28)
    pen.text((20, 20), "Total amount 42.50", font=font, fill="black")
    (fragment,) = reader.read(image).lines[0].fragments
    assert [word.text for word in fragment.words] == ["Total", "amount", "42.50"]
    left = 20 + font.getlength("Total amount ")
    expected = (left, 20, left + font.getlength("42.50"), 50)
    assert overlap(fragment.words[2].box, expected) > 0.4


def test_an_image_without_text_is_an_empty_page(reader):
    assert reader.read(Image.new("RGB", (300, 200), "grey")) == ReadPage()
    assert reader.read(Image.new("RGB", (1, 1), "grey")).text == ""


def test_a_reading_that_is_stopped_ends_soon(reader):
    reading = reader.start(page(8, 30).image)
    reading.stop()
    with pytest.raises(ReadingStopped):
        reading.result()


def test_what_the_waiting_job_raises_stops_the_reading(reader):
    reading = reader.start(page(9, 30).image)

    def lose_the_lease() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        reading.result(lose_the_lease)
    assert reading.stopped


def test_reading_needs_no_network(reader, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("the second reader opened a socket")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    fresh = SecondReader(find_weights(), threads=1)
    assert fresh.read(page(10, 1).image).text
    fresh.close()


def test_a_missing_file_is_named(tmp_path, monkeypatch):
    class Spec:
        origin = str(tmp_path / "rapidocr" / "__init__.py")

    real = weights_module.find_spec
    monkeypatch.setattr(
        weights_module, "find_spec", lambda name: Spec if name == "rapidocr" else real(name)
    )
    with pytest.raises(ReaderIncomplete, match=r"PP-OCRv6_det_small\.onnx"):
        find_weights()


def test_an_extra_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setattr(weights_module, "find_spec", lambda name: None)
    with pytest.raises(ReaderIncomplete, match=r"onnxruntime.*\[reader\]"):
        find_weights()


def test_a_worker_that_stops_while_it_measures_its_reader_reports_no_failure(caplog):
    meter = LoadMeter()
    stopped, broken = (find_reader(Settings(reader_threads=1)) for _ in range(2))
    assert stopped
    assert broken
    stopped.load()
    stopped.close()
    stopped.measure(meter)
    assert "reader.failed" not in caplog.text
    # its threads are gone, and nobody has stopped it
    broken.load().close()
    broken.measure(meter)
    assert "reader.failed" in caplog.text
