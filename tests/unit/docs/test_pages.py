"""Documents: no dead links, and the same pages in both languages."""

from __future__ import annotations

import re

import pytest

from tests.support.harness import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("client/*.md")])
DOCS = ROOT / "docs"
CHINESE = DOCS / "zh-CN"
#: A machine writes three of them in English: their sentences are the code's, or those of a run.
ENGLISH_ONLY = {"tour.md", "reference/http-api.md", "reference/command-line.md", "scaling.md"}
TWINS = {
    ROOT / "README.md": ROOT / "README.zh-CN.md",
    **{
        page: CHINESE / page.relative_to(DOCS)
        for page in PAGES
        if page.is_relative_to(DOCS) and not page.is_relative_to(CHINESE)
        if str(page.relative_to(DOCS)) not in ENGLISH_ONLY
    },
}


def name(page):
    return str(page.relative_to(ROOT))


def outline(text):
    return re.findall(r"^#+(?= )", text, re.MULTILINE)


def blocks(text):
    return re.findall(r"(?:<!-- run -->\n)?```\w+\n.*?```", text, re.DOTALL)


def rows(text):
    return [len(table.splitlines()) for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)]


def links(page):
    """Return where a page leads to, in either language; a page's own twin aside."""
    text = page.read_text(encoding="utf-8")
    targets = set()
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            targets.add(target)
        elif file := target.partition("#")[0]:
            place = (page.parent / file).resolve()
            targets.add(name(place).replace("docs/zh-CN/", "docs/").replace(".zh-CN", ""))
    return targets - {name(page).replace("docs/zh-CN/", "docs/").replace(".zh-CN", "")}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_to_a_file_leads_there(page):
    text = page.read_text(encoding="utf-8")
    targets = re.findall(r'\]\(([^)\s]+)\)|src="([^"]+)"', text)
    local = [a or b for a, b in targets if not re.match(r"[a-z]+:|#", a or b)]
    missing = [name for name in local if not (page.parent / name.partition("#")[0]).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_to_a_heading_of_the_documents_finds_it(page):
    text = page.read_text(encoding="utf-8")
    for file, anchor in re.findall(r"\]\(([^):\s#]*\.md)?#([^)\s]+)\)", text):
        if "bench/" in file:
            continue
        there = (page.parent / file if file else page).read_text(encoding="utf-8")
        heads = re.findall(r"^#+ (.*)$", there, re.MULTILINE)
        anchors = {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}
        anchors |= set(re.findall(r'<a id="([^"]+)"', there))
        assert anchor in anchors, f"{file}#{anchor}"


@pytest.mark.parametrize(("english", "chinese"), TWINS.items(), ids=map(name, TWINS))
def test_both_languages_have_the_same_parts_commands_tables_and_links(english, chinese):
    texts = [page.read_text(encoding="utf-8") for page in (english, chinese)]
    for part in (outline, blocks, rows):
        assert part(texts[0]) == part(texts[1])
    assert links(english) == links(chinese)


def test_no_chinese_page_is_without_an_english_one():
    assert sorted(TWINS.values()) == sorted([ROOT / "README.zh-CN.md", *CHINESE.rglob("*.md")])
