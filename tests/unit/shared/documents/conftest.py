"""A reader with real children, shared by all tests that don't harm it."""

import pytest

from shared.documents.reader import DocumentReader
from shared.settings import Settings


@pytest.fixture(scope="session")
def reader():
    shared = DocumentReader(Settings())
    yield shared
    shared.close()


@pytest.fixture
def reader_with():
    """Make readers of changed settings; they are closed when the test ends."""
    made = []

    def make(**changed):
        made.append(DocumentReader(Settings(**changed)))
        return made[-1]

    yield make
    for one in made:
        one.close()
