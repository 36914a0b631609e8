"""A decoder with real children, shared by all tests that don't harm it."""

import pytest

from gateway.images.decoder.decoder import Decoder
from shared.settings import Settings


@pytest.fixture(scope="session")
def decoder():
    shared = Decoder(Settings())
    yield shared
    shared.close()


@pytest.fixture
def decoder_with():
    """Make decoders of changed settings; they are closed when the test ends."""
    made = []

    def make(**changed):
        made.append(Decoder(Settings(**changed)))
        return made[-1]

    yield make
    for one in made:
        one.close()
