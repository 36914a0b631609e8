"""Documents: no dead links, and the same pages in both languages."""

from __future__ import annotations

import functools
import re

import pytest

from tests.support.harness import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("client/*.md")])
DOCS = ROOT / "docs"
CHINESE = DOCS / "zh-CN"
#: A machine writes most of them in English: their sentences are the code's, or those of a run.
ENGLISH_ONLY = {"tour.md", "reference/http-api.md", "reference/command-line.md", "scaling.md"}
#: Who changes the code reads its names and comments, which are in English too.
FOR_DEVELOPERS = {
    "architecture.md",
    "development.md",
    "reference/modules.md",
    *(str(page.relative_to(DOCS)) for page in DOCS.glob("development/*.md")),
    *(str(page.relative_to(DOCS)) for page in DOCS.glob("decisions/*.md")),
}
#: Pages that name files and classes of the code; UPGRADING.md names those of yesterday as well.
CODE_PAGES = [ROOT / "CONTRIBUTING.md", *(DOCS / name for name in sorted(FOR_DEVELOPERS))]
HAN = "[\u4e00-\u9fff]"
COMMENT = re.compile(r"(?:^|[ ]+)# (.*)$", re.MULTILINE)
TWINS = {
    ROOT / "README.md": ROOT / "README.zh-CN.md",
    **{
        page: CHINESE / page.relative_to(DOCS)
        for page in PAGES
        if page.is_relative_to(DOCS) and not page.is_relative_to(CHINESE)
        if str(page.relative_to(DOCS)) not in ENGLISH_ONLY | FOR_DEVELOPERS
    },
}


FOLDERS = (
    "gateway",
    "shared",
    "worker",
    "client",
    "demo",
    "bench",
    "scripts",
    "tests",
    "deploy",
    "docs",
)


@functools.cache
def classes():
    """Return the names of all classes of the service and its client."""
    sources = [file for folder in FOLDERS[:4] for file in (ROOT / folder).rglob("*.py")]
    lines = (line for file in sources for line in file.read_text(encoding="utf-8").splitlines())
    return {match[1] for line in lines if (match := re.match(r"class (\w+)", line))}


def name(page):
    return str(page.relative_to(ROOT))


def outline(text):
    return re.findall(r"^#+(?= )", text, re.MULTILINE)


def raw_blocks(text):
    return re.findall(r"(?:<!-- run -->\n)?```\w+\n.*?```", text, re.DOTALL)


def blocks(text):
    """Return the blocks of code with empty comments: each language has its own."""
    return [COMMENT.sub(" #", block) for block in raw_blocks(text)]


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
            twin = name(place).replace("docs/zh-CN/", "docs/").replace(".zh-CN", "")
            # a picture of the page has its own in Chinese
            targets.add(twin.replace("-zh.png", ".png"))
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


@pytest.mark.parametrize("page", TWINS.values(), ids=name)
def test_comments_in_a_chinese_page_are_chinese(page):
    comments = COMMENT.findall("\n".join(raw_blocks(page.read_text(encoding="utf-8"))))
    assert [comment for comment in comments if not re.search(HAN, comment)] == []


@pytest.mark.parametrize("page", TWINS.values(), ids=name)
def test_punctuation_between_chinese_words_is_full_width(page):
    prose = re.sub(r"```.*?```|`[^`\n]*`|\]\([^)]*\)", "", page.read_text("utf-8"), flags=re.DOTALL)
    assert re.findall(rf".{{0,9}}(?:{HAN}[,:;!?(]|[,:;!?)]{HAN}).{{0,9}}", prose) == []


def test_no_chinese_page_is_without_an_english_one():
    assert sorted(TWINS.values()) == sorted([ROOT / "README.zh-CN.md", *CHINESE.rglob("*.md")])


@pytest.mark.parametrize("page", CODE_PAGES, ids=name)
def test_every_file_that_a_page_for_developers_names_is_there(page):
    text = page.read_text(encoding="utf-8")
    named = re.findall(rf"`((?:{'|'.join(FOLDERS)})/[\w./-]*)`", text)
    assert [path for path in named if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", CODE_PAGES, ids=name)
def test_every_class_that_a_page_for_developers_names_is_there(page):
    named = set(re.findall(r"`([A-Z][a-z]+(?:[A-Z][a-z]+)+)`", page.read_text(encoding="utf-8")))
    assert named - classes() == set()


#: Variables that an operator sets on purpose.
_SET_BY_HAND = {"WORKER_PID", "RESTORED"}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_variable_of_a_shell_block_is_set_before_on_its_page(page):
    known = set(_SET_BY_HAND)
    for block in re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        known.update(re.findall(r"(?:^|[\s;(])([A-Za-z_]\w*)=", block, re.MULTILINE))
        known.update(re.findall(r"\bfor ([A-Za-z_]\w*) in\b", block))
        used = set(re.findall(r"\$\{?([A-Za-z_]\w*)", block))
        assert used <= known, f"{sorted(used - known)} in:\n{block}"
