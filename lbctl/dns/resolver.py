"""Asking a resolver what it tells its clients of a name now, and for how long it will go on telling it (H49).

A resolver is a cache and no authority: its answer proves nothing about what is published, only what clients behind it are told. So there is no
epoch to read (the mark beside the name has a TTL of its own) and no authoritative bit to ask for; what it cannot answer is its own trouble.
"""

from __future__ import annotations

from typing import NamedTuple

from lbctl.dns import wire
from lbctl.dns.client import Unanswered, ask
from lbctl.dns.readback import addresses
from lbctl.dns.settings import Endpoint


class Told(NamedTuple):
    """What one resolver tells. `addresses` None: nothing, because of `error`; empty: that there is no such name. `left_s`: the TTL it gives."""

    addresses: frozenset[str] | None
    left_s: float = 0.0
    error: str = ""


async def told(resolver: Endpoint, name: str, *, timeout_s: float = 2.0) -> Told:
    """Asks for both families of `name`, with recursion. Never raises for a resolver that is silent."""
    questions = [(wire.encode_name(name), wire.A), (wire.encode_name(name), wire.AAAA)]
    try:
        replies = await ask(resolver, questions, timeout_s=timeout_s, recurse=True)
    except Unanswered as error:
        return Told(None, error=f"{error.reason}: {error}")
    for reply in replies:
        if reply.rcode not in (wire.NOERROR, wire.NXDOMAIN):
            return Told(None, error=f"{resolver} says {wire.RCODES.get(reply.rcode, f'RCODE {reply.rcode}')} for {name}")
    # the shortest TTL: from then on the resolver may tell something else
    left = min((record.ttl for reply in replies for record in reply.answer), default=0)
    return Told(addresses(replies[0]) | addresses(replies[1]), float(left))
