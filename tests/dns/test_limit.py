"""Responses a second for each client prefix (contract section 3)."""

from __future__ import annotations

import pytest

from lbctl.dns.limit import PREFIXES_MAX, Pass, RateLimit, prefix_of


def test_beyond_the_rate_every_second_response_is_truncated_instead_of_dropped() -> None:
    limit = RateLimit(200)
    verdicts = [limit.judge(prefix_of("192.0.2.1"), 5.0) for _ in range(210)]
    assert verdicts == [Pass.SEND] * 200 + [Pass.TRUNCATE, Pass.DROP] * 5
    assert (limit.truncated, limit.dropped) == (5, 5)


def test_a_new_second_begins_anew() -> None:
    limit = RateLimit(1)
    assert [limit.judge(prefix_of("192.0.2.1"), at) for at in (5.0, 5.9, 6.0)] == [Pass.SEND, Pass.TRUNCATE, Pass.SEND]


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ("192.0.2.1", "192.0.2.254", True),
        ("192.0.2.1", "192.0.3.1", False),
        ("2001:db8:0:ff00::1", "2001:db8:0:ffff::1", True),
        ("2001:db8:0:ff00::1", "2001:db8:0:fe00::1", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
    ],
)
def test_a_prefix_is_a_slash_24_or_56(left: str, right: str, same: bool) -> None:
    assert (prefix_of(left) == prefix_of(right)) is same


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1"])
def test_loopback_is_exempt(host: str) -> None:
    limit = RateLimit(1)
    assert {limit.judge(prefix_of(host), 1.0) for _ in range(9)} == {Pass.SEND}


def test_forged_senders_cannot_fill_the_memory() -> None:
    limit = RateLimit(1)
    for number in range(PREFIXES_MAX * 2):
        limit.judge(prefix_of(f"{number >> 16}.{number >> 8 & 255}.{number & 255}.1"), 1.0)
    assert len(limit.counts) <= PREFIXES_MAX + 1
