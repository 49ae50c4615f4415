"""H22: IPv6 is dead and IPv4 is alive, or the other way round. Each family is looked at by itself; a dead one is not published, and no pair moves."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable
from dataclasses import replace

import pytest

from lbctl.errors import InvariantBroken
from lbctl.model.commands import Command, MaintenanceOn, Release, SetHold
from lbctl.model.looks import Health, ProbeResult, Reason, Verdict
from lbctl.model.settings import MemberSettings, Role, ServiceSettings
from lbctl.model.state import PageSight, State
from lbctl.policy import desired, families, invariants, view
from lbctl.policy.decide import decide
from tests.policy.stage import PROBE, T0, Stage

DUAL = {"a": ("192.0.2.1", "2001:db8::1"), "b": ("192.0.2.2", "2001:db8::2")}
RULE = replace(PROBE, families="any")
HOLD = SetHold(service="core", by="x", reason="r")


def dual(rule: str = "any", kind: str = "failover") -> ServiceSettings:
    probe = replace(RULE, families=rule)
    members = (MemberSettings("a", Role.PRIMARY, {"": DUAL["a"]}, probe=probe), MemberSettings("b", Role.SECONDARY, {"": DUAL["b"]}, probe=probe))
    members = members if kind == "pool" else (members[0], replace(members[1], syncs_from="a"))
    return ServiceSettings("core", members, kind=kind, actuators=("x",))


class Dual(Stage):
    """A stage whose looks go over both families: `see(a="46")` is a member that answers over both, `"4"` over IPv4 alone, `""` not at all."""

    rule = "any"

    def see(self, times: int = 1, **members: str) -> Dual:
        for _ in range(times):
            self.now += 1.0
            for name, alive in members.items():
                for page, verdict in self._pages(name):
                    self.hear(self._look(name, page, verdict, alive))
        return self

    def _pages(self, name: str) -> tuple[tuple[str, Verdict], ...]:
        primary = name == (self.active or "a")
        status = Verdict.OK if primary or self.settings.kind == "pool" else Verdict.FAILED
        return ("status", status), ("hastatus", Verdict.PRIMARY if primary else Verdict.STANDBY)

    def _look(self, name: str, page: str, verdict: Verdict, alive: str) -> ProbeResult:
        self.now += 0.001
        parts = tuple((family, self._part(name, page, verdict, family in alive)) for family in "46")
        good = [part for _, part in parts if part.good]
        whole = (min(parts, key=lambda item: item[1].good) if self.rule == "all" or not good else ("", good[0]))[1]
        return replace(whole, ways=parts)

    def _part(self, name: str, page: str, verdict: Verdict, answers: bool) -> ProbeResult:
        if not answers:
            return ProbeResult(name, page, Verdict.FAILED, Reason.REFUSED, self.now, self.now + 0.001, "connection refused")
        reason = Reason.STATUS if verdict is Verdict.FAILED else Reason.OK
        return ProbeResult(name, page, verdict, reason, self.now, self.now + 0.001)

    @property
    def clients(self) -> tuple[str, ...]:
        """What clients are told."""
        found = desired(self.settings, self.state, self.now)
        assert found is not None
        return found.addresses[""]


def well() -> Dual:
    return Dual(dual()).see(4, a="46", b="46")


def test_a_dead_family_is_withheld_and_comes_back_and_the_pair_does_not_move() -> None:
    stage = well()
    before = stage.state.saved.epoch
    stage.see(4, a="4", b="46")
    assert stage.active == "a" and stage.clients == ("192.0.2.1",) and stage.state.saved.epoch == before + 1
    stage.see(4, a="46", b="46")
    assert stage.active == "a" and stage.clients == DUAL["a"] and stage.state.saved.epoch == before + 2
    assert [note.kind for note in stage.notes if note.kind.startswith("family")] == ["family-withheld", "family-back"]


def test_it_does_not_matter_which_of_the_two_is_dead() -> None:
    assert well().see(4, a="6", b="46").clients == ("2001:db8::1",)


def test_a_member_that_is_dead_over_both_fails_over_to_what_answers_there() -> None:
    """The standby's IPv6 was dead for long: nobody is sent there."""
    stage = well().see(4, a="46", b="4").see(5, a="", b="4")
    assert stage.active == "b" and stage.clients == ("192.0.2.2",)


def test_a_member_that_is_dead_over_both_keeps_both_while_nobody_takes_over() -> None:
    stage = well().see(6, a="", b="")
    assert stage.active == "a" and stage.clients == DUAL["a"]


def test_with_all_one_dead_family_is_a_dead_member() -> None:
    stage = Dual(dual("all"))
    stage.rule = "all"
    stage.see(4, a="46", b="46").see(5, a="4", b="46")
    assert stage.active == "b" and stage.clients == DUAL["b"]


def test_one_bad_look_withholds_nothing() -> None:
    assert well().see(2, a="4", b="46").clients == DUAL["a"]


def test_min_outage_counts_for_a_family_too() -> None:
    slow = dual()
    slow = replace(slow, members=tuple(replace(m, probe=replace(m.probe, min_outage_s=10.0)) for m in slow.members))
    stage = Dual(slow).see(4, a="46", b="46").see(6, a="4", b="46")
    assert stage.clients == DUAL["a"]
    assert stage.see(6, a="4", b="46").clients == ("192.0.2.1",)


def test_a_restart_does_not_give_a_dead_path_back() -> None:
    stage = well().see(4, a="4", b="46")
    stage.restart("a")
    assert stage.clients == ("192.0.2.1",)


def test_what_nobody_has_looked_at_yet_stays_as_it_is_published() -> None:
    stage = Dual(dual())
    assert stage.clients == DUAL["a"]


@pytest.mark.parametrize("command", [HOLD, MaintenanceOn(service="core", by="x", reason="r", until=T0 + 600)], ids=["hold", "maintenance"])
def test_people_freeze_it(command: Command) -> None:
    stage = well()
    stage.ask(command)
    assert stage.see(5, a="4", b="46").clients == DUAL["a"]


def test_a_pool_withholds_the_family_of_one_member_alone() -> None:
    settings = dual(kind="pool")
    settings = replace(settings, monitor=replace(settings.monitor, name="http", pages=("status",), modes=False))
    stage = Dual(settings, remembered=False, shown="nothing")
    stage._pages = lambda name: (("status", Verdict.OK),)  # type: ignore[method-assign]
    stage.see(8, a="46", b="46")
    assert set(stage.clients) == {*DUAL["a"], *DUAL["b"]}
    stage.see(4, a="4", b="46")
    assert set(stage.clients) == {"192.0.2.1", *DUAL["b"]}


def test_an_odd_mode_over_one_family_is_no_dead_path() -> None:
    stage = well()
    for _ in range(5):
        odd = stage._look("a", "hastatus", Verdict.UNKNOWN, "46")
        stage.hear(replace(odd, reason=Reason.UNKNOWN_MODE))
    assert all(sight.health is Health.UP for _, sight in stage.state.members["a"].pages["hastatus"].ways)


def test_people_see_both_families_and_what_is_withheld() -> None:
    stage = well().see(4, a="4", b="46")
    shown = view(stage.settings, stage.state, stage.now)
    families_of_a = shown["members"][0]["families"]
    assert families_of_a["ipv4"]["health"] == "up" and families_of_a["ipv6"] == {
        **families_of_a["ipv6"], "health": "down", "reason": "refused", "withheld": True}
    assert ("FamilyWithheld", "a") in [(alert["kind"], alert["member"]) for alert in shown["alerts"]]


def test_a_file_that_looks_over_one_family_again_publishes_both_again() -> None:
    stage = well().see(4, a="4", b="46")
    settings = replace(stage.settings, members=tuple(replace(m, probe=PROBE) for m in stage.settings.members))
    stage.settings = settings
    stage.wait(1.0)
    assert stage.clients == DUAL["a"] and not stage.state.saved.withheld


# --- every state that looks, people and restarts can lead to


def _shape(state: State) -> object:
    """What behaviour depends on, without times: counts up to where the rules saturate."""
    def page(sight: PageSight) -> object:
        return (sight.health, min(sight.bad_run, 3), min(sight.good_run, 2), sight.down_at is None,
                tuple((f, s.health, min(s.bad_run, 3), min(s.good_run, 2), s.down_at is None) for f, s in sight.ways))

    saved = state.saved
    sights = tuple((name, tuple((p, page(s)) for p, s in sorted(sight.pages.items()))) for name, sight in sorted(state.members.items()))
    return saved.withheld, saved.hold is None, state.promoted, sights


def _explore() -> int:
    """Breadth first over what A answers over, a hold and its release, a restart; every decision passes every invariant. Returns the states."""
    start = Dual(replace(dual(), members=tuple(replace(m, probe=replace(m.probe, fall=2, leak=50)) for m in dual().members)))
    start.see(4, a="46", b="46")
    seen, todo = {_shape(start.state)}, deque([(start.state, start.now)])
    while todo:
        state, now = todo.popleft()
        for step in ("46", "4", "6", "", "hold", "release", "restart"):
            stage = Dual.__new__(Dual)
            stage.__dict__.update(start.__dict__, state=state, now=now, notes=[])
            if step == "hold":
                stage.ask(HOLD)
            elif step == "release":
                stage.ask(Release(service="core", by="x"))
            elif step == "restart":
                stage.restart("a")
            else:
                # B is down: what A shows is all that matters here
                stage.see(1, a=step)
            assert stage.clients, "clients are always told something"
            if _shape(stage.state) not in seen:
                seen.add(_shape(stage.state))
                todo.append((stage.state, stage.now))
    return len(seen)


def test_every_reachable_state_of_two_families_keeps_the_invariants() -> None:
    """H22, H29: withheld only beside what answers, by looks, never under a hold; a restart gives nothing back by itself."""
    states = _explore()
    print(f"{states} states")
    assert states > 100


def _withholding_all(state: State) -> State:
    return replace(state, saved=replace(state.saved, withheld=frozenset({"a/4", "a/6"}), epoch=state.saved.epoch + 1))


def _without_epoch(before: State, after: State) -> State:
    return replace(after, saved=replace(after.saved, epoch=before.saved.epoch))


@pytest.mark.parametrize(("name", "undo"), [
    ("families-", lambda before, after: _withholding_all(after) if after.saved.withheld else after),
    ("families-leave-some", lambda before, after: _without_epoch(before, after) if before.saved.withheld != after.saved.withheld else after),
    ("families-by-looks", lambda before, after: replace(after, saved=replace(after.saved, withheld=frozenset({"a/6"}), epoch=after.saved.epoch + 1))),
], ids=["nothing-left", "no-new-epoch", "for-no-reason"])
def test_each_planted_break_is_caught(name: str, undo: Callable[[State, State], State]) -> None:
    with pytest.raises(InvariantBroken, match=name):
        _let_ipv6_die(well(), undo)


def _let_ipv6_die(stage: Dual, undo: Callable[[State, State], State]) -> None:
    for alive in itertools.chain(["46"], ["4"] * 5):
        before = stage.state
        look = stage._look("a", "status", Verdict.OK, alive)
        decision = decide(stage.settings, before, look, stage.now, stage.around)
        broken = replace(decision, state=undo(before, decision.state))
        invariants.check(stage.settings, before, broken, look, stage.now)
        stage.state = broken.state


def test_the_addresses_of_a_view_with_one_family_are_never_taken_away() -> None:
    settings = dual()
    inside = replace(settings.members[0], address={"inside": ("10.0.0.1",), "outside": DUAL["a"]})
    settings = replace(settings, members=(inside, settings.members[1]))
    assert families.addresses(settings, ("a",), frozenset({"a/4"})) == {"inside": ("10.0.0.1",), "outside": ("2001:db8::1",)}
