"""The nine steps of the guide (page 24), each a row. PURE: a step is done when the Cores say so.

While a run is open the service is in maintenance and held, so that a standby that says Primary (step 4) or a Core that is down moves nothing.
Three members go DR, Secondary, Primary: whoever is farthest from the traffic first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lbctl.model.state import Run
from lbctl.readiness.facts import Audit, Holds
from lbctl.readiness.practices import PRACTICES


@dataclass(frozen=True, slots=True)
class Walk:
    """An open run and what is known now. `before`: each Core's version when the run began; `at`: when each step was done."""

    run: Run
    audit: Audit

    def before(self, name: str) -> str:
        return self.run.notes.get(f"version.{name}", "")

    def done_at(self, step: str) -> float | None:
        text = self.run.notes.get(f"{step}.at")
        return float(text) if text else None

    def silent(self, *names: str) -> str:
        """Nothing is taken for done while a Core cannot be asked."""
        return self.audit.silence(*names)

    @property
    def standbys(self) -> list[str]:
        """Farthest from the traffic first."""
        return list(reversed(self.audit.standbys()))

    @property
    def primary(self) -> str:
        return self.audit.case.saved.primary


@dataclass(frozen=True, slots=True)
class UpgradeRow:
    """One step. `missing` says what is not yet so ("" when it is done), `seen` what it rests on; `command` is the hand's part on the standbys."""

    number: str
    name: str
    text: str
    todo: str
    missing: Callable[[Walk], str]
    seen: Callable[[Walk], str]
    command: str = ""


def _each(walk: Walk, names: list[str], wrong: Callable[[str], str]) -> str:
    silent = walk.silent(*names)
    return silent or "; ".join(text for name in names if (text := wrong(name)))


def _ha(walk: Walk, wanted: bool) -> str:
    word = "disabled" if wanted else "enabled"
    return _each(walk, walk.standbys, lambda n: "" if walk.audit.cores[n].ha_enabled is wanted else f"HA is still {word} on {n}")


def _sync_done(walk: Walk) -> str:
    def wrong(name: str) -> str:
        runs = walk.audit.cores[name].runs
        last = runs[0] if runs else None
        if last is None:
            return f"{name} has never synced"
        if last["result"] != "Success" or last["completed"] is None:
            return f"Last Sync Status of {name}: Completed {'yes' if last['completed'] else 'no'}, Result {last['result']}"
        return ""

    return _each(walk, walk.standbys, wrong)


def _last_syncs(walk: Walk) -> str:
    return "; ".join(f"{n}: {walk.audit.cores[n].runs[0]['result']}" for n in walk.standbys if walk.audit.cores[n].runs)


def _maintained(walk: Walk) -> str:
    return "" if walk.audit.case.in_maintenance() else "lbctl is not in maintenance: `lbctl maintenance on`"


def _standbys_upgraded(walk: Walk) -> str:
    def wrong(name: str) -> str:
        core = walk.audit.cores[name]
        if core.version == walk.before(name):
            return f"{name} still runs {core.version}"
        if core.mode != "Secondary" or core.state != "Standby":
            return f"{name} runs {core.version}, but is {core.mode}/{core.state}: `failover mode secondary`"
        return ""

    found = _each(walk, walk.standbys, wrong)
    versions = {walk.audit.cores[n].version for n in walk.standbys} if not found else set()
    return found or (f"the standbys run different versions: {', '.join(sorted(versions))}" if len(versions) > 1 else "")


def _versions(walk: Walk) -> str:
    return ", ".join(f"{name} {core.version}" for name, core in sorted(walk.audit.cores.items()))


def _primary_upgraded(walk: Walk) -> str:
    name = walk.primary
    silent = walk.silent(name, *walk.standbys)
    if silent:
        return silent
    core, wanted = walk.audit.cores[name], walk.audit.cores[walk.standbys[0]].version
    if core.version != wanted:
        return f"{name} runs {core.version}, the standby {wanted}"
    case = walk.audit.case
    return "" if case.serves(name) and case.primary(name) else f"{name} does not yet serve as Primary by both status pages"


def _tested(walk: Walk) -> str:
    """Step 7 of the set-up, as far as it can be read: a sync since HA was enabled again, and everybody in his place."""
    since = walk.done_at("6")

    def wrong(name: str) -> str:
        runs = [r for r in walk.audit.cores[name].runs if r["result"] == "Success" and (since is None or r["started"] > since)]
        if not runs:
            return f"no sync of {name} has succeeded since HA was enabled again: Run Sync Now"
        return "" if walk.audit.case.standby(name) else f"{name} does not say Mode: Standby"

    return _each(walk, walk.standbys, wrong)


def _reviewed(walk: Walk) -> str:
    """StartTime and Run Every: by the rows of the readiness audit."""
    wanted = {"next-sync-known", "interval-an-hour"}
    found = {p.name: p.check(walk.audit) for p in PRACTICES if p.name in wanted}
    return "; ".join(f"{name}: {row.evidence}" for name, row in found.items() if row.holds is not Holds.YES)


STEPS: tuple[UpgradeRow, ...] = (
    UpgradeRow("1", "disable-ha", "Disable HA on the Secondary Core", "HA Configuration > High Availability > Disable, Save and Apply",
               lambda w: _ha(w, False),
               lambda w: "HA is disabled on every standby", "high-availability disable"),
    UpgradeRow("2", "sync-completed", "Let a running replication complete", "wait; Last Sync Status must show Completed and Success",
               _sync_done, _last_syncs),
    UpgradeRow("3", "load-balancer-off", "Keep the load balancer from failing over", "`lbctl upgrade SERVICE start` has put it into maintenance",
               _maintained, lambda w: "lbctl is in maintenance"),
    UpgradeRow("4", "upgrade-secondary", "Upgrade the Secondary and validate",
               "make it Primary to download, upgrade it, make it Secondary again; DR first",
               _standbys_upgraded, _versions),
    UpgradeRow("5", "upgrade-primary", "Upgrade the Primary and validate", "upgrade it; clients wait meanwhile",
               _primary_upgraded, _versions),
    UpgradeRow("6", "enable-ha", "Enable HA on the Secondary", "HA Configuration > High Availability > Enable, Save and Apply",
               lambda w: _ha(w, True),
               lambda w: "HA is enabled on every standby", "high-availability enable"),
    UpgradeRow("7", "test-and-validate", "Test and validate the HA environment", "Run Sync Now, compare device counts, read the HighAvailability log",
               _tested, lambda w: "a sync has succeeded since HA was enabled again"),
    UpgradeRow("8", "review-settings", "Review StartTime and Run Every", "HA Configuration > Secondary Configuration, Save and Apply",
               _reviewed, lambda w: "the next sync is due in time"),
    UpgradeRow("9", "re-enable", "Re-enable the load balancer", "`lbctl upgrade SERVICE next` ends maintenance, through re-arming",
               lambda w: "", lambda w: "maintenance ends, re-arming begins"),
)
"""In the guide's order; nothing is skipped."""


def step_after(done: str) -> UpgradeRow:
    """The step that is next after the one that was done last ("begin" before the first)."""
    numbers = [row.number for row in STEPS]
    return STEPS[numbers.index(done) + 1 if done in numbers else 0]
