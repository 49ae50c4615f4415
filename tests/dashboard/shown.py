"""Services as the API shows them, in the states that matter at night. Every object is checked against the API's own model."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

from lbctl.api.advice import helpful
from lbctl.api.models import Looks, Readiness, ServiceObject, UpgradeShown
from lbctl.policy.gate import NAMES, ROLE_ROWS, WAIVED


def at(seconds: float = 0.0) -> str:
    """A moment so many seconds from now, as the API writes it."""
    moment = datetime.now(UTC) + timedelta(seconds=seconds)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def monitor(verdict: str, reason: str = "ok", duration_s: float = 0.021, **more: Any) -> dict[str, Any]:
    return {
        "verdict": verdict,
        "reason": reason,
        "health": "down" if verdict == "failed" else "up",
        "since": at(-4000),
        "looked": at(-1.2),
        "age_s": 1.2,
        "duration_s": duration_s,
        "detail": "",
        "void": None,
        "failed_in_a_row": 0,
        "down_since": None,
        **more,
    }


def member(name: str, role: str, verdict: str, status: dict[str, Any], hastatus: dict[str, Any], **more: Any) -> dict[str, Any]:
    active = more.get("active", False)
    return {
        "name": name,
        "role": role,
        "active": active,
        "health": "down" if verdict == "failed" else "up",
        "promoted": active,
        "latched": False,
        "needs_resync": False,
        "verdict": verdict,
        "reason": "ok",
        "since": at(-86400 * 3),
        "detail": "",
        "decisive": "status" if active else "hastatus",
        "address": {"": ["192.0.2.10" if name.endswith("a") else "198.51.100.10"]},
        "site": "dc1" if name.endswith("a") else "dc2",
        "syncs_from": None if role == "primary" else "core-a",
        "approval": "auto",
        "synced_at": at(-1500) if role != "primary" else None,
        "sync_age_s": 1500,
        "clock_skew_s": 0.2,
        "certificate_ends": at(86400 * 71),
        "monitors": {"status": status, "hastatus": hastatus},
        **more,
    }


def gate(name: str, **failing: tuple[str, str]) -> dict[str, Any]:
    """A candidate's rows; those named (underscores for hyphens) fail with (evidence, opens)."""
    wrong = {rule.replace("_", "-"): told for rule, told in failing.items()}
    rows = [
        {"rule": rule, "holds": rule not in wrong, "evidence": wrong.get(rule, ("as it should be", ""))[0], "opens": wrong.get(rule, ("", ""))[1]}
        for rule in NAMES
    ]
    return {"member": name, "open": not wrong, "rules": rows}


UP = {
    "active_down": ("core-a status: OK, up", "the active member fails for good: `fall` looks in a row and not one good look for `min_outage`"),
    "candidate_confirmed": ("nothing to confirm yet", "a look at the candidate that started after the active was proven down is good"),
}


def normal(name: str = "core") -> dict[str, Any]:
    return {
        "name": name,
        "kind": "failover",
        "monitor": "core",
        "state": "normal",
        "conditions": ["normal"],
        "reason": "core-a has the traffic and serves",
        "primary": "core-a",
        "active": "core-a",
        "answering": ["core-a"],
        "epoch": 7,
        "revision": 41,
        "resume_pending": False,
        "promoted": True,
        "automation": "on",
        "held": None,
        "locked_out_until": None,
        "moved_at": at(-86400 * 12),
        "incident": None,
        "approvals": [],
        "maintenance": {"on": False, "by": None, "reason": None, "since": None, "until": None},
        "run": None,
        "uninitialised": None,
        "roles_differ_from_file": False,
        "unsaved": None,
        "blocked_by": ["active-down", "candidate-confirmed"],
        "gate": [gate("core-b", **UP)],
        "alerts": [],
        "members": [
            member("core-a", "primary", "ok", monitor("ok"), monitor("primary", duration_s=0.018), active=True),
            member("core-b", "secondary", "standby", monitor("failed", "status", 0.009, detail="HTTP 503"), monitor("standby", duration_s=0.033)),
        ],
        "actuators": [
            {
                "id": "authoritative:core.gtm.example.com",
                "wanted": 7,
                "applied": 7,
                "verified": 7,
                "in_sync": True,
                "error": None,
                "error_reason": None,
                "shows": "core-a",
                "behind_since": None,
            }
        ],
    }


def failed_over(name: str = "core") -> dict[str, Any]:
    shown = normal(name)
    shown.update(
        {
            "state": "failed-over",
            "conditions": ["failed-over"],
            "reason": "traffic stays on core-b: it stands in for the primary core-a",
            "active": "core-b",
            "answering": ["core-b"],
            "epoch": 8,
            "revision": 44,
            "resume_pending": True,
            "moved_at": at(-840),
            "locked_out_until": at(960),
            "alerts": [
                {"kind": "NoEligibleStandby", "member": None, "text": "no member could take over now"},
                {
                    "kind": "OldPrimaryReturned",
                    "member": "core-a",
                    "text": "core-a is back and still says Primary: clients with old answers may write there",
                },
            ],
            "members": [
                member("core-a", "primary", "primary", monitor("ok"), monitor("primary"), latched=True, needs_resync=True, since=at(-120)),
                member("core-b", "secondary", "ok", monitor("ok"), monitor("primary"), active=True, since=at(-700)),
            ],
            "gate": [
                gate(
                    "core-a",
                    active_down=("core-b status: OK, up", "the active member fails for good"),
                    candidate_standby=("core-a hastatus: OK (Mode: Primary), up", "the candidate's hastatus page says `Mode: Standby` steadily"),
                    not_latched=(
                        "core-a lost the traffic before and was not taken back",
                        "an operator's resume, or `lbctl ack SERVICE --member MEMBER`",
                    ),
                    re_synced=("core-a was active until 02:14:09Z, no sync since", "a sync from the active after its last write, or --attest-synced"),
                    not_locked_out=("locked out after an automatic failover, 960 s left", "`lbctl ack SERVICE --reason …`"),
                )
            ],
        }
    )
    shown["actuators"][0].update({"wanted": 8, "applied": 8, "verified": 8, "shows": "core-b"})
    return shown


def stranded(name: str = "core") -> dict[str, Any]:
    shown = normal(name)
    failing = monitor("failed", "timeout", 3.0, detail="no answer within 3 s", failed_in_a_row=9, down_since=at(-31))
    shown.update(
        {
            "state": "stranded",
            "conditions": ["stranded"],
            "revision": 43,
            "promoted": True,
            "reason": "traffic stays on core-a: core-b already says Primary, so the guide's gate cannot open (blocked by candidate-standby)",
            "approvals": [
                {
                    "id": "core-12",
                    "to": "core-b",
                    "asked": at(-20),
                    "expires": at(1780),
                    "incident": "core-i5",
                    "rules": ["candidate-standby"],
                    "reason": "core-a is down since 02:14:09Z and core-b promoted itself 12 s later",
                    "first_yes": None,
                }
            ],
            "blocked_by": ["candidate-standby"],
            "members": [
                member(
                    "core-a",
                    "primary",
                    "failed",
                    failing,
                    monitor("failed", "timeout", 3.0, detail="no answer within 3 s", failed_in_a_row=9),
                    active=True,
                    reason="timeout",
                    detail="no answer within 3 s",
                    since=at(-31),
                ),
                member("core-b", "secondary", "primary", monitor("ok"), monitor("primary"), since=at(-19)),
            ],
            "gate": [
                gate(
                    "core-b",
                    candidate_standby=("core-b hastatus: OK (Mode: Primary), up", "the candidate's hastatus page says `Mode: Standby` steadily"),
                )
            ],
            "alerts": [{"kind": "ApprovalPending", "member": "core-b", "text": "core-12: may traffic move to core-b? `lbctl approve core-12`"}],
        }
    )
    return shown


def maintenance(name: str = "core") -> dict[str, Any]:
    shown = normal(name)
    shown["maintenance"] = {"on": True, "by": "alice", "reason": "upgrade to 12.1, change 4711", "since": at(-3000), "until": at(4200)}
    shown["blocked_by"] = ["active-down", "candidate-confirmed", "not-in-maintenance"]
    shown["gate"] = [
        gate("core-b", **UP,
             not_in_maintenance=("maintenance by alice (upgrade to 12.1), ends in 4200 s", "`lbctl maintenance off core`, or its end"))
    ]
    return shown


def down(name: str = "core") -> dict[str, Any]:
    shown = stranded(name)
    shown.update(
        {
            "state": "down",
            "conditions": ["down", "partial"],
            "approvals": [],
            "alerts": [],
            "blocked_by": ["re-synced"],
            "reason": "traffic stays on core-a: core-a is down and nobody may take over (blocked by re-synced)",
        }
    )
    shown["members"][1] = member(
        "core-b", "secondary", "standby", monitor("failed", "status", detail="HTTP 503"), monitor("standby"), needs_resync=True
    )
    shown["gate"] = [gate("core-b", re_synced=("core-b was active until yesterday, no sync since", "a sync from the active, or --attest-synced"))]
    shown["actuators"].append(
        {
            "id": "rfc2136:core.example.com",
            "wanted": 7,
            "applied": 6,
            "verified": 6,
            "in_sync": False,
            "behind_since": at(-95),
            "error": "192.0.2.53: BADKEY, the server does not know the key lbctl.",
            "error_reason": "badkey",
            "shows": "core-b",
        }
    )
    return shown


def pool(name: str = "sentry") -> dict[str, Any]:
    shown = normal(name)
    shown.update(
        {
            "kind": "pool",
            "monitor": "tcp",
            "gate": [],
            "blocked_by": [],
            "active": "sentry-a",
            "primary": "sentry-a",
            "answering": ["sentry-a", "sentry-b"],
            "reason": "sentry-a has the traffic and serves",
        }
    )
    for index, letter in enumerate("ab"):
        one = copy.deepcopy(shown["members"][0])
        one.update(
            {
                "name": f"sentry-{letter}",
                "role": "primary" if not index else "secondary",
                "active": True,
                "monitors": {"tcp": monitor("ok", duration_s=0.004)},
                "decisive": "tcp",
            }
        )
        shown["members"][index] = one
    return shown


def unpromoted(name: str = "core") -> dict[str, Any]:
    """Moved, and nobody is Primary: every figure is green and no client is served."""
    shown = failed_over(name)
    shown["alerts"] = shown["alerts"][:1]
    shown["promoted"] = False
    shown["members"] = [
        member("core-a", "primary", "failed", monitor("failed", "refused", detail="connection refused"), monitor("failed", "refused"), latched=True,
               needs_resync=True, reason="refused", detail="connection refused", since=at(-50)),
        member("core-b", "secondary", "standby", monitor("failed", "status", detail="status 503"), monitor("standby"), active=True, since=at(-700),
               promoted=False, decisive="hastatus"),
    ]
    return shown


def all_down(name: str = "core") -> dict[str, Any]:
    shown = down(name)
    why = "traffic stays on core-a: no member answers (blocked by candidate-standby)"
    shown.update({"state": "all-down", "conditions": ["all-down"], "reason": why})
    shown["members"][1] = member("core-b", "secondary", "failed", monitor("failed", "timeout"), monitor("failed", "timeout"), reason="timeout",
                                 detail="no answer within 3 s", since=at(-64))
    shown["actuators"] = normal()["actuators"]
    return shown


def partial(name: str = "core") -> dict[str, Any]:
    shown = normal(name)
    why = "traffic stays on core-a: an actuator does not yet show what is wanted"
    shown.update({"state": "partial", "conditions": ["partial"], "reason": why})
    shown["actuators"] = [*shown["actuators"], down(name)["actuators"][1]]
    return shown


def uninitialised(name: str = "core") -> dict[str, Any]:
    shown = normal(name)
    why = "authoritative:core.gtm.example.com shows nothing and there is no memory"
    shown.update({"state": "uninitialised", "conditions": ["uninitialised"], "active": None, "answering": [], "moved_at": None, "uninitialised": why,
                  "reason": f"the active member is not known: {why}", "epoch": 0, "gate": []})
    shown["actuators"][0].update({"wanted": 0, "applied": 0, "verified": 0, "shows": "nothing"})
    return shown


def draining(name: str = "core") -> dict[str, Any]:
    shown = normal(name)
    shown["drain"] = {"verb": "switchover", "target": "core-b", "by": "alice", "began": at(-12), "until": at(18)}
    return shown


def running(name: str = "core", **more: Any) -> dict[str, Any]:
    """A driven return; the third step is under way unless said otherwise."""
    shown = failed_over(name)
    shown["run"] = {
        "id": "core-r3", "kind": "resume", "step": "last-sync", "by": "alice", "reason": "back home", "began": at(-40), "source": "core-b",
        "target": "core-a", "doing": "demote", "failed": None, "undoing": False, "notes": {"last-sync": "Success, 512 rows"}, **more,
    }
    return shown


def suspect(name: str = "core") -> dict[str, Any]:
    """The seconds before a decision: the active fails, `min_outage` is not over, and the state says `normal`."""
    shown = normal(name)
    failed = monitor("failed", "refused", detail="connection refused", failed_in_a_row=7, down_since=at(-6))
    shown["reason"] = "core-a has the traffic; core-a fails, which is not proven for good yet"
    shown["members"][0] = member("core-a", "primary", "failed", failed, failed, active=True, reason="refused", detail="connection refused",
                                 since=at(-6))
    seen = "core-a status: refused (connection refused), down, failing for 6.3 s, 7 looks in a row, outage not proven (20 s needed)"
    shown["gate"] = [gate("core-b", active_down=(seen, UP["active_down"][1]))]
    return shown


STORIES = {
    "normal": normal, "suspect": suspect, "failed-over": failed_over, "stranded": stranded, "maintenance": maintenance, "down": down, "pool": pool,
    "unpromoted": unpromoted, "all-down": all_down, "partial": partial, "uninitialised": uninitialised, "draining": draining, "running": running,
}

EXPLAINED: dict[str, dict[str, Any]] = {
    "normal": {"if_active_failed": {"moves_to": "core-b", "text": "traffic would move to core-b"}, "resume": None},
    "failed-over": {
        "if_active_failed": {
            "moves_to": None,
            "blocked_by": ["candidate-standby", "not-latched"],
            "text": "traffic would stay: core-a is stopped by candidate-standby, not-latched",
        },
        "resume": {
            "open": False,
            "driven": True,
            "rule": "active-standby",
            "evidence": "core-b status: OK, core-b hastatus: OK (Mode: Primary)",
            "opens": "`failover mode secondary` on core-b, after core-a is synced from it",
        },
    },
    "stranded": {
        "if_active_failed": {
            "moves_to": "core-b",
            "asks": ["candidate-standby"],
            "text": "an approval would be asked for core-b (candidate-standby)",
        },
        "resume": None,
    },
    "maintenance": {
        "if_active_failed": {
            "moves_to": None,
            "blocked_by": ["not-in-maintenance"],
            "text": "traffic would stay: core-b is stopped by not-in-maintenance",
        },
        "resume": None,
    },
    "down": {
        "if_active_failed": {"moves_to": None, "blocked_by": ["re-synced"], "text": "traffic would stay: core-b is stopped by re-synced"},
        "resume": None,
    },
    "pool": {"if_active_failed": {"moves_to": None, "text": "the answer follows the members' health"}, "resume": None},
}


LIKE = {"suspect": "normal", "unpromoted": "failed-over", "all-down": "down", "partial": "normal", "draining": "normal", "running": "failed-over"}


def explained(shown: dict[str, Any], story: str) -> dict[str, Any]:
    """`explain`, with what each candidate lacks for a person's move as the gate of that moment says it."""
    base = EXPLAINED.get(LIKE.get(story, story), {"if_active_failed": None, "resume": None})
    candidates = []
    for candidate in shown["gate"]:
        rows = [row for row in candidate["rules"] if not row["holds"] and row["rule"] not in WAIVED]
        if story == "stranded":  # who alone claims Primary while the active is down counts as a Standby for a person's move
            rows = [row for row in rows if row["rule"] not in ROLE_ROWS]
        switch = [row for row in rows if row["rule"] not in ("active-down", "quorum")]
        candidates.append({**candidate, "for_failover": rows, "for_switchover": switch})
    made = {"service": shown["name"], **base, "candidates": candidates}
    return {**made, **helpful(shown, made)}


CELLS = 60


def looks(shown: dict[str, Any], told: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Twenty minutes of each page: what its monitor says now, all the time, unless `told` has columns for "member page"."""
    members = {}
    for one in shown["members"]:
        pages = {}
        for page, monitor_ in one["monitors"].items():
            good = monitor_["verdict"] not in ("failed", "unknown")
            took = [monitor_["duration_s"] if good else None] * CELLS
            pages[page] = {
                "fastest_s": took, "slowest_s": took, "good": [4 if good else 0] * CELLS, "failed": [0 if good else 4] * CELLS,
                "verdict": [monitor_["verdict"]] * CELLS, "reason": [monitor_["reason"]] * CELLS, **told.get(f"{one['name']} {page}", {}),
            }
        members[one["name"]] = pages
    made = {"service": shown["name"], "cell_s": 20.0, "until": at(8), "members": members}
    Looks.model_validate(made)
    return made


def events(name: str = "core") -> list[dict[str, Any]]:
    """A night's journal, oldest first."""
    lines: list[tuple[float, str, str, str, dict[str, Any]]] = [
        (
            -90000,
            "command",
            "MaintenanceOn: maintenance of core until 22:00",
            "alice",
            {"command": {"verb": "MaintenanceOn", "reason": "kernel"}, "code": 0, "rule": "", "evidence": {}},
        ),
        (-86500, "maintenance-ended", "maintenance of core ended (it was switched off); re-arming after 3 clean rounds", "alice", {}),
        (-86400, "armed", "core is armed: 3 clean rounds", "lbctl", {}),
        (
            -875,
            "look",
            "core-a status: failed (timeout): no answer within 3 s",
            "",
            {"member": "core-a", "page": "status", "verdict": "failed", "reason": "timeout"},
        ),
        (-841, "down", "core is down", "", {"page": True}),
        (
            -840,
            "moved",
            "failover: traffic of core moves from core-a to core-b: core-a failed 9 looks in a row for 31 s, core-b says Standby",
            "lbctl",
            {"page": True, "member": "core-b", "evidence": {"source": "core-a", "trigger": "auto", "epoch": 8}},
        ),
        (
            -839.8,
            "verified",
            "core-b is seen everywhere, 0.2 s after the decision",
            "lbctl",
            {"member": "core-b", "evidence": {"seconds": 0.2, "epoch": 8}},
        ),
        (-839, "down-over", "over: down", "", {}),
        (-700, "promoted", "core-b answers as Primary and serves", "lbctl", {"member": "core-b"}),
        (
            -120,
            "OldPrimaryReturned",
            "core-a is back and still says Primary: clients with old answers may write there",
            "",
            {"page": True, "member": "core-a"},
        ),
        (
            -60,
            "command",
            "Resume: core-b is not a Standby",
            "bob",
            {"command": {"verb": "Resume", "reason": "back home"}, "code": 3, "rule": "active-standby", "evidence": {"core-b": "Primary"}},
        ),
    ]
    return [
        {"seq": seq, "at": at(when), "service": name, "kind": kind, "text": text, "by": by, "epoch": 8, "revision": 40 + seq, "data": data}
        for seq, (when, kind, text, by, data) in enumerate(lines, 1)
    ]


READINESS: dict[str, Any] = {
    "service": "core",
    "ready": True,
    "kept": 2,
    "of": 4,
    "practices": [
        {"practice": "versions-equal", "text": "…", "holds": "yes", "evidence": "both 11.3.0.0", "advice": "", "urgent": False},
        {"practice": "sync-interval", "text": "…", "holds": "no", "evidence": "every 30 minutes", "advice": "not under 60 minutes", "urgent": False},
        {"practice": "clocks-equal", "text": "…", "holds": "yes", "evidence": "0.2 s apart", "advice": "", "urgent": False},
        {"practice": "fail-over-controls", "text": "…", "holds": "unknown", "evidence": "no hand on it", "advice": "give it one", "urgent": False},
    ],
}


UPGRADE: dict[str, Any] = {
    "service": "core",
    "open": True,
    "by": "alice",
    "next": "4",
    "steps": [
        {
            "step": str(number),
            "name": f"step-{number}",
            "text": f"text of step {number}",
            "done": number < 4,
            "evidence": None,
            "todo": "",
            "missing": "Last Sync Status is Started, not Completed" if number == 4 else None,
        }
        for number in range(1, 10)
    ],
}


GLANCE = ("name", "kind", "state", "conditions", "primary", "active", "answering", "epoch", "revision", "resume_pending", "automation", "held",
          "locked_out_until", "approvals", "maintenance", "alerts")
AT_A_GLANCE = ("name", "role", "active", "health", "verdict", "reason", "since", "latched", "needs_resync")


def brief(shown: dict[str, Any]) -> dict[str, Any]:
    """What `?brief=true` leaves of a service (`policy.view.brief`)."""
    members = [{key: member[key] for key in AT_A_GLANCE} for member in shown["members"]]
    actuators = [{"id": item["id"], "in_sync": item["in_sync"]} for item in shown["actuators"]]
    return {**{key: shown[key] for key in GLANCE}, "members": members, "actuators": actuators}


def checked(shown: dict[str, Any]) -> dict[str, Any]:
    """The same, after the API's model has found nothing wrong with it."""
    ServiceObject.model_validate(shown)
    Readiness.model_validate(READINESS)
    UpgradeShown.model_validate(UPGRADE)
    return shown
