"""A notice as people read it: one line for a subject or a syslog line, and a page of plain text for a mail."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from lbctl.notifiers.base import Notice, Severity

SIGN = {Severity.PAGE: "PAGE", Severity.TICKET: "ticket", Severity.INFO: "info"}
EVIDENCE_MAX = 40
"""Lines of evidence in a mail; the journal has all of it."""


def stamp(at: float) -> str:
    """UTC, RFC 3339, to the millisecond."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def subject(notice: Notice) -> str:
    """`[lbctl PAGE] core: traffic moved from core-a to core-b`: service first, so that a phone's lock screen shows it."""
    where = f"{notice.service}: " if notice.service else ""
    return f"[lbctl {SIGN[Severity(notice.severity)]}] {where}{notice.what}"


def body(notice: Notice) -> str:
    """What, why, evidence, what to do, how to undo; in this order, because it is read in this order."""
    parts = [notice.what, f"When      {stamp(notice.at)}", f"Service   {notice.service or '-'}", "", f"Why       {notice.why}"]
    if notice.evidence:
        parts += ["", "Evidence"] + [f"  {line}" for line in evidence_lines(notice.evidence)]
    if notice.do:
        parts += ["", f"Do        {notice.do}"]
    if notice.undo:
        parts += ["", f"Undo      {notice.undo}"]
    if notice.runbook:
        parts += ["", f"Runbook   {notice.runbook}"]
    return "\n".join([*parts, "", f"-- lbctl, notice {notice.key} ({notice.kind})", ""])


def evidence_lines(evidence: Mapping[str, Any]) -> list[str]:
    """`name: value` lines, cut to `EVIDENCE_MAX`, with the cut said."""
    lines = [f"{name}: {value if isinstance(value, str) else json.dumps(value, default=str)}" for name, value in evidence.items()]
    return lines if len(lines) <= EVIDENCE_MAX else [*lines[: EVIDENCE_MAX - 1], f"... and {len(lines) - EVIDENCE_MAX + 1} more in the journal"]


def as_dict(notice: Notice) -> dict[str, Any]:
    """What machines get: the notice's own fields, the time also readable, and one line of text."""
    return {
        "key": notice.key, "service": notice.service, "kind": notice.kind, "severity": str(notice.severity), "at": stamp(notice.at),
        "what": notice.what, "why": notice.why, "evidence": dict(notice.evidence), "do": notice.do, "undo": notice.undo,
        "ends": notice.ends, "runbook": notice.runbook, "text": subject(notice),
    }
