"""What one service must know of the others: proofs of the path, waves of moves, cut sites (H3, H53, SEMANTICS section 4)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lbctl.controller.around import CANARIES, STAGGER_S, Surroundings
from lbctl.model.looks import Health, ProbeResult, Reason, Verdict
from lbctl.model.settings import MassMove, SafetySettings, ServiceSettings
from lbctl.model.state import MemberSight, Move, PageSight, Restore, Saved, State
from tests.controller.world import pair
from tests.policy import stage as policy_stage


def look(member: str, reason: Reason, at: float, page: str = "status", void: str = "") -> ProbeResult:
    return ProbeResult(member, page, Verdict.OK if reason is Reason.OK else Verdict.FAILED, reason, at - 0.1, at, void=void)


def surroundings(*names: str, safety: SafetySettings | None = None) -> Surroundings:
    around = Surroundings(safety or SafetySettings())
    for name in names:
        around.watch_service(pair(name))
    return around


def counted(around: Surroundings, service: str, now: float) -> tuple[int, int]:
    seen = around.of(service, now)
    return seen.proofs, seen.watched


def test_members_of_other_services_prove_the_path_and_ones_own_do_not() -> None:
    around = surroundings("x", "y")
    around.saw("x", look("a", Reason.OK, 10.0))
    around.saw("y", look("a", Reason.REFUSED, 10.0))
    around.saw("y", look("b", Reason.TIMEOUT, 10.0))
    assert counted(around, "x", 10.0) == (1, 2)
    assert counted(around, "y", 10.0) == (1, 1)


@pytest.mark.parametrize(("reason", "proves"), [(r, r not in (Reason.TIMEOUT, Reason.UNREACHABLE, Reason.DNS)) for r in Reason])
def test_any_reply_proves_the_path_and_silence_does_not(reason: Reason, proves: bool) -> None:
    around = surroundings("x", "y")
    around.saw("y", look("a", reason, 10.0))
    assert counted(around, "x", 10.0) == (int(proves), 1)


def test_the_last_look_counts_for_each_page_and_one_answering_page_is_enough() -> None:
    around = surroundings("x", "y")
    around.saw("y", look("a", Reason.OK, 10.0, "status"))
    around.saw("y", look("a", Reason.TIMEOUT, 10.1, "hastatus"))
    assert counted(around, "x", 10.2) == (1, 1)
    around.saw("y", look("a", Reason.TIMEOUT, 10.3, "status"))
    assert counted(around, "x", 10.4) == (0, 1)


def test_a_vote_older_than_two_intervals_counts_for_nobody() -> None:
    around = surroundings("x", "y")
    around.saw("y", look("a", Reason.OK, 10.0))
    assert counted(around, "x", 12.9) == (1, 1)
    assert counted(around, "x", 13.6) == (0, 0)
    around.saw("y", look("a", Reason.OK, 20.0))
    assert counted(around, "x", 20.0) == (1, 1)


def test_void_looks_say_nothing_about_the_path() -> None:
    around = surroundings("x", "y")
    around.saw("y", look("a", Reason.TIMEOUT, 10.0, void="stall"))
    assert counted(around, "x", 10.0) == (0, 0)


def test_a_service_that_is_gone_is_counted_no_more() -> None:
    around = surroundings("x", "y")
    around.saw("y", look("a", Reason.OK, 10.0))
    around.forget("y")
    assert counted(around, "x", 10.0) == (0, 0)


def test_a_site_is_cut_when_all_its_canaries_fail_and_none_is_stale() -> None:
    around = surroundings("x", safety=SafetySettings(sites={"dc1": ("c1", "c2"), "dc2": ("c3",), "dc3": ()}))
    around.watch(CANARIES, {"c1": 5.0, "c2": 5.0, "c3": 5.0})
    for name, reason in (("c1", Reason.TIMEOUT), ("c2", Reason.REFUSED), ("c3", Reason.OK)):
        around.saw(CANARIES, look(name, reason, 10.0, "http"))
    assert around.of("x", 10.0).sites_cut == {"dc1"}
    around.saw(CANARIES, look("c2", Reason.OK, 11.0, "http"))
    assert around.of("x", 11.0).sites_cut == frozenset()
    assert around.of("x", 30.0).sites_cut == frozenset()


def test_the_followed_services_site_is_known() -> None:
    around = surroundings("x")
    leader = pair("lead")
    leader = replace(leader, members=tuple(replace(m, site=f"dc-{m.name}") for m in leader.members))
    around.watch_service(leader)
    around.watch_service(replace(pair("follower"), follows="lead"))
    around.update(leader, believed(leader), believed(leader), 10.0)
    assert around.of("follower", 10.0).followed_site == "dc-a"
    assert around.of("x", 10.0).followed_site == ""


def believed(settings: ServiceSettings, *, suspect: bool = False, down: bool = False, epoch: int = 1, moved: bool = False) -> State:
    """A service whose active is well, suspect or proven down, or that has just moved by itself."""
    bad = suspect or down
    last = look("a", Reason.TIMEOUT if bad else Reason.OK, 10.0)
    health = Health.DOWN if down else Health.UP
    page = PageSight(health, bad_run=3 * bad, first_bad=9.0 if bad else None, down_at=10.0 if down else None, last=last)
    move = Move("auto", "failover", "b", "a", epoch, 10.0, "", "", Restore("b", frozenset(), frozenset(), None, None)) if moved else None
    saved = Saved(settings.name, epoch=epoch, active="a", move=move)
    return State(saved, members={"a": MemberSight({"status": page, "hastatus": page})}, promoted=True, started=True)


def wave(then: str, *, down: int = 0, suspect: int = 0, services: int = 12) -> Surroundings:
    """So many of twelve services are down, so many suspect, at the instant 10."""
    names = [f"s{n}" for n in range(services)]
    around = surroundings(*names, safety=SafetySettings(mass_move=MassMove(0.25, 4, 10.0, then)))
    for number, name in enumerate(names):
        settings = pair(name)
        state = believed(settings, down=number < down, suspect=number < down + suspect)
        around.update(settings, believed(settings), state, 10.0)
    return around


@pytest.mark.parametrize(("down", "mass"), [(1, "open"), (3, "open"), (4, "hold"), (12, "hold")])
def test_a_wave_is_held_from_at_least_and_share_on(down: int, mass: str) -> None:
    assert wave("hold", down=down).of("s0", 10.0).mass == mass


def test_a_large_fleet_is_held_by_share_and_not_by_number_alone() -> None:
    assert wave("hold", down=9, services=40).of("s0", 10.0).mass == "open"
    assert wave("hold", down=10, services=40).of("s0", 10.0).mass == "hold"


def test_the_first_of_many_suspects_waits_for_the_others_but_not_for_ever() -> None:
    around = wave("hold", down=1, suspect=6)
    seen = around.of("s0", 10.0)
    assert (seen.mass, 10.0 < seen.mass_at <= 10.5) == ("wait", True)
    assert around.of("s0", 20.1).mass == "open"


def test_moves_of_the_last_seconds_count_towards_the_wave() -> None:
    around = wave("hold", down=2)
    for name in ("s8", "s9"):
        settings = pair(name)
        around.update(settings, believed(settings), believed(settings, epoch=2, moved=True), 10.0)
    assert around.of("s0", 10.5).mass == "hold"
    assert around.of("s0", 21.0).mass == "open"


def test_a_staggered_wave_moves_ten_a_second_in_the_order_of_asking() -> None:
    around = wave("stagger", down=8)
    turns = [around.of(f"s{n}", 10.0) for n in range(8)]
    waits = [seen.mass_at - 10.0 if seen.mass == "wait" else 0.0 for seen in turns]
    assert waits == pytest.approx([n * STAGGER_S for n in range(8)])
    assert around.of("s5", 10.0 + 5 * STAGGER_S).mass == "open"


def test_the_canaries_of_a_site_are_asked_at_once_when_its_active_member_begins_to_fail() -> None:
    """SEMANTICS 4, site cut: a quick service would else be gone before anybody had asked at its site."""
    safety = SafetySettings(sites={"dc1": ("c1", "c2")})
    settings = policy_stage.pair()
    settings = replace(settings, members=(replace(settings.members[0], site="dc1"), settings.members[1]))
    around = Surroundings(safety)
    around.watch_service(settings)
    around.watch(CANARIES, {"c1": 30.0, "c2": 30.0})
    asked: list[str] = []
    around.hurry = asked.extend
    stage = policy_stage.Stage(settings).normal()
    around.update(settings, stage.state, stage.state, stage.now)
    assert around.of(settings.name, stage.now).site_answered == 0.0 and not asked
    before = stage.state
    stage.look("a", "status", reason=Reason.TIMEOUT)
    around.update(settings, before, stage.state, stage.now)
    around.update(settings, stage.state, stage.state, stage.now)
    assert asked == ["c1", "c2"]
    around.saw(CANARIES, ProbeResult("c1", "tcp", Verdict.OK, Reason.OK, stage.now, stage.now + 0.01))
    assert around.of(settings.name, stage.now).site_answered == stage.now
