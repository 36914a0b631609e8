"""What the parts of a long image are asked, and what is made of their answers."""

from __future__ import annotations

from shared.jobs import TileOutcome
from worker.jobs.tiled import prompts


def outcomes(*texts: str | None) -> list[TileOutcome]:
    return [TileOutcome(text=text or "", gap=text is None) for text in texts]


def test_a_part_is_asked_in_the_language_of_the_question():
    assert prompts.build_part_prompt("What is the total?", 2, 9).startswith(
        "This image is part 2 of 9"
    )
    assert "第 2 部分,共 9 部分" in prompts.build_part_prompt("总计是多少?", 2, 9)


def test_only_parts_that_had_something_to_say_are_asked_about():
    prompt = prompts.build_reduction_prompt(
        "Total?", outcomes("Not shown.", "48.12", None, "未显示。"), 400
    ).prompt
    assert [line for line in prompt.split("\n") if line.startswith("[part")] == ["[part 2] 48.12"]
    assert "in 4 parts" in prompt


def test_long_answers_are_cut_to_their_share_of_the_room():
    reduction = prompts.build_reduction_prompt("Total?", outcomes("word " * 500, "é" * 500), 500)
    first, second = [line for line in reduction.prompt.split("\n") if line.startswith("[part")]
    assert 400 < len(reduction.prompt.encode()) <= 500
    assert abs(len(first.encode()) - len(second.encode())) <= 2
    assert reduction.left_out == 0


def test_of_more_answers_than_there_is_room_for_the_surest_are_asked_about():
    parts = [TileOutcome(text=f"answer number {n}", confidence=n / 100) for n in range(100)]
    reduction = prompts.build_reduction_prompt("Total?", parts, 600)
    lines = [line for line in reduction.prompt.split("\n") if line.startswith("[part")]
    assert len(reduction.prompt.encode()) <= 600
    assert len(lines) == 100 - reduction.left_out > 5
    assert lines[-1].startswith("[part 100] answer number")
    assert lines == sorted(lines, key=lambda line: int(line[6 : line.index("]")]))


def test_the_parts_that_an_answer_names_are_its_evidence_and_leave_its_text():
    parts = outcomes("not shown", "48.12", "9.99")
    final = prompts.read_evidence("48.12 [part 2]", parts)
    assert (final.text, final.evidence) == ("48.12", {1})
    assert prompts.read_evidence("48.12 [part 1] [part 77]", parts).evidence == {1}


def test_an_answer_that_names_no_part_rests_on_those_that_agree():
    final = prompts.read_evidence("It is 48.12", outcomes("48.12", None, "48.12", "7"))
    assert final.evidence == {0, 2}
    assert prompts.read_evidence("", outcomes("a", "b")).evidence == frozenset()
