"""Every file ends as the right pixels or as the right refusal."""

import hashlib
import io

import numpy as np
import pytest
from PIL import Image

from gateway.images.uploads import Upload
from shared.errors import (
    ImageDimensions,
    ImageEmpty,
    ImageError,
    PayloadTooLarge,
    UnsupportedImageFormat,
)
from tests.support.images.hostile_files import REFUSED
from tests.support.images.image_bytes import (
    GREEN,
    chunk,
    exif,
    ihdr,
    noise,
    png,
    quarters,
    rows,
    saved,
    swapped_profile,
)
from tests.support.images.odd_colours import COLOURS
from tests.support.images.odd_forms import FORMS
from tests.support.images.odd_images import STRUCTURE


def _pixels(image):
    return np.asarray(Image.open(io.BytesIO(image.png))).astype(int)


def _codes(image):
    return tuple(notice["code"] for notice in image.notices)


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.name)
def test_a_hostile_file_is_refused_with_its_own_code(decoder, case):
    with pytest.raises(ImageError) as refused:
        decoder.decode(Upload(case.build()), pointer="/images/2")
    error = refused.value
    assert (error.code, error.pointer) == (case.code, "/images/2")
    assert case.says in error.detail
    assert "object at" not in error.detail, "no address of ours in an answer"
    if case.code == "image_decode_failed":
        assert error.detail.startswith("Image decode failed")


@pytest.mark.parametrize("case", [*STRUCTURE, *COLOURS, *FORMS], ids=lambda case: case.name)
def test_an_odd_file_becomes_the_pixels_that_its_author_saw(decoder, case):
    image = decoder.decode(Upload(case.build()))
    expected = case.pixels((image.width, image.height))
    assert (image.width, image.height) == expected.size
    assert np.abs(_pixels(image) - np.asarray(expected)).max() <= case.loss
    assert _codes(image) == case.notices


def test_there_are_enough_cases():
    names = [case.name for case in [*REFUSED, *STRUCTURE, *COLOURS, *FORMS]]
    assert len(names) == len(set(names)) >= 200


def test_an_upload_of_no_bytes_is_an_empty_image(decoder):
    with pytest.raises(ImageEmpty):
        decoder.decode(Upload(b""))


def test_an_upload_of_too_many_bytes_is_refused(decoder_with):
    with pytest.raises(PayloadTooLarge, match="2000"):
        decoder_with(upload_max_bytes=2000).decode(Upload(saved(noise(), "BMP")))


def test_an_image_is_named_by_its_pixels_alone(decoder):
    as_png, as_bmp = (
        decoder.decode(Upload(saved(quarters(), "PNG"), "a.png")),
        decoder.decode(Upload(saved(quarters(), "BMP"), "b.bmp")),
    )
    digest = hashlib.sha256(b"32x24\n" + quarters().tobytes()).hexdigest()
    assert as_png.id == as_bmp.id == f"img_{digest}"
    assert as_png.png == as_bmp.png


@pytest.mark.parametrize("profile", [swapped_profile(), b"x" * 200], ids=["sound", "broken"])
def test_the_kept_png_has_no_metadata(decoder, profile):
    clear = chunk(b"tRNS", b"\0\0\0\0\0\1")
    source = saved(quarters(), "PNG", exif=exif(6), icc_profile=profile, dpi=(72, 72))
    kept = Image.open(io.BytesIO(decoder.decode(Upload(source[:33] + clear + source[33:])).png))
    kept.load()
    assert (kept.format, kept.mode, kept.info) == ("PNG", "RGB", {})


def test_a_large_image_is_reduced_and_says_so(decoder_with):
    decoder = decoder_with(image_kept_pixels=65_536)
    image = decoder.decode(Upload(saved(Image.new("RGB", (1600, 1200), GREEN), "PNG")))
    assert image.width * image.height <= 65_536 < (image.width + 2) * (image.height + 2)
    assert image.source == (1600, 1200)
    assert [n["detail"] for n in image.notices] == [f"1600x1200 → {image.width}x{image.height}"]
    assert (_pixels(image) == GREEN).all()


def test_a_reduced_sideways_image_tells_its_upright_size(decoder_with):
    source = Image.new("RGB", (1600, 1200), GREEN)
    decoder = decoder_with(image_kept_pixels=65_536)
    image = decoder.decode(Upload(saved(source, "JPEG", exif=exif(6))))
    assert image.source == (1200, 1600)
    assert image.height > image.width
    assert _codes(image) == ("image_rotated", "image_reduced")


def test_a_baseline_jpeg_of_169_megapixels_is_decoded_reduced(decoder):
    image = decoder.decode(Upload(saved(Image.new("L", (13_000, 13_000), 90), "JPEG")))
    assert (image.source[0], image.width, image.height) == (13_000, 2048, 2048)
    assert (_pixels(image) == 90).all()


def test_limits_come_from_the_settings(decoder_with):
    decoder = decoder_with(image_max_pixels=10_000)
    with pytest.raises(ImageDimensions, match="the limit is 10000"):
        decoder.decode(Upload(png(ihdr(101, 100), rows(100, bytes(303)))))


@pytest.mark.parametrize(
    ("filename", "content_type", "noticed"),
    [
        ("photo.png", None, False),
        ("photo.PNG", "image/png", False),
        ("photo", "application/octet-stream", False),
        ("photo.jpg.png", "image/*", False),
        ("photo.jpg", None, True),
        ("photo.jpg", "image/png", True),
        (None, "image/jpeg", True),
    ],
)
def test_a_name_that_promises_another_format_is_told(decoder, filename, content_type, noticed):
    image = decoder.decode(Upload(saved(quarters(), "PNG"), filename, content_type))
    assert _codes(image) == (("image_extension_mismatch",) if noticed else ())


def test_postscript_named_jpg_never_reaches_a_decoder(decoder):
    with pytest.raises(UnsupportedImageFormat, match="PostScript"):
        decoder.decode(Upload(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "photo.jpg"))


def test_a_gif_whose_later_frames_are_cut_off_keeps_its_first(decoder):
    frames = [noise(120, 120).rotate(90 * turn).quantize(32) for turn in range(4)]
    data = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    whole, cut = decoder.decode(Upload(data)), decoder.decode(Upload(data[: len(data) * 2 // 3]))
    assert cut.id == whole.id
    assert "image_first_frame" in _codes(cut)


def test_what_is_left_out_of_a_picture_is_told(decoder):
    broken = chunk(b"iCCP", b"x\0\0garbage")
    crooked = chunk(b"gAMA", b"\0\0\xb1\x8f", crc=1)
    text = chunk(b"tEXt", b"k\0v", crc=1)
    file = png(ihdr(8, 8), rows(8, b"\x10" * 24), broken, crooked, crooked, text)
    (notice,) = decoder.decode(Upload(file)).notices
    assert notice["code"] == "image_metadata_dropped"
    assert notice["detail"].endswith(": iCCP, gAMA.")


@pytest.mark.parametrize("profile", [b"x", bytes(200), b"x" * (3 << 20)])
def test_a_broken_colour_profile_is_told_and_costs_no_image(decoder, profile):
    image = decoder.decode(Upload(saved(noise(), "TIFF", icc_profile=profile)))
    assert _codes(image) == ("image_profile_ignored",)
