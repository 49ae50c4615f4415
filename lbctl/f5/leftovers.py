"""What was not mapped, line by line, and why. A line that nobody has read is never lost silently."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from lbctl.f5.syntax import Statement


@dataclass(frozen=True, slots=True, order=True)
class Leftover:
    """Lines of the source, what stands there, why it has no place in lbctl's file, or what to look at in what became of it."""

    line: int
    last: int
    text: str
    why: str

    def __str__(self) -> str:
        lines = f"line {self.line}" if self.line == self.last else f"lines {self.line}-{self.last}"
        return f"{lines}: {self.text}: {self.why}"


OBJECTS: Mapping[str, str] = MappingProxyType({
    "topology": "lbctl does not steer by the client's place: every client gets the same member",
    "region": "lbctl does not steer by the client's place",
    "rule": "an iRule is a program; what it decides has to be written as services, pools and views",
    "global-settings": "settings of the BIG-IP itself",
    "prober-pool": "lbctl looks from where it runs",
    "link": "lbctl does not weigh links; a site that is cut is told by `sites.X.canaries`",
    "distributed-app": "services that share their fate: see `follows`",
    "path": "lbctl does not measure paths to resolvers", "ldns": "lbctl keeps nothing about resolvers",
    "persist": "an answer is the same for every client, so there is nothing to persist",
    "tunnels": "settings of the BIG-IP itself",
})
REASONS: tuple[tuple[str, str], ...] = (
    ("a pool that is down is answered with what it had", "alternate-mode failure-rcode failure-rcode-response failure-rcode-ttl"),
    ("lbctl never answers with an address that no member has", "fallback-mode fallback-ip fallback-ipv4 fallback-ipv6 last-resort-pool"),
    ("lbctl does not weigh members; for a failover service their order decides", "ratio dynamic-ratio"),
    ("every client gets the same answer, so there is nothing to persist", "persistence ttl-persistence persist-cidr-ipv4 persist-cidr-ipv6"),
    ("an iRule is a program; what it decides has to be written as services, pools and views", "rules"),
    ("lbctl uses the TLS settings of its host", "cipherlist compatibility ssl-profile"),
    ("a client certificate: set `tls.client_cert_file` (and `client_key_file`) on the members", "cert key"),
    ("lbctl's looks carry no password", "username password"),
    ("the member's own address and port are looked at", "destination"),
    ("looks are not marked", "ip-dscp"),
    ("see `probe.interval` and `probe.fast_interval`", "up-interval"),
    ("any answer that is not the expected one is a failure", "ignore-down-response"),
    ("a text that must not appear cannot be expected; see `expect.regex`", "reverse"),
    ("there is no third state beside up and down", "recv-disable"),
    ("lbctl looks at members, not through them", "transparent"),
    ("the deadline of a look is fixed", "adaptive"),
    ("lbctl does not limit", "limit-max-bps limit-max-bps-status limit-max-connections limit-max-connections-status limit-max-pps"),
    ("lbctl does not limit", "limit-max-pps-status"),
    ("services that share their fate: see `follows`", "depends-on"),
    ("lbctl does not ask the member's own balancer", "product server-type iquery-allow-path iquery-allow-service-check iquery-allow-snmp"),
    ("members are written down, not discovered", "virtual-server-discovery link-discovery"),
    ("lbctl looks from where it runs", "prober-pool prober-preference prober-fallback"),
    ("lbctl does not weigh links", "explicit-link-name"),
    ("a remark for people", "description metadata location contact"),
    ("lbctl has no partitions", "partition"),
    ("members that are down are never answered", "verify-member-availability"),
    ("a pool answers with all of its healthy members", "max-answers-returned"),
    ("lbctl does not steer by the client's place", "topology-prefer-edns0-client-subnet"),
    ("the embedded server's answers are minimal already", "minimal-response"),
    ("every decision is in `lbctl history` with its reason", "load-balancing-decision-log-verbosity"),
)
KEYS: Mapping[str, str] = MappingProxyType({key: why for why, keys in REASONS for key in keys.split()})


def unread(statements: Iterable[Statement]) -> Iterator[Leftover]:
    """Every statement that nobody has read, a block with all its lines as one."""
    for statement in statements:
        if not statement.used:
            yield Leftover(statement.line, statement.last, _short(statement.text), _why(statement.words))
        else:
            yield from unread(statement.block or ())


def remark(statement: Statement, why: str, text: str = "") -> Leftover:
    """Something read, but not taken as it stands."""
    return Leftover(statement.line, statement.line, _short(text or statement.text), why)


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 80 else text[:77] + "..."


def _why(words: tuple[str, ...]) -> str:
    if len(words) > 1 and words[0] == "gtm":
        return OBJECTS.get(words[1], "lbctl has nothing of this kind")
    if len(words) > 1 and words[0] in ("ltm", "net", "sys", "auth", "cm", "security", "apm"):
        return "not a part of GTM"
    first = words[0] if words else ""
    return "lbctl does not score members" if first.startswith("qos-") else KEYS.get(first, "lbctl has no such setting")
