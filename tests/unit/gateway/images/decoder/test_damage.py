"""A picture that lost a part of itself says so or is refused; a whole one says nothing."""

import io
import random

import numpy as np
import pytest
from PIL import Image, ImageDraw

from gateway.images.formats import sniff_format
from gateway.images.uploads import Upload
from shared.errors import ImageDecodeFailed, ImageError, ImageTruncated, UnsupportedImageFormat
from tests.support.images.image_bytes import (
    chunk,
    heic,
    ihdr,
    noise,
    png,
    quarters,
    rows,
    saved,
    screenshot,
    tiff,
    with_segment,
)

JPEG_END, GIF_END = b"\xff\xd9", b"\0;"


def _drawing():
    image = Image.new("RGB", (320, 240), "white")
    pen = ImageDraw.Draw(image)
    for row in range(240):
        pen.line((0, row, 320, row), fill=(row, 255 - row, 120))
    for number in range(40):
        left, top = number * 67 % 290, number * 41 % 220
        pen.ellipse((left, top, left + 30, top + 20), fill=(number * 6, number * 97 % 256, 90))
    return image


DRAWING, INK = _drawing(), _drawing().convert("1")
#: What is whole, and what an end marker looks like.
SOURCES = {
    "jpeg": (saved(DRAWING, "JPEG", quality=85), JPEG_END),
    "optimised jpeg": (saved(DRAWING, "JPEG", quality=85, optimize=True), JPEG_END),
    "jpeg with restarts": (saved(DRAWING, "JPEG", restart_marker_rows=1), JPEG_END),
    "progressive jpeg": (saved(DRAWING, "JPEG", progressive=True), JPEG_END),
    "png": (saved(DRAWING, "PNG"), chunk(b"IEND")),
    "webp": (saved(DRAWING, "WEBP", quality=80), b""),
    "lossless webp": (saved(DRAWING, "WEBP", lossless=True), b""),
    "gif": (saved(DRAWING.quantize(64), "GIF"), GIF_END),
    "lzw tiff": (saved(DRAWING, "TIFF", compression="tiff_lzw"), b""),
    "deflated tiff": (saved(DRAWING, "TIFF", compression="tiff_adobe_deflate"), b""),
    "jpeg tiff": (saved(DRAWING, "TIFF", compression="jpeg"), b""),
    "group 4 tiff": (saved(INK, "TIFF", compression="group4"), b""),
    "avif": (saved(DRAWING, "AVIF"), b""),
    "heic": (heic(DRAWING), b""),
}


def _mutants(name):
    """Yield files that are cut, ended, filled up, or that lost a block."""
    whole, end = SOURCES[name]
    rng = random.Random(name)
    size = len(whole)
    for part in (0.3, 0.5, 0.7, 0.9):
        cut = whole[: int(size * part)]
        yield cut
        yield cut + end
        if "tiff" not in name and name != "heic":
            yield cut + bytes(size - len(cut)) + end
    for _ in range(6):
        at = rng.randrange(size // 4, size * 3 // 4)
        length = rng.choice((64, 256))
        yield whole[:at] + bytes(length) + whole[at + length :]


def _pixels(image):
    return np.asarray(Image.open(io.BytesIO(image.png))).astype(int)


def _codes(image):
    return {notice["code"] for notice in image.notices}


def _changed_part(one, other):
    if one.shape != other.shape:
        return 1.0
    return float((np.abs(one - other).max(axis=2) > 8).mean())


@pytest.mark.parametrize("name", SOURCES)
def test_a_picture_that_lost_a_part_is_refused_or_says_so(decoder, name):
    whole = decoder.decode(Upload(SOURCES[name][0]))
    silent = []
    for number, mutant in enumerate(_mutants(name)):
        try:
            image = decoder.decode(Upload(mutant))
        except ImageError:
            continue
        changed = _changed_part(_pixels(whole), _pixels(image))
        if changed > 0.01 and "image_damaged" not in _codes(image):
            silent.append((number, round(changed, 2)))
    assert silent == []


@pytest.mark.parametrize(("fmt", "most_silent"), [("JPEG", 0.25), ("WEBP", 0.05)])
def test_hardly_any_wrong_bit_passes_silently(decoder, fmt, most_silent):
    rng = random.Random(fmt)
    page = Image.open(io.BytesIO(screenshot(480, 640)))
    whole = saved(page if fmt == "JPEG" else DRAWING, fmt, quality=80)
    shown = _pixels(decoder.decode(Upload(whole)))
    changed = silent = 0
    for _ in range(60):
        at = rng.randrange(len(whole) // 4, len(whole) * 3 // 4)
        mutant = whole[:at] + bytes([whole[at] ^ 1 << rng.randrange(8)]) + whole[at + 1 :]
        try:
            image = decoder.decode(Upload(mutant))
        except ImageError:
            continue
        if _changed_part(shown, _pixels(image)) > 0.01:
            changed += 1
            silent += "image_damaged" not in _codes(image)
    assert changed > 10
    assert silent <= most_silent * changed


@pytest.mark.parametrize("quality", [1, 30, 75, 100])
def test_extreme_but_whole_pictures_say_nothing(decoder, quality):
    board = np.indices((203, 301)).sum(0) // 8 % 2 * 255
    for picture in (Image.fromarray(board.astype(np.uint8)), noise(170, 150).convert("1"), DRAWING):
        image = picture.convert("RGB")
        frames = {"save_all": True, "append_images": [image.rotate(90)], "duration": 50}
        options = [("JPEG", {}), ("JPEG", {"subsampling": 0, "optimize": True}), ("WEBP", {})]
        options += [("WEBP", {"method": 0}), ("WEBP", {"lossless": True}), ("WEBP", frames)]
        for fmt, more in options:
            codes = _codes(decoder.decode(Upload(saved(image, fmt, quality=quality, **more))))
            assert "image_damaged" not in codes, (fmt, more)


def test_a_jpeg_whose_data_go_on_behind_the_picture_says_so(decoder):
    whole = SOURCES["jpeg"][0]
    image = decoder.decode(Upload(whole[:-2] + b"\xa5\x5a" + JPEG_END))
    assert "go on behind the end" in image.notices[0]["detail"]
    for filling in (b"\0", b"\0\0\0", b"\xff\0\xff\0"):
        assert decoder.decode(Upload(whole[:-2] + filling + JPEG_END)).notices == ()


def test_a_jpeg_that_is_brighter_than_white_says_so(decoder):
    """A white block's brightness is raised once more by the difference of the first one."""
    white, grey = (saved(Image.new("L", size, "white"), "JPEG") for size in ((8, 8), (24, 8)))
    start = white.index(b"\xff\xda") + 10
    image = decoder.decode(Upload(grey[: grey.index(b"\xff\xda") + 10] + _thrice(white, start)))
    assert "brighter than white" in image.notices[0]["detail"]


def _thrice(white, start):
    """Return the data of a block of 8 x 8 pixels three times, and an end."""
    bits = "".join(f"{byte:08b}" for byte in white[start:-2])
    # the end of the block's code; ones fill the last byte
    block = bits[: bits.rindex("1010") + 4]
    row = block * 3
    row += "1" * (-len(row) % 8)
    return int(row, 2).to_bytes(len(row) // 8, "big").replace(b"\xff", b"\xff\0") + JPEG_END


@pytest.mark.parametrize("name", SOURCES)
def test_a_whole_picture_says_nothing(decoder, name):
    assert decoder.decode(Upload(SOURCES[name][0])).notices == ()


@pytest.mark.parametrize("fmt", ["JPEG", "WEBP", "AVIF", "HEIC", "TIFF"])
@pytest.mark.parametrize("colour", ["white", "black", "#808080"])
def test_blank_paper_is_not_called_damaged(decoder, fmt, colour):
    paper = Image.new("RGB", (1500, 1000), colour)
    data = heic(paper) if fmt == "HEIC" else saved(paper, fmt)
    assert "image_damaged" not in _codes(decoder.decode(Upload(data)))


@pytest.mark.parametrize("fmt", ["JPEG", "WEBP", "AVIF", "HEIC"])
def test_a_photograph_on_blank_paper_is_not_called_damaged(decoder, fmt):
    paper = Image.new("RGB", (900, 600), "white")
    paper.paste(noise(700, 300), (100, 250))
    data = heic(paper) if fmt == "HEIC" else saved(paper, fmt)
    assert decoder.decode(Upload(data)).notices == ()


@pytest.mark.parametrize("options", [{}, {"optimize": True}, {"progressive": True}])
def test_a_page_of_text_is_not_called_damaged(decoder, options):
    page = Image.open(io.BytesIO(screenshot(1200, 1600)))
    assert decoder.decode(Upload(saved(page, "JPEG", **options))).notices == ()


def test_a_jpeg_that_lost_its_last_third_tells_how_much(decoder):
    whole = SOURCES["jpeg"][0]
    (notice,) = decoder.decode(Upload(whole[: len(whole) * 3 // 4] + JPEG_END)).notices
    assert notice["code"] == "image_damaged"
    assert "premature end" in notice["detail"]
    assert "% of the picture" in notice["detail"]


def test_a_jpeg_that_lost_most_of_itself_is_refused_as_truncated(decoder):
    whole = SOURCES["jpeg"][0]
    with pytest.raises(ImageTruncated, match="too early"):
        decoder.decode(Upload(whole[: len(whole) * 3 // 10] + JPEG_END))


def test_a_progressive_jpeg_without_its_last_scans_says_so(decoder):
    whole = SOURCES["progressive jpeg"][0]
    last = whole.rindex(b"\xff\xda")
    image = decoder.decode(Upload(whole[:last] + JPEG_END))
    assert "image_damaged" in _codes(image)


def test_a_wrong_checksum_of_packed_tiff_pixels_is_told(decoder):
    data = bytearray(SOURCES["deflated tiff"][0])
    tags = Image.open(io.BytesIO(data)).tag_v2
    data[tags[273][-1] + tags[279][-1] - 1] ^= 1
    try:
        codes = _codes(decoder.decode(Upload(bytes(data))))
    except ImageDecodeFailed:
        return
    assert "image_damaged" in codes


@pytest.mark.parametrize(
    ("data", "form"),
    [
        (tiff(4, 1, bytes(8), bits=(16,), sample_format=3), "floating-point samples of 16 bits"),
        (tiff(4, 1, bytes(32), bits=(64,), sample_format=3), "floating-point samples of 64 bits"),
        (tiff(4, 1, bytes(16), bits=(32,), photometric=32_845, t259=34_676), "LogLuv"),
        (tiff(4, 1, bytes(16), t259=34_712), "JPEG 2000"),
    ],
)
def test_a_valid_form_that_is_not_read_is_named_and_not_called_damaged(decoder, data, form):
    with pytest.raises(UnsupportedImageFormat, match=form):
        decoder.decode(Upload(data))


def test_a_jpeg_of_12_bits_is_named(decoder):
    data = bytearray(saved(quarters(), "JPEG"))
    data[data.index(b"\xff\xc0") + 4] = 12
    with pytest.raises(UnsupportedImageFormat, match="12 bits"):
        decoder.decode(Upload(bytes(data)))


@pytest.mark.parametrize(
    "data",
    [
        tiff(8, 8, bytes(64), t259=9_999),
        with_segment(b"\xff\xd8" + saved(quarters(), "JPEG")[160:], 0xE2, b"ICC_PROFILE\0"),
        png(ihdr(4, 4, 8, 3), rows(4, bytes(4))),
        b"GIF89a\x08\0\x08\0\x80\0\0" + bytes(6) + b"!\xf9\4\1,",
    ],
)
def test_no_refusal_shows_an_error_of_python(decoder, data):
    try:
        decoder.decode(Upload(data))
    except ImageError as refused:
        shown = f"{refused.detail} {refused.extra}"
        for word in (
            "unpack",
            "index out of range",
            "KeyError",
            "struct.error",
            "9999",
            "NoneType",
        ):
            assert word not in shown


@pytest.mark.parametrize(
    ("magic", "advice"), [(b"%PDF-1.7", "POST /v1/documents"), (b"PK\x03\x04", "as a PDF")]
)
def test_what_is_no_picture_says_how_it_can_be_read(magic, advice):
    with pytest.raises(UnsupportedImageFormat) as refused:
        sniff_format(magic + bytes(40))
    assert "PDF as a document" in refused.value.detail
    assert advice in refused.value.hint_text
