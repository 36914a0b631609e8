"""The documents: links that lead somewhere, and the same README in both languages."""

from __future__ import annotations

import re

import pytest

from tests.harness import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("client/*.md")])
READMES = [(ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.zh-CN.md")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_file_leads_there(page):
    text = page.read_text(encoding="utf-8")
    targets = re.findall(r'\]\(([^)\s]+)\)|src="([^"]+)"', text)
    local = [a or b for a, b in targets if not re.match(r"[a-z]+:|#", a or b)]
    missing = [name for name in local if not (page.parent / name.partition("#")[0]).exists()]
    assert missing == []


def test_both_readmes_have_the_same_parts_commands_and_links():
    def outline(text: str) -> list[str]:
        return re.findall(r"^#+(?= )", text, re.MULTILINE)

    def commands(text: str) -> list[str]:
        return re.findall(r"```\w+\n.*?```", text, re.DOTALL)

    def links(text: str) -> list[str]:
        return [link for link in re.findall(r"\]\(([^)]+)\)", text) if "README." not in link]

    for part in (outline, commands, links):
        english, chinese = map(part, READMES)
        assert english == chinese
