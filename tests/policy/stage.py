"""A stage for stories about one service: looks in the words of SEMANTICS section 9, time by hand, no I/O.

`Stage` plays the part of the loop: it feeds events to `decide`, checks every invariant after each, and keeps what was said.
"""

from __future__ import annotations

from dataclasses import replace

from lbctl.model.commands import Command, Reply, Shown
from lbctl.model.decision import Note
from lbctl.model.events import Around, Event, Started, Tick, Verified
from lbctl.model.looks import ProbeResult, Reason, Verdict
from lbctl.model.settings import MemberSettings, ProbeSettings, Role, ServiceSettings
from lbctl.model.state import Saved
from lbctl.policy import begin, decide, explain, invariants, view
from lbctl.policy.case import Case

T0 = 1_800_000_000.0
PROBE = ProbeSettings(profile="standard", interval_s=1.0, fast_interval_s=0.25, timeout_s=1.0, min_outage_s=0.0)
CAREFUL = ProbeSettings()

PAGES = {
    "ok": ("status", Verdict.OK, Reason.OK),
    "503": ("status", Verdict.FAILED, Reason.STATUS),
    "standby": ("hastatus", Verdict.STANDBY, Reason.OK),
    "primary": ("hastatus", Verdict.PRIMARY, Reason.OK),
    "odd": ("hastatus", Verdict.UNKNOWN, Reason.UNKNOWN_MODE),
}


def member(name: str, role: Role = Role.SECONDARY, *, probe: ProbeSettings = PROBE, **more: object) -> MemberSettings:
    return MemberSettings(name, role, {"": (f"192.0.2.{ord(name[-1])}",)}, probe=probe, **more)  # type: ignore[arg-type]


def pair(probe: ProbeSettings = PROBE, **more: object) -> ServiceSettings:
    """A is the primary, B syncs from it."""
    members = (member("a", Role.PRIMARY, probe=probe), member("b", probe=probe, syncs_from="a"))
    return ServiceSettings("core", members, actuators=("x",), **more)  # type: ignore[arg-type]


def chain(probe: ProbeSettings = PROBE, **more: object) -> ServiceSettings:
    """G-SC2: A, B syncs from A, DR syncs from B and needs an approval."""
    dr = member("dr", probe=probe, syncs_from="b", manual_approval=True)
    return replace(pair(probe, **more), members=(*pair(probe).members, dr))


class Stage:
    """One service in the hands of a test."""

    def __init__(
        self,
        settings: ServiceSettings | None = None,
        *,
        saved: Saved | None = None,
        shown: str = "a",
        around: Around | None = None,
        remembered: bool = True,
    ) -> None:
        self.settings = settings or pair()
        self.now = T0
        self.around = around or Around()
        self.notes: list[Note] = []
        self.reply: Reply | None = None
        self.looks: tuple[tuple[str, str], ...] = ()
        if saved is None and remembered:
            saved = Saved(self.settings.name, epoch=1, active="a", primary="a", file_primary="a")
        self.state = begin(self.settings, saved, 1)
        self.start(shown)

    def start(self, shown: str) -> None:
        """What every actuator shows: a member, "nothing", "strange", "unread"."""
        self.last_shown = tuple(self._shown(a, shown) for a in self.settings.actuators)
        self.hear(Started(self.last_shown))

    def _shown(self, actuator: str, what: str) -> Shown:
        if what in self.settings.names:
            return Shown(actuator, (what,), epoch=self.state.saved.epoch or None)
        return Shown(actuator, nothing=what == "nothing", unread=what == "unread", detail=what)

    def restart(self, shown: str, *, saved: Saved | None = None) -> None:
        """A new life with the same memory."""
        self.state = begin(self.settings, saved or self.state.saved, self.state.revision)
        self.start(shown)

    def hear(self, event: Event) -> None:
        before = self.state
        decision = decide(self.settings, before, event, self.now, self.around)
        invariants.check(self.settings, before, decision, event, self.now)
        self.state = decision.state
        if decision.state.saved != before.saved:
            self.state = replace(self.state, revision=before.revision + 1)
        self.notes += decision.notes
        self.looks = decision.looks
        self.reply = decision.reply

    def look(self, name: str, what: str, *, reason: Reason | None = None, void: str = "", took: float = 0.01) -> None:
        """One look; `what` is a word of PAGES, or status/hastatus with a failing `reason`."""
        page, verdict, found = PAGES[what] if reason is None else (what, Verdict.FAILED, reason)
        self.now += 0.0001 + took
        self.hear(ProbeResult(name, page, verdict, found, self.now - took, self.now, void=void))

    def round(self, *, every: float = 1.0, **members: str) -> None:
        """All pages of these members once: `a="ok/primary"`, `b="503/standby"`, `a="fail"` (timeouts), `a="refused"`."""
        self.now += every
        for name, text in members.items():
            words = {"fail": (Reason.TIMEOUT, Reason.TIMEOUT), "refused": (Reason.REFUSED, Reason.REFUSED), "tls": (Reason.TLS, Reason.TLS)}.get(text)
            for page, word in zip(("status", "hastatus"), words or text.split("/"), strict=True):
                if isinstance(word, Reason):
                    self.look(name, page, reason=word, took=0.001)
                elif word == "fail":
                    self.look(name, page, reason=Reason.TIMEOUT, took=0.001)
                else:
                    self.look(name, word, took=0.001)

    def rounds(self, count: int, *, every: float = 1.0, **members: str) -> None:
        for _ in range(count):
            self.round(every=every, **members)

    def verify(self) -> None:
        """The reconciler has seen the wanted epoch everywhere."""
        for actuator in self.settings.actuators:
            self.hear(Verified(actuator, self.state.saved.epoch))

    def ask(self, command: Command) -> Reply:
        self.hear(command)
        assert self.reply is not None
        return self.reply

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.hear(Tick())

    def normal(self) -> Stage:
        """A serves as Primary, B waits in Standby."""
        self.rounds(4, a="ok/primary", b="503/standby")
        return self

    def failed_over(self) -> Stage:
        """… and A has failed, and B has the traffic."""
        self.normal().rounds(4, a="fail", b="503/standby")
        self.verify()
        assert self.active == "b"
        return self

    @property
    def active(self) -> str | None:
        return self.state.saved.active

    @property
    def case(self) -> Case:
        return Case(self.settings, self.state, self.now, self.around)

    @property
    def view(self) -> dict:  # type: ignore[type-arg]
        return view(self.settings, self.state, self.now, self.around)

    @property
    def why(self) -> dict:  # type: ignore[type-arg]
        return explain(self.settings, self.state, self.now, self.around)

    def told(self, kind: str) -> list[str]:
        return [note.text for note in self.notes if note.kind == kind]
