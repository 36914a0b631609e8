"""Pages that follow the specification in rare ways: fonts that are elsewhere, forms, remarks."""

import pytest

from shared.documents.model import TextDoubt
from tests.support.documents.damaged import plain
from tests.support.documents.strange import (
    dynamic_form,
    filled_form,
    foreign,
    portfolio,
    with_remarks,
)

INVOICE = "发票号码：12345，合计金额人民币伍佰元整。"


@pytest.mark.parametrize(
    ("text", "cmap", "codec", "ordering"),
    [
        (INVOICE, "UniGB-UCS2-H", "utf-16-be", "GB1"),
        (INVOICE, "GBK-EUC-H", "gbk", "GB1"),
        ("發票號碼：12345，合計金額伍佰元整。", "ETen-B5-H", "big5", "CNS1"),
        ("請求書番号：12345、合計金額は五百円です。", "UniJIS-UCS2-H", "utf-16-be", "Japan1"),
        ("請求書番号：12345、合計金額は五百円です。", "90ms-RKSJ-H", "cp932", "Japan1"),
        ("청구서 번호 12345 합계 금액은 오백원입니다.", "UniKS-UCS2-H", "utf-16-be", "Korea1"),
    ],
)
def test_text_whose_font_is_elsewhere_is_taken_as_it_is_filed(reader, text, cmap, codec, ordering):
    page = reader.page_text(foreign(text, cmap, codec, ordering), 1)
    assert page.text.split("\n\n") == [text, text]
    assert page.trusted


def test_columns_that_run_downwards_are_read_from_right_to_left(reader):
    right = foreign(INVOICE, "UniGB-UCS2-V", "utf-16-be", "GB1", vertical=True)
    assert reader.page_text(right, 1).text.split() == [INVOICE, INVOICE]


def test_white_or_invisible_text_without_a_font_stays_hidden(reader):
    def page(before):
        data = foreign(INVOICE, "UniGB-UCS2-H", "utf-16-be", "GB1")
        changed = data.replace(b"BT /F1", before + b" BT /F1")
        return reader.page_text(changed, 1)

    for before in (b"1 g", b"3 Tr"):
        assert page(before).doubt == TextDoubt.HIDDEN
        assert page(before).fontless == 0
    assert page(b"0 g").trusted


def test_the_state_of_buttons_is_part_of_the_text(reader):
    text = reader.page_text(filled_form(), 1)
    assert text.text.replace("\t", " ").split("\n\n") == ["Agree ☑", "Refuse ☐", "Size ○ ◉"]
    assert text.trusted
    # a page that is opened again has no annotations left
    assert reader.page_text(filled_form(), 1) == text


def test_remarks_on_a_page_are_read_and_hidden_ones_are_not(reader):
    text = reader.page_text(with_remarks(), 1)
    assert "Approved by 港口 office\nin May" in text.text
    assert "PAID IN FULL" in text.text
    assert "REJECTED" not in text.text
    assert "Unseen" not in text.text
    assert text.trusted


def test_what_a_document_hides_from_a_reader_is_known(reader):
    seen = reader.inspect(dynamic_form()), reader.inspect(portfolio()), reader.inspect(plain())
    assert [one.dynamic_form for one in seen] == [True, False, False]
    assert [one.attachments for one in seen] == [0, 1, 0]
    assert [one.repaired for one in seen] == [False] * 3


def test_files_inside_of_a_document_are_named_and_a_cover_is_known_as_one(reader):
    cover = reader.inspect(portfolio(["b.pdf", "合同.pdf", "x" * 300]))
    assert cover.portfolio
    assert cover.attached_names == ("b.pdf", "x" * 80 + "…", "合同.pdf")
    report = reader.inspect(portfolio([f"{n:02}.csv\u202e" for n in range(25)], collection=False))
    assert (report.portfolio, report.attachments) == (False, 25)
    assert report.attached_names == tuple(f"{n:02}.csv" for n in range(10))
    assert not reader.inspect(plain()).portfolio
