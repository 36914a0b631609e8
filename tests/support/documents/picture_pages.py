"""PDFs whose page is one picture, stored in each of the ways that scanners and programs use."""

from __future__ import annotations

import io
import zlib
from typing import Any

import numpy as np
from pikepdf import Array, Dictionary, Name, Object, Pdf
from PIL import Image, ImageDraw
from PIL.TiffImagePlugin import TiffImageFile

from tests.support.documents.drawn import pdf, rewritten

SIDE = (400, 200)
#: A page of an image alone, as large as half of it in points.
_SIZE = (SIDE[0] / 2, SIDE[1] / 2)


def drawing() -> Image.Image:
    """Return the picture that all of these pages show: bars and a disc, black on white."""
    page = Image.new("L", SIDE, 255)
    pen = ImageDraw.Draw(page)
    for bar in range(6):
        pen.rectangle((20 + 40 * bar, 20, 36 + 40 * bar, 60 + 20 * bar), fill=0)
    pen.ellipse((280, 40, 380, 140), fill=0)
    return page


def _page(stream: bytes, members: dict[str, Any], content: bytes | None = None) -> bytes:
    def draw(document: Pdf) -> None:
        image = document.make_stream(stream)
        image.Type, image.Subtype = Name.XObject, Name.Image
        for name, member in ({"Width": SIDE[0], "Height": SIDE[1]} | members).items():
            image[f"/{name}"] = member(document) if callable(member) else member
        page = document.pages[0]
        page.Resources = Dictionary(XObject=Dictionary(I=image))
        page.Contents = document.make_stream(content or b"q 200 0 0 100 0 0 cm /I Do Q")

    # the streams are stored as they are
    return rewritten(pdf(lambda _: None, size=_SIZE), draw, compress_streams=False)


def _grey(**members: Any) -> dict[str, Any]:
    return {"ColorSpace": Name.DeviceGray, "BitsPerComponent": 8} | members


def _bits(image: Image.Image) -> bytes:
    return image.convert("1").tobytes()


def _pack_as_fax() -> tuple[bytes, bool]:
    """Return the drawing in CCITT group 4, and whether a white pixel is 0."""
    file = io.BytesIO()
    drawing().convert("1").save(file, "TIFF", compression="group4", strip_size=1 << 20)
    file.seek(0)
    with TiffImageFile(file) as tiff:
        (start,), (length,) = tiff.tag_v2[273], tiff.tag_v2[279]
        return file.getvalue()[start : start + length], tiff.tag_v2[262] == 0


def fax() -> bytes:
    """Return a page in CCITT group 4."""
    strip, white_is_zero = _pack_as_fax()
    parameters = Dictionary(K=-1, Columns=SIDE[0], Rows=SIDE[1], BlackIs1=not white_is_zero)
    return _page(
        strip, _grey(BitsPerComponent=1, Filter=Name.CCITTFaxDecode, DecodeParms=parameters)
    )


def jpeg_2000() -> bytes:
    """Return a page in JPEG 2000."""
    file = io.BytesIO()
    drawing().convert("RGB").save(file, "JPEG2000")
    return _page(file.getvalue(), {"Filter": Name.JPXDecode})


def inverted_cmyk() -> bytes:
    """Return a page in a JPEG of four inks, inverted as Adobe's programs write it."""
    file = io.BytesIO()
    inks = Image.merge("CMYK", [Image.new("L", SIDE, 0)] * 3 + [drawing().point(lambda g: 255 - g)])
    inks.save(file, "JPEG", quality=95)
    members = _grey(ColorSpace=Name.DeviceCMYK, Filter=Name.DCTDecode, Decode=Array([1, 0] * 4))
    return _page(file.getvalue(), members)


def indexed() -> bytes:
    """Return a page of numbers of a palette, with a predictor of PNG's."""
    numbers = np.asarray(drawing()) // 255
    rows = b"".join(b"\0" + row.astype(np.uint8).tobytes() for row in numbers)
    space = Array([Name.Indexed, Name.DeviceRGB, 1, b"\x00\x00\x00\xff\xff\xff"])
    parameters = Dictionary(Predictor=15, Colors=1, BitsPerComponent=8, Columns=SIDE[0])
    members = _grey(ColorSpace=space, Filter=Name.FlateDecode, DecodeParms=parameters)
    return _page(zlib.compress(rows), members)


def sixteen_bits() -> bytes:
    """Return a page of 16 bits a pixel."""
    pixels = (np.asarray(drawing()).astype(np.uint16) * 257).astype(">u2").tobytes()
    return _page(zlib.compress(pixels), _grey(BitsPerComponent=16, Filter=Name.FlateDecode))


def negative() -> bytes:
    """Return a page whose Decode array turns black and white round."""
    pixels = drawing().point(lambda grey: 255 - grey).tobytes()
    return _page(zlib.compress(pixels), _grey(Decode=Array([1, 0]), Filter=Name.FlateDecode))


def stencil() -> bytes:
    """Return a page painted through a mask."""
    members = {"ImageMask": True, "BitsPerComponent": 1, "Filter": Name.FlateDecode}
    return _page(zlib.compress(_bits(drawing())), members)


def soft_mask() -> bytes:
    """Return a black picture that shows where its soft mask lets it."""

    def mask(document: Pdf) -> Object:
        shape = document.make_stream(drawing().point(lambda grey: 255 - grey).tobytes())
        shape.Type, shape.Subtype = Name.XObject, Name.Image
        shape.Width, shape.Height = SIDE
        shape.ColorSpace, shape.BitsPerComponent = Name.DeviceGray, 8
        return shape

    black = zlib.compress(bytes(SIDE[0] * SIDE[1]))
    return _page(black, _grey(SMask=mask, Filter=Name.FlateDecode))


def inline() -> bytes:
    """Return a page whose picture is in its content."""
    data = _bits(drawing()).hex().encode() + b">"
    head = b"q 200 0 0 100 0 0 cm BI /W %d /H %d /BPC 1 /CS /G /F /AHx ID " % SIDE
    return _page(b"\0", {"Width": 1, "Height": 1} | _grey(), head + data + b" EI Q")


def jbig2() -> bytes:
    """Return a page in JBIG2: its page and one generic region, packed as a fax is (MMR)."""
    strip, white_is_zero = _pack_as_fax()
    size = b"".join(side.to_bytes(4, "big") for side in SIDE)
    page = _segment(0, 48, size + bytes(8) + b"\0\0\0")
    region = _segment(1, 38, size + bytes(8) + b"\0" + b"\1" + strip)
    # a one in JBIG2 is black, and PDF's decoder turns it round
    decode = {} if white_is_zero else {"Decode": Array([1, 0])}
    return _page(page + region, _grey(BitsPerComponent=1, Filter=Name.JBIG2Decode, **decode))


def _segment(number: int, kind: int, data: bytes) -> bytes:
    head = number.to_bytes(4, "big") + bytes([kind, 0, 1])
    return head + len(data).to_bytes(4, "big") + data


def broken(data: bytes) -> bytes:
    """Return a page whose picture is noise from its first byte on."""

    def spoil(document: Pdf) -> None:
        image = document.pages[0].Resources.XObject.I
        image.write(b"\x5a\xa5" * 40, filter=image.Filter, decode_parms=image.get("/DecodeParms"))

    return rewritten(data, spoil, compress_streams=False)


def bomb(kind: str) -> bytes:
    """Return a page whose picture says that it is far larger than anything that is stored."""
    side = 60_000
    members: dict[str, dict[str, Any]] = {
        "flate": _grey(Filter=Name.FlateDecode),
        "fax": _grey(
            BitsPerComponent=1,
            Filter=Name.CCITTFaxDecode,
            DecodeParms=Dictionary(K=-1, Columns=side, Rows=side),
        ),
        "jpx": {"Filter": Name.JPXDecode},
        "jbig2": _grey(BitsPerComponent=1, Filter=Name.JBIG2Decode),
        "mask": {"ImageMask": True, "BitsPerComponent": 1, "Filter": Name.FlateDecode},
    }
    streams = {"flate": zlib.compress(bytes(80_000_000), 9), "mask": zlib.compress(bytes(10**7), 9)}
    large = b"".join(part.to_bytes(4, "big") for part in (side, side)) + bytes(11)
    streams["jbig2"] = _segment(0, 48, large)
    stream = streams.get(kind, b"\0" * 4000)
    return _page(stream, {"Width": side, "Height": side} | members[kind])
