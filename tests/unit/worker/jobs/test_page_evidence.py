"""Pages on which an answer to one prompt rests: named ones, else those that say it themselves."""

import pytest

from shared.jobs import PageOutput, PageSource
from worker.jobs.paged.evidence import mark_evidence

TEXTS = {1: "The harbour opens at nine.", 2: "Total:\n500 EUR", 5: "总额 500 元"}
PAGES = [PageOutput(page=page, source=PageSource.TEXT_LAYER) for page in (1, 2, 5)]
BLANK = PageOutput(page=9, source=PageSource.BLANK)


@pytest.mark.parametrize(
    ("answer", "evidence"),
    [
        ("500 EUR", [2]),
        ("total: 500 eur.", [2]),
        ("It opens at nine, see page 1 and page 5.", [1, 5]),
        ("见第 5 页", [5]),
        ("page 77", []),
        ("9", []),
        ("nothing of this", []),
        ("", []),
    ],
)
def test_pages_that_are_named_or_say_it_are_the_evidence(answer, evidence):
    marked = mark_evidence([*PAGES, BLANK], answer, TEXTS)
    assert [one.page for one in marked if one.evidence] == evidence


def test_the_only_page_that_shows_anything_is_the_evidence():
    marked = mark_evidence([PAGES[0], BLANK], "whatever", {})
    assert [one.evidence for one in marked] == [True, False]
