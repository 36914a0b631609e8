"""Nobody is served unasked."""

from __future__ import annotations

import pytest

from gateway.auth import UnsafeBinding, anonymous_access, check_binding, network_of
from shared.settings import Settings

ELSEWHERE = ["0.0.0.0", "::", "192.168.1.4", "example.com"]
HERE = ["127.0.0.1", "127.8.8.8", "::1", "localhost"]


@pytest.mark.parametrize("host", ELSEWHERE)
def test_an_address_that_others_reach_needs_a_key_or_to_be_asked_for_twice(host):
    with pytest.raises(UnsafeBinding, match="SIGHTLINE_ALLOW_ANONYMOUS=1"):
        check_binding(Settings(host=host), lambda: False)
    check_binding(Settings(host=host), lambda: True)
    check_binding(Settings(host=host, allow_anonymous=True), lambda: False)
    assert anonymous_access(Settings(host=host)) == "no"


@pytest.mark.parametrize("host", HERE)
def test_this_machine_alone_needs_no_key_until_there_is_one(host):
    check_binding(Settings(host=host), lambda: False)
    assert anonymous_access(Settings(host=host)) == "alone"


def test_what_is_said_counts_everywhere():
    for host in (*HERE, *ELSEWHERE):
        assert anonymous_access(Settings(host=host, allow_anonymous=True)) == "yes"
        assert anonymous_access(Settings(host=host, allow_anonymous=False)) == "no"
    with pytest.raises(UnsafeBinding):
        check_binding(Settings(allow_anonymous=False), lambda: False)


def test_a_caller_without_a_key_is_told_by_what_it_surely_has():
    assert network_of("203.0.113.9") == network_of("::ffff:203.0.113.9") == "203.0.113.9"
    assert (
        network_of("2001:db8:1:2::1") == network_of("2001:db8:1:2:ffff::9") == "2001:db8:1:2::/64"
    )
    assert network_of("2001:db8:1:3::1") != network_of("2001:db8:1:2::1")
    assert network_of("fe80::1%eth0") == network_of("fe80::2%eth0")
    assert network_of(None) == network_of("unix:") == ""
