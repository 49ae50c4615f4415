"""Reading back what one name server says of a name: addresses of both families and the epoch beside them.

The epoch stands in `_lbctl.NAME TXT "epoch=N to=DIGEST"` (RFC 8552 underscore name), written with the addresses in one step by whoever
publishes.
An answer counts only where it is authoritative; a reply that says no (REFUSED, SERVFAIL) is an error of that place, not an empty answer.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import re
import struct
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from lbctl.clock import Clock
from lbctl.dns import wire
from lbctl.dns.client import Unanswered, ask
from lbctl.dns.settings import Endpoint
from lbctl.dns.wire import Reply

EPOCH_LABEL = "_lbctl"
LOWERED_S = 5.0
"""How long a lower TTL may take from the primary to the last secondary before that is an error."""


class Shown(NamedTuple):
    """What one server shows. `error_reason` "": the rest holds. `addresses` holds the target's name where the name is an alias; `mark` is the
    whole text beside it; `ttl_s` the longest of the name's records; `signed_until` the first end of a signature among the addresses (UTC seconds),
    None where there is none, or none was asked for."""

    addresses: frozenset[str]
    epoch: int | None
    mark: str = ""
    serial: int | None = None
    ttl_s: int | None = None
    signed_until: int | None = None
    error_reason: str = ""
    error: str = ""


def epoch_name(name: str) -> str:
    """Where the epoch of `name` stands."""
    return f"{EPOCH_LABEL}.{name}"


def mark_text(epoch: int, members: Iterable[str] = ()) -> str:
    """What stands there. `to` tells two decisions of one epoch apart without naming servers in public."""
    names = "\0".join(members)
    return f"epoch={epoch}" + (f" to={hashlib.sha256(names.encode()).hexdigest()[:12]}" if names else "")


def parse_mark(text: str) -> int | None:
    """The epoch in such a text; None where there is none."""
    match = re.fullmatch(r"epoch=(\d{1,18})( to=[0-9a-f]{12})?", text)
    return int(match[1]) if match else None


async def look(
    server: Endpoint, name: str, *, zone: str = "", timeout_s: float = 2.0, signed_at: float | None = None, signatures: bool = False
) -> Shown:
    """Asks one server for A, AAAA and the epoch of `name`, and for the serial of `zone` if one is given. Never raises for a server that is silent.

    `signatures`: asks for them too, as `signed_until`. `signed_at`: the addresses must carry signatures that hold at that moment (H51); else the
    error is `unsigned` or `expired`.
    """
    questions = [(wire.encode_name(name), wire.A), (wire.encode_name(name), wire.AAAA), (wire.encode_name(epoch_name(name)), wire.TXT)]
    if zone:
        questions.append((wire.encode_name(zone), wire.SOA))
    try:
        replies = await ask(server, questions, timeout_s=timeout_s, do=signatures or signed_at is not None)
    except Unanswered as error:
        return Shown(frozenset(), None, error_reason=error.reason, error=f"{server}: {error}")
    for reply in replies:
        if reason := _no(reply) or ("" if signed_at is None else _signature(reply, signed_at)):
            return Shown(frozenset(), None, error_reason=reason, error=f"{server} says {reason.upper()} for {name}")
    return Shown(
        addresses=addresses(replies[0]) | addresses(replies[1]),
        epoch=parse_mark(mark := _mark(replies[2])),
        mark=mark,
        ttl_s=max((record.ttl for reply in replies[:2] for record in reply.answer if record.name == questions[0][0]), default=None),
        signed_until=min((end for reply in replies[:2] for _, end in _signatures(reply)), default=None),
        serial=next((wire.soa_serial(record.rdata) for record in replies[-1].answer if record.rtype == wire.SOA), None),
    )


async def longer(servers: Sequence[Endpoint], name: str, ttl_s: int, clock: Clock, *, timeout_s: float = 2.0) -> str:
    """Waits at most `LOWERED_S` until no server tells a longer TTL than this for `name`; says which one still does or is silent, "" for none.

    A cache that asks a secondary which lags takes the old TTL from it, whatever the primary says by then (H49, H50).
    """
    until, pause = clock.now() + LOWERED_S, 0.02
    while True:
        shown = await asyncio.gather(*(look(server, name, timeout_s=timeout_s) for server in servers))
        late = [one.error or f"{server} still tells a TTL of {one.ttl_s} s"
                for server, one in zip(servers, shown, strict=True) if one.error_reason or (one.ttl_s or 0) > ttl_s]
        if not late or clock.now() >= until:
            return "; ".join(late)
        await clock.sleep(pause)
        pause = min(2 * pause, 0.5)


def _no(reply: Reply) -> str:
    """Why a reply is no answer; "": it is one. NXDOMAIN is an answer: nothing is published."""
    if reply.rcode not in (wire.NOERROR, wire.NXDOMAIN):
        return wire.RCODES.get(reply.rcode, f"rcode-{reply.rcode}").lower()
    return "" if reply.flags & wire.AA else "lame"


def _signature(reply: Reply, now: float) -> str:
    """Why the answer's signatures do not hold now; "": they do, or there is nothing to sign."""
    if not reply.answer:
        return ""
    spans = _signatures(reply)
    if not spans:
        return "unsigned"
    return "" if any(begin <= now < end for begin, end in spans) else "expired"


def _signatures(reply: Reply) -> list[tuple[int, int]]:
    """From when until when each signature of the answer holds (RFC 4034 section 3.1: expiration before inception, four bytes each)."""
    ends = [struct.unpack_from("!II", record.rdata, 8) for record in reply.answer if record.rtype == wire.RRSIG and len(record.rdata) > 18]
    return [(begin, end) for end, begin in ends]


def addresses(reply: Reply) -> frozenset[str]:
    """The addresses in a reply's answer, or the name that an alias points at."""
    if alias := next((record for record in reply.answer if record.rtype == wire.CNAME), None):
        return frozenset({wire.decode_name(alias.rdata).rstrip(".")})
    packed = [record.rdata for record in reply.answer if (record.rtype, len(record.rdata)) in ((wire.A, 4), (wire.AAAA, 16))]
    return frozenset(str(ipaddress.ip_address(rdata)) for rdata in packed)


def _mark(reply: Reply) -> str:
    marks = [record.rdata[1:].decode("ascii", "replace") for record in reply.answer if record.rtype == wire.TXT and record.rdata]
    return next((text for text in marks if parse_mark(text) is not None), "")
