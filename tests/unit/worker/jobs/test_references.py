"""What a worker knows already is offered to the next answer, and forgotten with its files."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from shared.errors import StoreUnavailable
from shared.jobs import FinishReason, JobInput, Usage
from shared.jobs.image import stored_file_mark
from worker.engine.api import Completion, Timings
from worker.jobs.drafts.earlier_answers import EarlierAnswers
from worker.jobs.drafts.references import References
from worker.pipeline import Question

MARKS = frozenset({"m"})


class Parts:
    """Stands for the tile store; `texts` are those of earlier parts."""

    def __init__(self, texts: list[str] | None) -> None:
        self.texts = texts

    def read_texts_before(self, row) -> list[str]:
        if self.texts is None:
            raise StoreUnavailable
        return self.texts


def row(parent: str | None = None) -> SimpleNamespace:
    return SimpleNamespace(id="job_1", parent=parent, ttl_ms=60_000, tile=1)


def claim(parent: str | None = None, written: str = "") -> SimpleNamespace:
    return SimpleNamespace(row=row(parent), written=written)


def question(*images: str, scope: str = "t", **fields) -> Question:
    job = JobInput(prompt="read", images=images, encode_only=fields.pop("encode_only", False))
    return Question("job_1", job, (), {}, scope, "", 60.0, **fields)


def completion(*tokens: int, reason: FinishReason = FinishReason.STOP) -> Completion:
    return Completion("text", reason, Usage(), Timings(), token_ids=tokens)


def test_an_answer_about_the_same_images_is_offered_to_its_own_tenant_only():
    known = References(Parts([]))
    known.keep(row(), question("a", "b"), completion(1, 2))
    known.keep(row(), question("a", "b"), completion(3))
    known.keep(row(), question("a", "b"), completion(1, 2))
    assert known.add_to(claim(), question("a", "b")).references == ((1, 2), (3,))
    given = question("a", "b", references=("text", (3,)))
    assert known.add_to(claim(), given).references == ("text", (3,), (1, 2))
    for other in (question("b", "a"), question("a"), question("a", "b", scope="u"), question()):
        assert known.add_to(claim(), other).references == ()
    assert known.add_to(claim(), question("a", "b", encode_only=True)).references == ()


def test_what_was_cut_off_or_is_about_no_image_is_not_kept():
    known = References(Parts([]))
    for reason in (FinishReason.CANCELED, FinishReason.DEADLINE, FinishReason.LOOP):
        known.keep(row(), question("a"), completion(1, reason=reason))
    known.keep(row(), question(), completion(1))
    known.keep(row(), question("a"), Completion("", FinishReason.STOP, Usage(), Timings()))
    assert known.add_to(claim(), question("a")).references == ()
    assert known.add_to(claim(), question()).references == ()


def test_earlier_parts_of_the_same_job_are_offered_to_parts():
    known = References(Parts(["page 2", "page 1"]))
    assert known.add_to(claim("job_0"), question("a")).references == ("page 2", "page 1")
    assert known.add_to(claim(), question("a")).references == ()
    # a draft is not worth waiting for Redis
    assert References(Parts(None)).add_to(claim("job_0"), question("a")).references == ()


def test_what_an_earlier_attempt_had_written_comes_first():
    known = References(Parts(["page 1"]))
    known.keep(row(), question("a"), completion(1))
    offered = known.add_to(claim("job_0", "It was"), question("a")).references
    assert offered == ("It was", (1,), "page 1")


@pytest.mark.parametrize("erased", ["img_a", "job_0", "doc_d"])
def test_an_erased_file_or_job_takes_its_answers_with_it(erased):
    known, asked = References(Parts([])), question("img_a", file_ids={"img_a": "doc_d"})
    if erased == "img_a":
        asked = question("img_a")
    known.keep(row("job_0"), asked, completion(1))
    known.forget(frozenset({stored_file_mark("t", "img_other")}))
    assert known.add_to(claim(), asked).references
    mark = frozenset({stored_file_mark("t", erased)})
    known.forget(mark)
    assert known.add_to(claim(), asked).references == ()
    # it was still at work on what is erased
    known.keep(row("job_0"), asked, completion(1))
    assert known.add_to(claim(), asked).references == ()


def test_answers_are_few_small_and_not_kept_for_long(monkeypatch):
    answers = EarlierAnswers(max_tokens=10)
    for number in range(4):
        answers.keep(("t", "a"), (number,) * 2, marks=MARKS, seconds=60)
    assert answers.find(("t", "a")) == [(3, 3), (2, 2)]
    answers.keep(("t", "b"), (5,) * 7, marks=MARKS, seconds=60)
    assert answers.find(("t", "a")) == [(3, 3)]
    answers.keep(("t", "c"), (6,) * 11, marks=MARKS, seconds=60)
    assert [answers.find(("t", name)) for name in "abc"] == [[], [], []]
    answers.keep(("t", "d"), (1,), marks=MARKS, seconds=5)
    monkeypatch.setattr("worker.jobs.drafts.earlier_answers.time.monotonic", lambda: float("inf"))
    assert answers.find(("t", "d")) == []
