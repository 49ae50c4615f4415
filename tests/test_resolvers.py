"""What counts as the new answer of a resolver. What it takes to get there is in `tests/peers/test_resolvers.py`, against a real one."""

from __future__ import annotations

import pytest

from lbctl.resolvers import tells

NEW4, NEW6, OLD, OTHER = "198.51.100.10", "2001:db8::20", "192.0.2.10", "192.0.2.99"


@pytest.mark.parametrize(("told", "want", "new"), [
    pytest.param([NEW4], [NEW4], True, id="the-new-one"),
    pytest.param([OLD], [NEW4], False, id="the-old-one"),
    pytest.param([NEW4, OLD], [NEW4], False, id="old-and-new"),
    pytest.param([], [NEW4], False, id="no-such-name"),
    pytest.param([OTHER], [NEW4], False, id="something-else"),
    pytest.param([NEW4, NEW6], [NEW4, NEW6], True, id="both-families"),
    pytest.param([NEW4], [NEW4, NEW6], True, id="a-resolver-that-filters-a-family"),
    pytest.param([NEW4, "64:ff9b::c633:640a"], [NEW4], True, id="a-resolver-that-translates"),
    pytest.param([NEW4, OLD], [NEW4, NEW6], False, id="one-family-is-old"),
    pytest.param([NEW4], [NEW4, OTHER], False, id="a-pool-that-has-grown"),
    pytest.param(["www.example.com"], ["www.example.com"], True, id="an-alias"),
    pytest.param(["old.example.com"], ["www.example.com"], False, id="an-old-alias"),
])
def test_what_counts_as_the_new_answer(told: list[str], want: list[str], new: bool) -> None:
    """Nothing of the old, and all of the new in each family that the resolver tells at all."""
    assert tells(frozenset(told), frozenset(want), frozenset({OLD, "old.example.com"})) is new
