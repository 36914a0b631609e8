"""HEIC files with the extra that reads them, decoded by the real library in the real child."""

import io

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from gateway.images.formats import accepted_formats
from gateway.images.uploads import Upload
from shared.errors import ImageDimensions
from tests.support.images.image_bytes import GREEN, RED, exif, heic, noise, quarters


def _pixels(image) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(image.png))).astype(int)


def _codes(image) -> list[str]:
    return [notice["code"] for notice in image.notices]


def test_a_photograph_of_a_phone_becomes_the_pixels_that_were_taken(decoder):
    taken = quarters(96, 64)
    image = decoder.decode(Upload(heic(taken, quality=-1, chroma=444), "IMG_1.HEIC", "image/heic"))
    assert (image.format, image.width, image.height) == ("HEIC", 96, 64)
    assert np.abs(_pixels(image) - np.asarray(taken)).max() <= 4
    assert _codes(image) == []
    assert "HEIC" in accepted_formats()


def test_a_turned_photograph_is_upright_and_says_so(decoder):
    image = decoder.decode(Upload(heic(quarters(96, 64), quality=90, exif=exif(6))))
    assert image.source == (64, 96)
    assert _codes(image) == ["image_rotated"]
    seen = _pixels(image)
    assert np.abs(seen[24, 48] - RED).max() < 40
    assert np.abs(seen[72, 48] - GREEN).max() < 40


def test_ten_bits_become_eight_and_transparency_white(decoder):
    deep = np.full((32, 48, 3), 65535, "<u2")
    file = pillow_heif.from_bytes("RGB;16", (48, 32), deep.tobytes())
    out = io.BytesIO()
    file.save(out, quality=90)
    image = decoder.decode(Upload(out.getvalue()))
    assert _codes(image) == ["image_converted"]
    assert _pixels(image).min() >= 250

    clear = decoder.decode(Upload(heic(Image.new("RGBA", (32, 32), (255, 0, 0, 0)), quality=90)))
    assert _codes(clear) == ["image_flattened"]
    assert _pixels(clear).min() >= 250


def test_a_name_that_promises_another_format_is_told(decoder):
    image = decoder.decode(Upload(heic(noise()), "photo.jpg", "image/jpeg"))
    assert _codes(image) == ["image_extension_mismatch"]


def test_only_its_main_picture_is_used(decoder):
    album = pillow_heif.from_pillow(quarters(96, 64))
    album.add_from_pillow(noise(96, 64))
    out = io.BytesIO()
    album.save(out, quality=90)
    assert "image_first_frame" in _codes(decoder.decode(Upload(out.getvalue())))


def test_its_limits_are_those_of_every_image(decoder_with):
    data = heic(Image.new("RGB", (1024, 1024)))
    with pytest.raises(ImageDimensions):
        decoder_with(image_max_pixels=1_000_000).decode(Upload(data))
    assert decoder_with().measure(Upload(data)).source == (1024, 1024)
