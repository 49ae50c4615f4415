"""A seed's schedule: what kind of site, and what happens to it when. Pure: the same seed gives the same plan.

Real time never repeats itself to the millisecond, so a seed reproduces the deeds and their moments, not each packet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

CORES = ("core-a", "core-b")
FAULTS = ("refuse", "hung", "503", "wrong-text", "slow-drip", "expired-certificate", "stopped")
OVERRIDES = ("active-down", "candidate-standby", "candidate-confirmed", "re-synced", "not-dual-primary", "not-held", "follows-active")
BRIEF_S = 14.0
"""A plan that plays no longer than this has no long waits either: the seeds of every run."""


@dataclass(frozen=True, slots=True)
class Deed:
    """Something that happens at a time (seconds of the play) and, where `lasts` is given, is undone so much later. `on`: whom it concerns."""

    at: float
    kind: str
    on: tuple[str, ...] = ()
    lasts: float | None = None
    words: tuple[str, ...] = ()

    def __str__(self) -> str:
        parts = [self.kind, "-".join(self.on), " ".join(self.words), "" if self.lasts is None else f"for {self.lasts:.1f} s"]
        return " ".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class Plan:
    """The site's settings and its deeds in order."""

    seed: int
    span_s: float
    driven: bool
    promotes_itself: bool
    service: dict[str, Any]
    deeds: tuple[Deed, ...]


def plan(seed: int, span_s: float) -> Plan:
    """What happens under this seed within `span_s` seconds."""
    dice = Random(f"chaos {seed} {span_s}")
    driven = dice.random() < 0.5
    service: dict[str, Any] = {"on_self_promoted": dice.choice(("hold", "ask", "ask", "adopt"))}
    if driven:
        service["on_failover"] = {"promote": dice.choice(("wait", "drive"))}
    if dice.random() < 0.3:
        service["lockout"] = "1s"
    many = dice.choice((2, 3, 4, 6)) if span_s <= BRIEF_S else dice.choice((6, 9, 12, 16))
    kinds = dice.choices([kind for _, kind in KINDS], [weight for weight, _ in KINDS], k=many)
    deeds: list[Deed] = []
    for kind in kinds:
        # Several at once is where the interesting faults are: half of the deeds follow the one before closely.
        near = deeds and dice.random() < 0.5
        at = min(deeds[-1].at + dice.choice((0.0, 0.1, 0.7, 1.5)), span_s) if near else dice.random() * span_s * 0.9
        deeds.extend(kind(dice, at, driven))
    ordered = sorted(deeds, key=lambda deed: deed.at)
    return Plan(seed, span_s, driven, dice.random() < 0.5, service, tuple(_bounded(deed, span_s) for deed in ordered))


def _bounded(deed: Deed, span_s: float) -> Deed:
    """Ends with the play: healing undoes the rest anyway, and nobody waits for it."""
    lasts = None if deed.lasts is None else max(0.2, min(deed.lasts, span_s - deed.at))
    return Deed(deed.at, deed.kind, deed.on, lasts, deed.words)


def _length(dice: Random) -> float:
    """Of a fault: mostly long enough to be noticed, sometimes a blip, sometimes for the rest of the play."""
    return dice.choice((0.4, 1.5, 4.0, 6.0, 9.0, 20.0)) * (0.6 + 0.8 * dice.random())


def _one(dice: Random) -> str:
    return "core-a" if dice.random() < 0.6 else "core-b"


def _killed(dice: Random, at: float, driven: bool) -> Iterator[Deed]:
    yield Deed(at, dice.choice(("kill", "kill", "terminate")), (_one(dice),), _length(dice))


def _stopped(dice: Random, at: float, driven: bool) -> Iterator[Deed]:
    yield Deed(at, "freeze", (dice.choice(("core-a", "core-a", "core-b", "lbctl")),), 1.0 + 19.0 * dice.random() ** 2)


def _faulty(dice: Random, at: float, driven: bool) -> Iterator[Deed]:
    yield Deed(at, "fault", (_one(dice),), _length(dice), (dice.choice(FAULTS),))


def _both_faulty(dice: Random, at: float, driven: bool) -> Iterator[Deed]:
    fault, lasts = dice.choice(FAULTS), _length(dice)
    yield Deed(at, "fault", ("core-a",), lasts, (fault,))
    yield Deed(at + dice.choice((0.0, 0.3, 2.0)), "fault", ("core-b",), lasts, (fault,))


def _restarted(dice: Random, at: float, driven: bool) -> Iterator[Deed]:
    yield Deed(at, dice.choice(("kill", "kill", "terminate")), ("lbctl",), dice.choice((0.0, 0.0, 0.5, 3.0)))


def _killed_in_a_move(dice: Random, at: float, driven: bool) -> Iterator[Deed]:
    """lbctl dies about when it moves traffic off a dead Core: between any two of its steps."""
    yield Deed(at, "kill", ("core-a",), _length(dice))
    yield Deed(at + 0.15 + 0.6 * dice.random(), "kill", ("lbctl",), dice.choice((0.0, 0.5)))


def _cut(dice: Random, at: float, driven: bool) -> Iterator[Deed]:
    on = dice.choice((("lbctl", "core-a"), ("lbctl", "core-a"), ("lbctl", "core-b"), ("core-a", "core-b"), ("core-a", "core-b")))
    yield Deed(at, dice.choice(("cut", "cut", "cut-to", "cut-from")), on, _length(dice))


def _blinded(dice: Random, at: float, driven: bool) -> Iterator[Deed]:
    lasts = _length(dice)
    yield Deed(at, "cut", ("lbctl", "core-a"), lasts)
    yield Deed(at + dice.choice((0.0, 0.0, 0.4)), "cut", ("lbctl", "core-b"), lasts)


def _rejected(dice: Random, at: float, driven: bool) -> Iterator[Deed]:
    yield Deed(at, "reject", (_one(dice), "lbctl"), _length(dice), (dice.choice(("tcp reset", "icmp type host-unreachable")),))


def _lossy(dice: Random, at: float, driven: bool) -> Iterator[Deed]:
    yield Deed(at, "lose", dice.choice((("lbctl", "core-a"), ("lbctl", "core-b"), ("core-a", "core-b"))), _length(dice))


def _full(dice: Random, at: float, driven: bool) -> Iterator[Deed]:
    yield Deed(at, "fill", (), _length(dice))


def _commanded(dice: Random, at: float, driven: bool) -> Iterator[Deed]:
    yield Deed(at, "operator", (), None, dice.choice(_commands(dice, driven)))


def _two_operators(dice: Random, at: float, driven: bool) -> Iterator[Deed]:
    for _ in range(2):
        yield Deed(at, "operator", (), None, dice.choice(_commands(dice, driven)))


def _commands(dice: Random, driven: bool) -> tuple[tuple[str, ...], ...]:
    """What people type; `--drive` where a hand is configured. Weights by repetition."""
    why, hand = ("--reason", "chaos"), ("--drive",) if driven else ()
    to = _one(dice)
    force = ("--force", "--accept", ",".join(dice.sample(OVERRIDES, dice.choice((1, 2, len(OVERRIDES))))))
    attest = ("--attest-synced",) if dice.random() < 0.4 else ()
    failover = ("failover", "core", "--to", to, *why)
    switchover, resume = ("switchover", "core", *hand), ("resume", "core", *hand, *attest, *why)
    return (
        failover, failover, (*failover, *force), switchover, switchover, resume, resume, ("resume", "core"),
        ("swap-roles", "core", *attest, *why), ("hold", "core", *why), ("release", "core"), ("maintenance", "on", "core", "--for", "1m", *why),
        ("maintenance", "off", "core"), ("ack", "core", *why), ("ack", "core", "--member", to, *attest, *why), ("approve", "?", *why),
        ("approve", "?", *why), ("deny", "?"), ("adopt", "core"), ("reload",),
    )


def _administered(dice: Random, at: float, driven: bool) -> Iterator[Deed]:
    """Somebody at a Core's own command line."""
    on = _one(dice)
    yield Deed(at, "administer", (on,), None, dice.choice((("failover", "mode", "secondary"), ("failover", "mode", "primary"), ("failover", "sync"),
                                                           ("failover", "sync"), ("failover", "client-connection", "disable"))))


def _recovered(dice: Random, at: float, driven: bool) -> Iterator[Deed]:
    yield Deed(at, "recover")


def _returned_by_hand(dice: Random, at: float, driven: bool) -> Iterator[Deed]:
    """The guide's recovery, as a person in a hurry types it."""
    yield Deed(at, "kill", ("core-a",), 2.0)
    for number, (on, words) in enumerate((("core-a", ("failover", "mode", "secondary")), ("core-a", ("failover", "sync")),
                                          ("core-b", ("failover", "mode", "secondary")), ("core-a", ("failover", "mode", "primary")))):
        yield Deed(at + 3.5 + number, "administer", (on,), None, words)
    yield Deed(at + 7.5, "operator", (), None, ("resume", "core"))


Kind = Callable[[Random, float, bool], Iterator[Deed]]
KINDS: tuple[tuple[int, Kind], ...] = (
    (6, _killed), (5, _stopped), (6, _faulty), (2, _both_faulty), (4, _restarted), (3, _killed_in_a_move), (5, _cut), (2, _blinded), (2, _rejected),
    (3, _lossy), (3, _full), (9, _commanded), (2, _two_operators), (2, _administered), (1, _returned_by_hand), (9, _recovered),
)
