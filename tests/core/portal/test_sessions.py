"""Sessions end by idling and by age; guessing a password gets slower and slower. All of it is bounded."""

from __future__ import annotations

from lbctl.core.portal import sessions
from lbctl.core.portal.sessions import Sessions, Throttle


def test_a_session_lives_while_it_is_used_and_not_longer_than_a_working_day() -> None:
    known = Sessions()
    token = known.begin("admin", 0.0)
    now = 0.0
    while now <= sessions.LIFE_S:
        found = known.find(token, now)
        assert found is not None and found.user == "admin"
        now += sessions.IDLE_S
    assert known.find(token, now) is None


def test_an_idle_session_ends_and_a_script_does_not_keep_it_alive() -> None:
    known = Sessions()
    token = known.begin("admin", 0.0)
    assert known.find(token, sessions.IDLE_S - 1, touch=False) is not None
    assert known.find(token, sessions.IDLE_S + 1) is None


def test_a_session_that_was_ended_or_never_was_is_none() -> None:
    known = Sessions()
    token = known.begin("admin", 0.0)
    known.end(token)
    assert known.find(token, 0.0) is None and known.find("", 0.0) is None


def test_sessions_and_their_forms_have_tokens_of_their_own() -> None:
    known = Sessions()
    first, second = known.begin("admin", 0.0), known.begin("admin", 0.0)
    one, two = known.find(first, 0.0), known.find(second, 0.0)
    assert one is not None and two is not None
    assert one.owns(one.csrf) and not one.owns(two.csrf) and not one.owns("") and not one.owns("ü")


def test_notes_are_said_once() -> None:
    known = Sessions()
    session = known.find(known.begin("admin", 0.0), 0.0)
    assert session is not None
    session.notes.append(("good", "Saved."))
    assert session.take_notes() == [("good", "Saved.")] and session.take_notes() == []


def test_the_number_of_sessions_is_bounded_and_the_oldest_goes_first() -> None:
    known = Sessions()
    tokens = [known.begin("admin", 0.0) for _ in range(sessions.SESSIONS_MAX + 1)]
    assert known.find(tokens[0], 0.0) is None and known.find(tokens[1], 0.0) is not None


def test_guessing_slows_down_to_a_limit_and_the_right_password_forgives() -> None:
    throttle = Throttle(300.0)
    waits = []
    for _ in range(20):
        throttle.failed("user admin", 100.0)
        waits.append(throttle.wait_s("user admin", 100.0))
    assert waits[:6] == [0, 0, 0, 0, 2, 4] and waits == sorted(waits) and waits[-1] == 300.0
    assert throttle.wait_s("user admin", 100.0 + 300.0) == 0
    assert throttle.wait_s("user other", 100.0) == 0
    throttle.passed("user admin")
    assert throttle.wait_s("user admin", 100.0) == 0


def test_what_a_throttle_remembers_is_bounded() -> None:
    throttle = Throttle(300.0)
    for number in range(sessions.WATCHED_MAX + 10):
        for _ in range(sessions.GUESSES):
            throttle.failed(f"from {number}", 0.0)
    assert throttle.wait_s("from 0", 0.0) == 0 and throttle.wait_s(f"from {sessions.WATCHED_MAX + 9}", 0.0) > 0
