"""Documents are described, read, rendered and unlocked, in children that may be killed."""

import contextlib
import io
import itertools
import os
import signal
from itertools import pairwise

import pytest
from PIL import Image

from shared.documents.model import DocumentKind, TextDoubt
from shared.documents.pdf import inspection
from shared.documents.pdf.file import PdfFile
from shared.errors import (
    DocumentDamaged,
    DocumentEncrypted,
    DocumentPasswordWrong,
    DocumentTooSlow,
    PageOutOfRange,
    PayloadTooLarge,
    TooManyPages,
)
from shared.sandbox import protocol
from tests.support.documents.drawn import (
    draw_scan,
    encrypted,
    pdf,
    prose,
    rewritten,
    scan,
    text_page,
)


def _opened(page):
    return Image.open(io.BytesIO(page.png))


def test_all_pages_are_described(reader):
    data = rewritten(
        pdf(text_page(1), lambda canvas: None, text_page(3)),
        lambda document: document.pages[1].rotate(90, relative=False),
    )
    info = reader.inspect(data)
    assert info.kind == DocumentKind.PDF
    assert [page.number for page in info.pages] == [1, 2, 3]
    assert [round(page.width) for page in info.pages] == [595, 842, 595]
    assert [page.rotation for page in info.pages] == [0, 90, 0]
    assert [page.text_trusted for page in info.pages] == [True, False, True]
    assert info.pages[0].text_characters > 1000
    assert info.pages[1].text_doubt == TextDoubt.NO_TEXT
    assert [page.blank for page in info.pages] == [None, True, None]


def test_a_page_is_rendered_at_its_dots_per_inch(reader):
    page = reader.render(pdf(text_page()), 1, 100, 10_000_000)
    assert (page.width, page.height) == (826, 1169)
    assert page.dpi == pytest.approx(100)
    assert _opened(page).size == (826, 1169)
    assert not page.blank


def test_a_page_is_rendered_smaller_where_pixels_are_limited(reader):
    page = reader.render(pdf(text_page()), 1, 300, 500_000)
    assert page.width * page.height <= 500_000
    assert page.dpi < 100


@pytest.mark.parametrize("page", [0, 2, -1])
def test_a_page_that_does_not_exist_is_refused(reader, page):
    data = pdf(text_page())
    for call in (lambda: reader.page_text(data, page), lambda: reader.render(data, page, 72, 9999)):
        with pytest.raises(PageOutOfRange):
            call()


@pytest.mark.parametrize("cipher", [2, 3, 4, 6])
def test_an_encrypted_document_opens_with_its_password_alone(reader, cipher):
    data = encrypted("sesame", cipher)
    with pytest.raises(DocumentEncrypted):
        reader.inspect(data)
    with pytest.raises(DocumentPasswordWrong):
        reader.inspect(data, "wrong")
    assert reader.inspect(data, "sesame").encrypted
    unlocked = reader.unlock(data, "sesame")
    assert not reader.inspect(unlocked).encrypted
    assert prose(1, 1)[0] in reader.page_text(unlocked, 1).text
    assert reader.render(unlocked, 2, 72, 10**6).width == 595


@pytest.mark.parametrize("cipher", [3, 4, 6])
def test_a_document_that_anybody_may_open_needs_no_password(reader, cipher):
    data = encrypted("", cipher)
    assert prose(1, 1)[0] in reader.page_text(data, 1).text
    assert not reader.inspect(data).encrypted


def test_a_password_is_as_its_writer_typed_it(reader):
    data = encrypted("пароль – 密码", 6)
    assert len(reader.inspect(data, "пароль – 密码").pages) == 2
    with pytest.raises(DocumentPasswordWrong):
        reader.inspect(data, "x" * 500)


def test_a_document_without_encryption_is_not_changed(reader):
    assert reader.unlock(pdf(text_page())) == pdf(text_page())


def test_a_document_may_have_so_many_pages_and_bytes(reader_with):
    reader = reader_with(document_max_pages=2, document_max_bytes=20_000)
    with pytest.raises(TooManyPages, match="3 pages; the limit is 2"):
        reader.inspect(pdf(text_page(), text_page(), text_page()))
    with pytest.raises(PayloadTooLarge, match="the limit is 20000"):
        reader.inspect(pdf(text_page()) + bytes(30_000))


def test_a_child_that_hangs_is_killed_and_the_next_document_is_read(reader_with):
    reader = reader_with(document_timeout_s=1.5)
    data = pdf(text_page())
    reader.page_text(data, 1)
    (pid,) = reader.sandbox.pool.pids()
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(DocumentTooSlow, match=r"1.5 seconds"):
        reader.page_text(data, 1)
    assert reader.page_text(data, 1).trusted


def test_a_child_that_somebody_kills_costs_no_page(reader_with):
    reader = reader_with()
    data = pdf(text_page())
    reader.page_text(data, 1)
    os.kill(reader.sandbox.pool.pids()[0], signal.SIGKILL)
    assert reader.page_text(data, 1).trusted


def test_an_inspection_that_takes_too_long_still_measures_all_pages(reader, monkeypatch):
    monkeypatch.setattr("shared.documents.reader._COUNTING", 0.0)
    info = reader.inspect(pdf(text_page(), text_page()))
    assert [page.text_doubt for page in info.pages] == [TextDoubt.NOT_CHECKED] * 2
    assert [page.text_characters for page in info.pages] == [None, None]
    assert round(info.pages[0].width) == 595


def test_an_inspection_looks_at_pages_all_over_a_long_document(monkeypatch):
    data = pdf(*(text_page(seed, 3) for seed in range(40)))
    # each look at the clock is one second
    monkeypatch.setattr(inspection.time, "monotonic", itertools.count().__next__)
    with contextlib.closing(PdfFile(data)) as document:
        info = inspection.inspect_pdf(document, password_given=False, seconds=9)
    seen = [page.number for page in info.pages if page.text_doubt is None]
    assert len(seen) == 8
    assert max(b - a for a, b in pairwise([0, *seen, 41])) <= 10


def test_a_file_is_sent_to_its_child_once_for_all_of_its_pages(reader, monkeypatch):
    data, other = pdf(text_page(1), text_page(2)), pdf(text_page(3))
    sent = []

    def send(sock, header, body=b""):
        sent.append(len(body))
        return real(sock, header, body)

    real = protocol.send
    monkeypatch.setattr(protocol, "send", send)
    texts = [reader.page_text(file, page).text for file, page in ((data, 1), (data, 2), (other, 1))]
    assert sent == [len(data), 0, len(other)]
    assert len(set(texts)) == 3
    assert reader.page_text(data, 1).text == texts[0]
    reader.inspect(data)
    assert reader.page_text(data, 2).text == texts[1]


def test_what_is_no_document_is_refused(reader):
    for data in (b"", b"hello", b"%PDF-1.7\nnothing"):
        with pytest.raises(DocumentDamaged):
            reader.inspect(data)


def test_a_scanned_page_has_no_text_and_is_not_blank(reader):
    data = pdf(draw_scan(scan(prose(30))))
    text = reader.page_text(data, 1)
    assert (text.doubt, text.trusted, text.text, text.blank) == (
        TextDoubt.NO_TEXT,
        False,
        "",
        False,
    )
    assert not reader.render(data, 1, 100, 10**7).blank
