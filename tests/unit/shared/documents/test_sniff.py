"""Documents are told by their content, and a single picture is none."""

import io

import pytest
from PIL import Image

from shared.documents.model import DocumentKind
from shared.documents.sniff import document_kind


def _saved(form, frames, **options):
    pictures = [Image.new("RGB", (20, 20), (9 * n, 0, 0)) for n in range(frames)]
    buffer = io.BytesIO()
    more = {"save_all": True, "append_images": pictures[1:]} if frames > 1 else {}
    pictures[0].save(buffer, form, **more, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("form", "kind"),
    [
        ("TIFF", DocumentKind.TIFF),
        ("GIF", DocumentKind.GIF),
        ("WEBP", DocumentKind.WEBP),
        ("PNG", DocumentKind.APNG),
    ],
)
def test_two_frames_make_a_document_and_one_does_not(form, kind):
    assert document_kind(_saved(form, 2)) == kind
    assert document_kind(_saved(form, 1)) is None


def test_a_big_tiff_is_told_too():
    assert document_kind(_saved("TIFF", 2, big_tiff=True)) == DocumentKind.TIFF


@pytest.mark.parametrize("head", [b"", b"\r\n\r\n", b"junk " * 100])
def test_a_pdf_is_told_by_its_header_even_after_junk(head):
    assert document_kind(head + b"%PDF-1.4\n") == DocumentKind.PDF


@pytest.mark.parametrize(
    "data", [b"", b"%PDF", b"hello", b"x" * 1024 + b"%PDF-1.4", b"\xff\xd8\xff%PDF-1.4", b"II*\0"]
)
def test_what_is_none_is_none(data):
    assert document_kind(data) is None


def test_cut_files_never_break_it():
    for form in ("TIFF", "GIF", "WEBP", "PNG"):
        data = _saved(form, 3)
        for length in range(len(data)):
            document_kind(data[:length])
