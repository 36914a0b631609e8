"""A damaged or hostile document ends in a result or in an error of its own, never in a hang."""

import os
import sys
import time
from pathlib import Path

import pytest

from shared.documents.model import TextDoubt
from shared.errors import DocumentDamaged, DocumentError
from tests.support.documents.damaged import (
    BROKEN,
    COSTLY,
    broken,
    costly,
    mutations,
    plain,
    truncated,
)
from tests.support.documents.drawn import pdf, prose, text_page

TIMEOUT_S = 3
#: What a child may hold, its libraries included.
MOST_BYTES = 400 << 20
#: Seconds of the loop over random damage; SIGHTLINE_FUZZ_S asks for more.
FUZZ_S = float(os.environ.get("SIGHTLINE_FUZZ_S", "20"))


@pytest.fixture(scope="module")
def strict():
    from shared.documents.reader import DocumentReader
    from shared.settings import Settings

    made = DocumentReader(Settings(document_timeout_s=TIMEOUT_S, document_memory_bytes=256 << 20))
    yield made
    made.close()


def _use(reader, data):
    """Do all that can be done with a document; return the errors."""
    errors = []
    for call in (
        lambda: reader.inspect(data),
        lambda: reader.page_text(data, 1),
        lambda: reader.render(data, 1, 72, 1_000_000),
        lambda: reader.unlock(data),
    ):
        try:
            call()
        except DocumentError as error:
            errors.append(error)
    assert all(error.detail and error.hint_text for error in errors)
    return errors


def _peak_bytes(reader):
    if sys.platform != "linux":
        return 0
    statuses = [Path(f"/proc/{pid}/status").read_text() for pid in reader.sandbox.pool.pids()]
    return max(int(status.split("VmHWM:")[1].split()[0]) << 10 for status in statuses)


@pytest.mark.parametrize("change", BROKEN)
def test_a_broken_file_is_repaired_or_refused(strict, change):
    data = broken(change)
    try:
        info = strict.inspect(data)
    except DocumentDamaged:
        return
    # what is shown as whole is whole
    for page in info.pages:
        if page.text_doubt is None:
            text = strict.page_text(data, page.number)
            assert text.text.split("\n") == prose(40, page.number)
    assert info.repaired or len(info.pages) == 3


@pytest.mark.parametrize("kind", COSTLY)
def test_a_costly_file_is_answered_in_time(strict, kind):
    data = costly(kind)
    started = time.monotonic()
    errors = _use(strict, data)
    # two tries of each of five calls at most
    assert time.monotonic() - started < 10 * TIMEOUT_S
    assert all(type(error) is not DocumentError for error in errors)
    assert strict.page_text(pdf(text_page()), 1).trusted
    assert _peak_bytes(strict) < MOST_BYTES


def test_a_count_that_lies_gives_no_pages_that_are_not_there(strict):
    info = strict.inspect(costly("a count that lies"))
    real = [page for page in info.pages if page.text_doubt != TextDoubt.DAMAGED]
    assert len(real) == 3


def test_a_cut_file_never_passes_for_a_whole_one(strict):
    refused = 0
    for data in truncated():
        try:
            assert strict.inspect(data).repaired
        except DocumentDamaged:
            refused += 1
    assert refused


def test_random_damage_never_hangs_or_ends_the_reader(strict):
    deadline = time.monotonic() + FUZZ_S
    tried, opened = 0, 0
    for data in mutations(19):
        started = time.monotonic()
        opened += not _use(strict, data)
        tried += 1
        assert time.monotonic() - started < 10 * TIMEOUT_S
        if time.monotonic() > deadline:
            break
    assert tried > 5
    assert opened
    assert strict.page_text(plain(), 1).trusted
    assert _peak_bytes(strict) < MOST_BYTES
