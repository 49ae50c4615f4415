"""What the embedded server has counted, as rows for /metrics: family, labels, value.

Labels are fixed words and what the configuration names; what a client asks for never becomes one (H54). Every series is there from the first
scrape, so that `increase()` sees the first event.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from lbctl.dns import wire
from lbctl.dns.server import Server

Row = tuple[str, Mapping[str, str], float]
TRANSPORTS = ("udp", "tcp")
CODES = (*wire.RCODES.values(), "other")


def rows(server: Server) -> Iterator[Row]:
    """All of them, now."""
    counts = server.statistics()
    answers: Counter[tuple[str, str]] = Counter()
    for (transport, _, rcode), count in counts.answers.items():
        answers[transport, rcode] += count
    for transport in TRANSPORTS:
        for rcode in CODES:
            yield "lbctl_dns_answers_total", {"transport": transport, "rcode": rcode}, answers[transport, rcode]
    yield "lbctl_dns_limited_total", {"how": "dropped"}, counts.rate_dropped
    yield "lbctl_dns_limited_total", {"how": "truncated"}, counts.rate_truncated
    yield "lbctl_dns_malformed_total", {}, counts.malformed
    yield "lbctl_dns_unsent_total", {}, counts.unsent
    yield "lbctl_dns_tcp_connections", {}, counts.tcp_connections
    for zone in server.zones:
        name = zone.settings.name
        yield "lbctl_dns_serial", {"zone": name}, zone.serial
        for kind in ("whole", "difference"):
            yield "lbctl_dns_transfers_total", {"zone": name, "kind": kind}, counts.transfers.get((name, kind), 0)
        for secondary in zone.settings.also_notify:
            labels = {"zone": name, "secondary": str(secondary)}
            yield "lbctl_dns_notify_failures_total", labels, server.notifier.failures[name, secondary]
            yield "lbctl_dns_notify_unheard", labels, float(secondary in server.notifier.unheard)
