"""The ways to tell people, in a plain dictionary: the configuration's key -> its settings and its maker. A new way is a file and a row here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from lbctl.clock import Clock
from lbctl.notifiers import email, snmp, syslog, url, webhook
from lbctl.notifiers.base import Kind, Notifier

NOTIFIERS: dict[str, Kind] = {
    "email": Kind(email.Settings, email.Email),
    "snmp": Kind(snmp.Settings, snmp.Snmp),
    "syslog": Kind(syslog.Settings, syslog.Syslog),
    "url": Kind(url.Settings, url.make, scalar=True),
    "webhook": Kind(webhook.Settings, webhook.Webhook),
}


def build(entries: Iterable[tuple[str, Any]], clock: Clock) -> list[Notifier]:
    """Makes each way from (kind, settings), in order; a second one of the same id gets `#2`, so that each has a line of its own in the log."""
    built: list[Notifier] = []
    seen: Counter[str] = Counter()
    for kind, settings in entries:
        notifier = NOTIFIERS[kind].make(settings, clock)
        seen[notifier.id] += 1
        if seen[notifier.id] > 1:
            notifier.id = f"{notifier.id}#{seen[notifier.id]}"
        built.append(notifier)
    return built
