"""One page looked at over several ways, each by itself, and the looks as one.

The ways are the address families that a member is published in (H22), and the path that its clients take, through their gateway or proxy (H5).
All looks start together, and the one that comes of them is as fast as its rule allows: a way that is known to be dead is not waited for, and a look
that is still out when its result is not needed any more ends by its own deadline and is handed on with the next result. So every look over a way is
told exactly once, and a dead IPv6 path makes no failover over IPv4 slower.

* Families: with `any` the member is well when one answers, with `all` when all do.
* The clients' path alone neither fails a member nor saves it: where it says something else than the direct look, the two together say `unknown`:
  neither good nor bad for the active member, and bad for a candidate (SEMANTICS section 1). Unless `alone` is said: then its failure is one.
* Ways that answer with different modes do not lead to the same server: that is no mode at all, like a page that cannot be read (H14, H17).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from lbctl.model.looks import DETAIL_MAX, SILENT, ProbeResult, Reason, Verdict
from lbctl.probes.base import CLIENT, Aim, Cancel, Done, Probe, Target

NAMES = {"4": "IPv4", "6": "IPv6", "direct": "directly", CLIENT: "by the clients' path"}
Looks = Mapping[str, ProbeResult]


def aim(probe: Probe, target: Target) -> Aim:
    """The probe aimed at the target, over each of its ways where it names any."""
    return Several(probe, target) if target.ways else probe.aim(target)


class Several:
    """An `Aim` at one page over several ways."""

    __slots__ = ("_aims", "_ended", "_flying", "_target", "last")

    def __init__(self, probe: Probe, target: Target) -> None:
        self._target = target
        # An aim for each way: kept connections and certificates of one path must not be taken for the other's.
        self._aims = {one.way: probe.aim(one) for one in target.ways}
        self._flying: set[_Together] = set()
        self._ended: dict[str, ProbeResult] = {}
        self.last: dict[str, ProbeResult] = {}

    @property
    def target(self) -> Target:
        return self._target

    def start(self, done: Done) -> Cancel:
        together = _Together(self, done)
        self._flying.add(together)
        together.begin(self._aims)
        return together.cancel

    def guard(self, tripped: Callable[[], None]) -> Cancel:
        """A connection kept open over each way: whichever ends asks for a look."""
        cancels = [aimed.guard(tripped) for aimed in self._aims.values()]

        def cancel() -> None:
            for one in cancels:
                one()

        return cancel

    def close(self) -> None:
        # A copy: each that is cancelled takes itself out.
        for together in list(self._flying):
            together.cancel()
        for aimed in self._aims.values():
            aimed.close()

    # --- asked by the looks under way

    def worth_waiting(self, way: str) -> bool:
        """One that has just failed would make every look as slow as its deadline."""
        # Never looked at counts as worth it: the first result should know all ways.
        return way not in self.last or self.last[way].good

    def note(self, way: str, result: ProbeResult) -> None:
        """The look over one way has ended; it is told with the next result."""
        self._ended[way] = self.last[way] = result

    def landed(self, together: _Together) -> None:
        """Nothing of it is under way any more."""
        self._flying.discard(together)

    def told(self) -> tuple[tuple[str, ProbeResult], ...]:
        """All looks that have ended since the last result."""
        # Handed over and emptied in one: every look over a way is counted once (H22).
        ended, self._ended = self._ended, {}
        return tuple(sorted(ended.items()))


class _Together:
    """The looks that started together."""

    __slots__ = ("_cancels", "_done", "_out", "_results", "_several")

    def __init__(self, several: Several, done: Done) -> None:
        self._several = several
        self._done: Done | None = done
        self._cancels: dict[str, Cancel] = {}
        self._results: dict[str, ProbeResult] = {}
        self._out: set[str] = set()

    def begin(self, aims: Mapping[str, Aim]) -> None:
        # All at once, before any starts: a look that ends at once must not make the rest seem to be over.
        self._out = set(aims)
        for way, aimed in aims.items():
            cancel = aimed.start(lambda result, way=way: self._landed(way, result))  # type: ignore[misc]
            if way in self._out:  # a look may end before its start returns
                self._cancels[way] = cancel
        self._settle()

    def cancel(self) -> None:
        """Ends all of it; what was already told stays told."""
        self._done = None
        for cancel in self._cancels.values():
            cancel()
        self._cancels.clear()
        self._several.landed(self)

    def _landed(self, way: str, result: ProbeResult) -> None:
        self._results[way] = result
        self._out.discard(way)
        self._several.note(way, result)
        # Only when the last has landed, told or not: until then `close` has something to cancel.
        if not self._out:
            self._several.landed(self)
        # A look that ended inside its own start is settled after all have started.
        if self._cancels.pop(way, None) is not None:
            self._settle()

    def _settle(self) -> None:
        """Tells the result as soon as nothing that is still out could change it."""
        if self._done is None or self._open():
            return
        done, self._done = self._done, None
        target = self._several.target
        whole = combined({way: look for way, look in self._results.items() if way != CLIENT}, needs_all=target.rule == "all")
        # The newest there is: a slow clients' path must not make the direct look as slow.
        path = self._results.get(CLIENT) or self._several.last.get(CLIENT)
        if path is not None:
            whole = beside(whole, path, alone=target.alone)
        done(replace(whole, ways=self._several.told()))

    def _open(self) -> bool:
        """Whether a look that is out may still change what is told."""
        direct = self._out - {CLIENT}
        ended = [look for way, look in self._results.items() if way != CLIENT]
        if self._several.target.rule == "all":
            # One bad way has decided it already.
            undecided = bool(direct) and all(look.good for look in ended)
        else:
            undecided = bool(direct) and (not any(look.good for look in ended) or any(map(self._several.worth_waiting, direct)))
        return undecided or (CLIENT in self._out and self._several.worth_waiting(CLIENT))


def combined(looks: Looks, *, needs_all: bool) -> ProbeResult:
    """One look out of those over each family. `started` is the earliest start, `ended` the latest end."""
    # A void way says nothing; only where all are void is the whole one void.
    real = {way: look for way, look in looks.items() if not look.void} or dict(looks)
    good = {way: look for way, look in real.items() if look.good}
    bad = {way: look for way, look in real.items() if not look.good}
    ends = [look.not_after for look in real.values() if look.not_after is not None]
    failed = bool(bad) and (needs_all or not good)
    whole = replace(
        _speaker(bad if failed else good), started=min(look.started for look in looks.values()), ended=max(look.ended for look in looks.values()),
        not_after=min(ends, default=None),
    )
    # One way beside the clients' path: there are no families to be told apart.
    if "direct" in looks:
        return whole
    if failed:
        return replace(whole, detail="; ".join(f"{NAMES[way]}: {look.detail or look.reason}" for way, look in sorted(bad.items()))[:DETAIL_MAX])
    # Primary over one family and Standby over the other: that is two servers, and neither may be believed (H17).
    return whole if len({look.verdict for look in good.values()}) == 1 else _no_mode(whole, good)


def beside(direct: ProbeResult, path: ProbeResult, *, alone: bool) -> ProbeResult:
    """The direct look together with the newest one by the clients' path. `alone`: that one's failure is the member's."""
    if direct.void or path.void or (direct.good and path.good and direct.verdict is path.verdict):
        return direct
    if direct.good and path.good:
        return _no_mode(direct, {"direct": direct, CLIENT: path})
    # Both fail: a failure like any other, for the reason of the direct look.
    if not direct.good and not path.good:
        return direct
    bad = path if direct.good else direct
    told = f"{NAMES['direct']}: {direct.detail or direct.verdict}; {NAMES[CLIENT]}: {path.detail or path.reason}"[:DETAIL_MAX]
    # The clients' path may fail a member where that is wanted; it never saves one that fails directly.
    verdict = Verdict.FAILED if alone and direct.good else Verdict.UNKNOWN
    return replace(direct, verdict=verdict, reason=bad.reason, detail=told)


def _no_mode(whole: ProbeResult, good: Looks) -> ProbeResult:
    told = ", ".join(f"{NAMES[way]} {look.verdict}" for way, look in sorted(good.items()))
    return replace(whole, verdict=Verdict.UNKNOWN, reason=Reason.UNKNOWN_MODE, detail=f"{told}: they lead to different servers")


def _speaker(looks: Looks) -> ProbeResult:
    """Whose reason is told: a reply proves more than silence (SEMANTICS section 4), and IPv4 is asked first."""
    return min(looks.items(), key=lambda item: (item[1].reason in SILENT, item[0]))[1]
