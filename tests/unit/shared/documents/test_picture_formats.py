"""Pages that are one picture look the same however the picture is stored, and bombs end in time."""

import io

import numpy as np
import pytest
from PIL import Image

from shared.errors import DocumentDamaged, DocumentError
from tests.support.documents import picture_pages
from tests.support.documents.drawn import draw_scan, pdf

KINDS = (
    *(picture_pages.fax, picture_pages.jbig2, picture_pages.jpeg_2000, picture_pages.inverted_cmyk),
    *(picture_pages.indexed, picture_pages.sixteen_bits, picture_pages.negative),
    *(picture_pages.stencil, picture_pages.soft_mask, picture_pages.inline),
)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_picture_looks_the_same_however_it_is_stored(reader, kind):
    page = reader.render(kind(), 1, 144, 1_000_000)
    assert (page.width, page.height) == picture_pages.SIDE
    seen = np.asarray(Image.open(io.BytesIO(page.png)).convert("L")) < 128
    # the black of printing inks is a dark grey, and edges may be smoothed
    assert (seen != (np.asarray(picture_pages.drawing()) < 128)).mean() < 0.01
    assert not page.blank
    assert reader.page_text(kind(), 1).blank is False


@pytest.mark.parametrize("kind", ["flate", "fax", "jpx", "jbig2", "mask"])
def test_a_picture_that_says_it_is_huge_ends_in_a_typed_error(reader_with, kind):
    reader = reader_with(document_timeout_s=20, document_children=1)
    # a page whose picture cannot be seen is not called blank
    with pytest.raises(DocumentError) as refused:
        reader.render(picture_pages.bomb(kind), 1, 144, 1_000_000)
    codes = {"document_too_complex", "document_too_slow", "document_damaged"}
    assert refused.value.code in codes
    # the next document is read as if nothing had been
    assert not reader.render(picture_pages.fax(), 1, 144, 1_000_000).blank


@pytest.mark.parametrize("kind", [picture_pages.inverted_cmyk, picture_pages.jpeg_2000])
def test_a_picture_that_is_broken_is_no_blank_page(reader, kind):
    with pytest.raises(DocumentDamaged, match="picture"):
        reader.render(picture_pages.broken(kind()), 1, 144, 1_000_000)
    with pytest.raises(DocumentDamaged, match="picture"):
        reader.page_text(picture_pages.broken(kind()), 1)


def test_a_white_picture_is_a_blank_page(reader):
    page = pdf(draw_scan(Image.new("L", (600, 800), 250)))
    assert reader.render(page, 1, 144, 1_000_000).blank
    assert reader.page_text(page, 1).blank
