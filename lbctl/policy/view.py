"""The service object of the contract (section 4) and more: everything a face may show, as plain JSON values. Times are UTC texts ending in Z."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from lbctl.model.looks import Verdict
from lbctl.model.settings import Role
from lbctl.model.state import ActuatorSight, PageSight
from lbctl.policy import families, gate
from lbctl.policy.case import CLIENT, Case
from lbctl.policy.conditions import alerts, conditions
from lbctl.policy.explain import blocked_by, reason_now


def stamp(seconds: float | None) -> str | None:
    """Steady seconds as a UTC text; None stays None."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def brief(case: Case) -> dict[str, Any]:
    """What an overview needs: the same words as `view`, without what costs time where there are thousands."""
    saved, held = case.saved, conditions(case)
    return {
        "name": case.settings.name,
        "kind": case.settings.kind,
        "state": held[0],
        "conditions": list(held),
        "primary": saved.primary,
        "active": saved.active,
        "answering": list(case.answering),
        "epoch": saved.epoch,
        "revision": case.state.revision,
        "resume_pending": saved.primary in saved.latched and saved.active not in (None, saved.primary),
        "automation": "observe" if case.settings.observe else "on",
        "held": None if saved.hold is None else {"by": saved.hold.by, "reason": saved.hold.reason, "since": stamp(saved.hold.since)},
        "locked_out_until": stamp(saved.lockout_until),
        "approvals": _approvals(case),
        "maintenance": _maintenance(case),
        "alerts": [{"kind": kind, "member": member or None, "text": text} for kind, member, text in alerts(case)],
        "members": [_glance(case, name) for name in case.settings.names],
        "actuators": [{"id": name, "in_sync": _in_sync(case, item)} for name, item in case.state.actuators.items()],
    }


def _glance(case: Case, name: str) -> dict[str, Any]:
    judged = case.judged(name)
    last = judged.last
    return {
        "name": name,
        "role": str(Role.PRIMARY if name == case.saved.primary else Role.SECONDARY),
        "active": name in case.answering,
        "health": str(judged.health),
        "verdict": str(last.verdict if last is not None else Verdict.UNKNOWN),
        "reason": str(last.reason) if last is not None else "unknown",
        "since": stamp(judged.since),
        "latched": name in case.saved.latched,
        "needs_resync": name in case.saved.needs_resync,
    }


def view(case: Case) -> dict[str, Any]:
    """One service as everybody sees it."""
    saved = case.saved
    return {
        **brief(case),
        "monitor": case.settings.monitor.name,
        "reason": reason_now(case),
        "promoted": case.state.promoted,
        "moved_at": stamp(saved.moved_at),
        "incident": None if saved.incident is None else {"id": saved.incident.id, "began": stamp(saved.incident.began)},
        "run": _run(case),
        "drain": _drain(case),
        "uninitialised": case.state.uninitialised or None,
        "roles_differ_from_file": case.settings.primary != saved.primary,
        "unsaved": case.state.unsaved or None,
        "blocked_by": blocked_by(case),
        # A pool has no candidates: its answer follows health and not the gate.
        "gate": [] if case.settings.kind == "pool" else [_gate(case, name) for name in case.others()],
        "members": [_member(case, name) for name in case.settings.names],
        "actuators": _actuators(case),
    }


def _approvals(case: Case) -> list[dict[str, Any]]:
    return [
        {
            "id": a.id,
            "to": a.to,
            "asked": stamp(a.asked),
            "expires": stamp(a.expires),
            "incident": a.incident,
            "rules": list(a.rules),
            "reason": a.reason,
            "first_yes": a.first_yes or None,
        }
        for a in case.saved.approvals
        if not a.denied
    ]


def _maintenance(case: Case) -> dict[str, Any]:
    span = case.saved.maintenance
    if span is None:
        return {"on": False, "by": None, "reason": None, "since": None, "until": None}
    return {"on": case.in_maintenance(), "by": span.by, "reason": span.reason, "since": stamp(span.since), "until": stamp(span.until)}


def _drain(case: Case) -> dict[str, Any] | None:
    drain = case.saved.drain
    if drain is None:
        return None
    return {"verb": drain.verb, "target": drain.target, "by": drain.by, "began": stamp(drain.began), "until": stamp(drain.until)}


def _run(case: Case) -> dict[str, Any] | None:
    run = case.saved.run
    if run is None:
        return None
    return {
        "id": run.id,
        "kind": run.kind,
        "step": run.step,
        "by": run.by,
        "reason": run.reason,
        "began": stamp(run.began),
        "source": run.source,
        "target": run.target,
        "doing": run.doing or None,
        "failed": run.failed or None,
        "undoing": run.undoing,
        "notes": dict(run.notes),
    }


def _gate(case: Case, name: str) -> dict[str, Any]:
    rows = gate.rows(case, name)
    listed = [{"rule": row.rule, "holds": row.holds, "evidence": row.evidence, "opens": row.opens} for row in rows]
    return {"member": name, "open": all(row.holds for row in rows), "rules": listed}


def _member(case: Case, name: str) -> dict[str, Any]:
    saved, sight, last = case.saved, case.sight(name), case.judged(name).last
    skew = next((p.last.skew_s for p in sight.pages.values() if p.last is not None and p.last.skew_s is not None), None)
    ends = next((p.last.not_after for p in sight.pages.values() if p.last is not None and p.last.not_after is not None), None)
    return {
        **_glance(case, name),
        # Without modes there is nothing to become (SEMANTICS 1).
        "promoted": not case.modes or (name == saved.active and case.state.promoted),
        "detail": last.detail if last is not None else "no look yet",
        "decisive": case.decisive(name),
        "address": {view: list(texts) for view, texts in case.member(name).address.items()},
        "site": case.member(name).site,
        "syncs_from": case.syncs_from(name),
        "approval": "manual" if case.member(name).manual_approval else "auto",
        "synced_at": stamp(sight.sync_completed),
        "sync_age_s": None if sight.sync_started is None else round(case.now - sight.sync_started, 1),
        "version": case.state.versions.get(name),
        "clock_skew_s": skew,
        "certificate_ends": stamp(ends),
        "families": _families(case, name),
        "paths": {way: _way(sight) for way, sight in case.judged(name).ways if way in ("direct", CLIENT)},
        "monitors": {page: _monitor(case, name, page) for page in case.settings.monitor.pages},
    }


def _families(case: Case, name: str) -> dict[str, Any]:
    """By address family, where each is looked at by itself (H22): is the path well, and are clients told of it."""
    ways = [(way, sight) for way, sight in case.judged(name).ways if way in families.NAMES]
    return {f"ipv{way}": {**_way(sight), "withheld": f"{name}/{way}" in case.saved.withheld} for way, sight in ways}


def _way(sight: PageSight) -> dict[str, Any]:
    return {
        "health": str(sight.health),
        "reason": str(sight.last.reason) if sight.last is not None else "unknown",
        "detail": sight.last.detail if sight.last is not None else "no look yet",
        "since": stamp(sight.since),
    }


def _monitor(case: Case, name: str, page: str) -> dict[str, Any]:
    sight = case.page(name, page)
    last = sight.last
    return {
        "verdict": str(last.verdict) if last is not None else "unknown",
        "reason": str(last.reason) if last is not None else "unknown",
        "health": str(sight.health),
        "since": stamp(sight.since),
        # Beside the verdict, so that a reader can tell an old one from a new one without knowing the interval.
        "looked": stamp(last.ended) if last is not None else None,
        "age_s": None if last is None else round(max(case.now - last.ended, 0.0), 3),
        "duration_s": None if last is None else round(last.ended - last.started, 6),
        "detail": last.detail if last is not None else "no look yet",
        "void": sight.voided or None,
        "failed_in_a_row": sight.bad_run,
        "down_since": stamp(sight.first_bad),
    }


def _in_sync(case: Case, item: ActuatorSight) -> bool:
    return item.verified == case.saved.epoch and not item.drift


def _actuators(case: Case) -> list[dict[str, Any]]:
    wanted = case.saved.epoch
    return [
        {
            "id": name,
            "wanted": wanted,
            "applied": item.applied,
            "verified": item.verified,
            "in_sync": _in_sync(case, item),
            "error": item.error or item.drift or None,
            "error_reason": item.error_reason or None,
            "shows": case.state.shown.get(name),
            "behind_since": stamp(item.since),
        }
        for name, item in case.state.actuators.items()
    ]
