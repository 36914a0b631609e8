"""Nobody is served unasked."""

from __future__ import annotations

import pytest

from gateway.auth import UnsafeBinding, check_binding
from shared.settings import Settings


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "example.com"])
def test_an_address_that_others_reach_is_refused_unless_asked_for_twice(host):
    with pytest.raises(UnsafeBinding, match="SIGHTLINE_ALLOW_ANONYMOUS=1"):
        check_binding(Settings(host=host))
    check_binding(Settings(host=host, allow_anonymous=True))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_this_machine_alone_needs_no_key(host):
    check_binding(Settings(host=host))
