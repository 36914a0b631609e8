"""What a job about a document is taken to cost before anybody has looked at all of its pages."""

from gateway.submission.documents.plan import presume
from shared.documents.model import PageInfo, TextDoubt

TEXT = {"text_characters": 900, "text_trusted": True, "text_doubt": None}
SCAN = {"text_characters": 0, "text_trusted": False, "text_doubt": TextDoubt.NO_TEXT}
UNSEEN = {"text_characters": None, "text_doubt": TextDoubt.NOT_CHECKED}


def _pages(*kinds):
    return [PageInfo(number, 595, 842, **kind) for number, kind in enumerate(kinds, 1)]


def test_a_page_that_was_not_looked_at_is_taken_to_be_like_the_nearest_one():
    pages = _pages(UNSEEN, TEXT, UNSEEN, UNSEEN, UNSEEN, SCAN, UNSEEN)
    trusted = [page.text_trusted for page in presume(pages)]
    assert trusted == [True, True, True, True, False, False, False]
    assert [page.number for page in presume(pages)] == list(range(1, 8))
    assert presume(pages)[0].text_characters == 900


def test_where_nothing_was_looked_at_nothing_is_presumed():
    assert presume(_pages(UNSEEN, UNSEEN)) == _pages(UNSEEN, UNSEEN)
    assert presume(_pages(TEXT, SCAN)) == _pages(TEXT, SCAN)
    assert presume([]) == []
