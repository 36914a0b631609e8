"""Pages of a TIFF and frames of an animation, as viewers show them."""

import contextlib
import io

import numpy as np
import pytest
from PIL import Image, ImageDraw

from shared.documents.model import DocumentKind, TextDoubt
from shared.errors import DocumentDamaged, PageOutOfRange, PageTooLarge, TooManyPages
from tests.support.documents.drawn import prose, scan


def _saved(form, frames, **options):
    buffer = io.BytesIO()
    frames[0].save(buffer, form, save_all=True, append_images=frames[1:], **options)
    return buffer.getvalue()


def _flat(colour, size=(60, 40), mode="RGB"):
    return Image.new(mode, size, colour)


def _pixels(page):
    return np.asarray(Image.open(io.BytesIO(page.png)).convert("RGB")).astype(int)


def _mixed_tiff():
    """Return pages of other sizes, modes and compressions, put together by hand."""
    buffer = io.BytesIO()
    from PIL.TiffImagePlugin import AppendingTiffWriter

    pages = [
        (_flat((200, 30, 30)), {"compression": "jpeg"}),
        (_flat(1, (100, 80), "1"), {"compression": "group4"}),
        (_flat(90, (30, 90), "L"), {"compression": "tiff_lzw"}),
        (_flat((0, 90, 0), (64, 64), "RGBA"), {"compression": "tiff_deflate"}),
        (_flat((0, 255, 255, 0), (50, 50), "CMYK"), {"compression": "packbits"}),
        (Image.fromarray(np.full((20, 30), 40_000, np.uint16)), {}),
    ]
    with AppendingTiffWriter(buffer) as writer:
        for page, options in pages:
            page.save(writer, "TIFF", **options)
            writer.newFrame()
    return buffer.getvalue()


def test_a_tiff_of_all_kinds_of_pages_is_read_page_by_page(reader):
    data = _mixed_tiff()
    info = reader.inspect(data)
    assert info.kind == DocumentKind.TIFF
    assert [(p.width, p.height) for p in info.pages] == [
        (60, 40),
        (100, 80),
        (30, 90),
        (64, 64),
        (50, 50),
        (30, 20),
    ]
    middles = [_pixels(reader.render(data, n, 100, 10**6))[10, 10] for n in range(1, 7)]
    expected = [(200, 30, 30), (255,) * 3, (90,) * 3, (0, 90, 0), (255, 0, 0), (156,) * 3]
    for seen, wanted in zip(middles, expected, strict=True):
        assert np.abs(seen - wanted).max() <= 6, (seen, wanted)


def test_a_page_of_a_tiff_has_no_text_layer(reader):
    text = reader.page_text(_saved("TIFF", [scan(prose(9)), scan([])]), 1)
    assert (text.doubt, text.trusted, text.blank) == (TextDoubt.NO_TEXT, False, False)
    assert reader.page_text(_saved("TIFF", [scan(prose(9)), scan([])]), 2).blank


@pytest.mark.parametrize(("form", "kind"), [("GIF", "gif"), ("WEBP", "webp"), ("PNG", "apng")])
def test_a_frame_shows_what_a_viewer_shows(reader, form, kind):
    """Each frame changes one part of the picture before it."""
    frames = [_flat((255, 255, 255))]
    for count in range(4):
        frame = frames[-1].copy()
        ImageDraw.Draw(frame).rectangle((12 * count, 5, 12 * count + 10, 30), (0, 0, 40 * count))
        frames.append(frame)
    options = {"lossless": True} if form == "WEBP" else {}
    data = _saved(form, frames, duration=100, **options)
    info = reader.inspect(data)
    assert (info.kind, len(info.pages)) == (kind, 5)
    # not in order, as pages are asked for
    for number in (5, 2, 1, 4, 3):
        shown = _pixels(reader.render(data, number, 100, 10**6))
        assert np.abs(shown - np.asarray(frames[number - 1]).astype(int)).max() <= 4


@pytest.mark.parametrize("disposal", [1, 2, 3])
def test_frames_of_a_gif_are_disposed_of_as_it_says(reader, disposal):
    first, second = _flat(0, (40, 40), "P"), _flat(0, (40, 40), "P")
    for picture, box in ((first, (2, 2, 15, 15)), (second, (22, 22, 35, 35))):
        picture.putpalette([255, 255, 255, 200, 0, 0] + [0] * 750)
        ImageDraw.Draw(picture).rectangle(box, 1)
    data = _saved("GIF", [first, second], disposal=disposal, duration=50)
    with Image.open(io.BytesIO(data)) as reference:
        reference.seek(1)
        wanted = np.asarray(reference.convert("RGB")).astype(int)
    assert np.abs(_pixels(reader.render(data, 2, 100, 10**6)) - wanted).max() <= 2


def test_a_page_that_lies_on_its_side_by_exif_is_upright(reader):
    page = scan(prose(20), dpi=60)
    exif = Image.Exif()
    exif[0x0112] = 6
    data = _saved("TIFF", [page, page], exif=exif)
    assert (reader.inspect(data).pages[0].width, reader.inspect(data).pages[0].height) == (
        page.height,
        page.width,
    )
    assert reader.render(data, 1, 100, 10**7, turn=False).width == page.height


def test_pages_have_limits(reader_with):
    reader = reader_with(document_max_pages=3, image_max_pixels=5000)
    frames = [_flat((n, 0, 0)) for n in range(4)]
    with pytest.raises(TooManyPages):
        reader.inspect(_saved("TIFF", frames))
    data = _saved("TIFF", [_flat(0), _flat(0, (100, 100))])
    with pytest.raises(PageOutOfRange):
        reader.render(data, 3, 72, 10**6)
    assert reader.render(data, 1, 72, 10**6).width == 60
    with pytest.raises(PageTooLarge):
        reader.render(data, 2, 72, 10**6)
    assert reader.render(data, 1, 72, 600).width == 30


def test_cut_files_end_in_a_page_or_in_an_error(reader):
    for form in ("TIFF", "GIF", "WEBP", "PNG"):
        picture = scan(prose(5), dpi=30).convert("RGB")
        data = _saved(form, [picture, picture.transpose(1), picture])
        for part in range(1, 12):
            cut = data[: len(data) * part // 12]
            try:
                for page in reader.inspect(cut).pages:
                    reader.render(cut, page.number, 72, 10**6)
            except (DocumentDamaged, PageOutOfRange):
                continue


def test_a_tiff_whose_pages_are_a_circle_ends(reader):
    data = bytearray(_saved("TIFF", [_flat(0), _flat(9)]))
    first = int.from_bytes(data[4:8], "little")
    entries = int.from_bytes(data[first : first + 2], "little")
    second = int.from_bytes(data[first + 2 + 12 * entries :][:4], "little")
    entries = int.from_bytes(data[second : second + 2], "little")
    place = second + 2 + 12 * entries
    data[place : place + 4] = first.to_bytes(4, "little")
    with contextlib.suppress(DocumentDamaged, TooManyPages):
        assert len(reader.inspect(bytes(data)).pages) == 2
