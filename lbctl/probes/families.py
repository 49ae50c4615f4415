"""One page looked at over IPv4 and over IPv6, each by itself, and the two looks as one (H22).

Both looks start together. With `any` the member is well when one family answers, with `all` when both do. The one look that comes of it is as
fast as its rule allows: a bad family decides `all` at once; a family that is known to be dead is not waited for by `any`, and a look that is still
out when its result is not needed any more ends by its own deadline and is handed on with the next result. So every look over a family is told
exactly once, and a dead IPv6 path makes no failover over IPv4 slower.

Two families that answer with different modes do not lead to the same server: that is no mode at all, like a page that cannot be read (H14, H17).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from lbctl.model.looks import DETAIL_MAX, SILENT, ProbeResult, Reason, Verdict
from lbctl.probes.base import Aim, Cancel, Done, Probe, Target

NAMES = {4: "IPv4", 6: "IPv6"}


def aim(probe: Probe, target: Target) -> Aim:
    """The probe aimed at the target, over each of its families where it names any."""
    return Both(probe, target) if target.families else probe.aim(target)


class Both:
    """An `Aim` at one page over several families."""

    __slots__ = ("_aims", "_ended", "_flying", "_last_good", "_target")

    def __init__(self, probe: Probe, target: Target) -> None:
        self._target = target
        self._aims = [(one.family or 4, probe.aim(one)) for one in target.families]
        self._flying: set[_Pair] = set()
        self._ended: dict[int, ProbeResult] = {}
        self._last_good = {family: True for family, _ in self._aims}

    @property
    def target(self) -> Target:
        return self._target

    def start(self, done: Done) -> Cancel:
        pair = _Pair(self, done)
        self._flying.add(pair)
        pair.begin(self._aims)
        return pair.cancel

    def guard(self, tripped: Callable[[], None]) -> Cancel:
        """A connection kept open over each family: whichever ends asks for a look."""
        cancels = [aimed.guard(tripped) for _, aimed in self._aims]

        def cancel() -> None:
            for one in cancels:
                one()

        return cancel

    def close(self) -> None:
        for pair in list(self._flying):
            pair.cancel()
        for _, aimed in self._aims:
            aimed.close()

    # --- asked by the looks under way

    @property
    def needs_all(self) -> bool:
        return self._target.rule == "all"

    def worth_waiting(self, family: int) -> bool:
        """Whether `any` waits for this family: one that has just failed would make every look as slow as its deadline."""
        return self._last_good[family]

    def note(self, family: int, result: ProbeResult) -> None:
        """One family's look has ended; it is told with the next result."""
        self._ended[family] = result
        self._last_good[family] = result.good

    def landed(self, pair: _Pair) -> None:
        """Nothing of it is under way any more."""
        self._flying.discard(pair)

    def told(self) -> tuple[tuple[str, ProbeResult], ...]:
        """All looks that have ended since the last result."""
        ended, self._ended = self._ended, {}
        return tuple((str(family), result) for family, result in sorted(ended.items()))


class _Pair:
    """The looks that started together."""

    __slots__ = ("_both", "_cancels", "_done", "_results", "_wanted")

    def __init__(self, both: Both, done: Done) -> None:
        self._both = both
        self._done: Done | None = done
        self._cancels: dict[int, Cancel] = {}
        self._results: dict[int, ProbeResult] = {}
        self._wanted = 0

    def begin(self, aims: Sequence[tuple[int, Aim]]) -> None:
        self._wanted = len(aims)
        for family, aimed in aims:
            cancel = aimed.start(lambda result, family=family: self._landed(family, result))  # type: ignore[misc]
            if family not in self._results:
                self._cancels[family] = cancel
        self._settle()

    def cancel(self) -> None:
        """Ends all of it; what was already told stays told."""
        self._done = None
        for cancel in self._cancels.values():
            cancel()
        self._cancels.clear()
        self._both.landed(self)

    def _landed(self, family: int, result: ProbeResult) -> None:
        self._results[family] = result
        self._cancels.pop(family, None)
        self._both.note(family, result)
        if len(self._results) == self._wanted:
            self._both.landed(self)
        self._settle()

    def _settle(self) -> None:
        """Tells the result as soon as nothing that is still out could change it. Not before all have been started."""
        out = [family for family in self._cancels if family not in self._results]
        started = len(self._results) + len(out) == self._wanted
        if self._done is None or not started or (out and self._open(out)):
            return
        done, self._done = self._done, None
        whole = combined(self._results, needs_all=self._both.needs_all)
        done(replace(whole, families=self._both.told()))

    def _open(self, out: Sequence[int]) -> bool:
        ended = list(self._results.values())
        if self._both.needs_all:
            return all(result.good for result in ended)
        return not any(result.good for result in ended) or any(self._both.worth_waiting(family) for family in out)


def combined(results: dict[int, ProbeResult], *, needs_all: bool) -> ProbeResult:
    """One look out of those over each family. `started` is the earliest start, `ended` the latest end."""
    real = {family: result for family, result in results.items() if not result.void} or results
    good = {family: result for family, result in real.items() if result.good}
    bad = {family: result for family, result in real.items() if not result.good}
    ends = [result.not_after for result in real.values() if result.not_after is not None]
    whole = replace(
        _speaker(bad if bad and (needs_all or not good) else good),
        started=min(result.started for result in results.values()), ended=max(result.ended for result in results.values()),
        not_after=min(ends, default=None),
    )
    if bad and (needs_all or not good):
        return replace(whole, detail="; ".join(f"{NAMES[family]}: {one.detail or one.reason}" for family, one in sorted(bad.items()))[:DETAIL_MAX])
    if len({result.verdict for result in good.values()}) > 1:
        told = ", ".join(f"{NAMES[family]} says {one.verdict}" for family, one in sorted(good.items()))
        return replace(whole, verdict=Verdict.UNKNOWN, reason=Reason.UNKNOWN_MODE, detail=f"{told}: they lead to different servers")
    return whole


def _speaker(results: dict[int, ProbeResult]) -> ProbeResult:
    """Whose reason is told: a reply proves more than silence (SEMANTICS section 4), and IPv4 is asked first."""
    return min(results.items(), key=lambda item: (item[1].reason in SILENT, item[0]))[1]
