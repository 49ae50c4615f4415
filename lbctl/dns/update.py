"""RFC 2136 UPDATE, signed (RFC 8945): one message that says what must still be true and what shall be, and why a server said no.

A reply is worth something only if it is signed like the question; every refusal is told apart, because each has another remedy (H42). The
words of `Refusal.reason` are metric labels: `refused notauth notzone badkey badsig badtime servfail formerr notimp unsigned` and the
client's `timeout closed unreachable reset malformed`; `changed` is a prerequisite that no longer holds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import dns.exception
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdataset
import dns.rdatatype
import dns.tsig
import dns.update

from lbctl.dns.client import Unanswered, send_tcp, send_udp, unanswered
from lbctl.dns.settings import Endpoint, TsigKey

UDP_MESSAGE_MAX = 512
Rdatas = Mapping[tuple[str, str], tuple[str, ...]]
"""Record texts by (name, type); an empty tuple: there is none."""

HINTS = {
    dns.rcode.REFUSED: ("refused", "the key may not change this name or type: see the zone's update policy or ACL"),
    dns.rcode.NOTAUTH: ("notauth", "the server is not authoritative for the zone, or does not know the key"),
    dns.rcode.NOTZONE: ("notzone", "the name is not in the zone"),
    dns.rcode.SERVFAIL: ("servfail", "the server failed: see its log (disk, journal, frozen zone)"),
    dns.rcode.FORMERR: ("formerr", "the server does not understand the update: is the zone served there?"),
    dns.rcode.NOTIMP: ("notimp", "updates are not enabled there"),
}
PREREQUISITE = {dns.rcode.NXRRSET, dns.rcode.YXRRSET, dns.rcode.NXDOMAIN, dns.rcode.YXDOMAIN}
TSIG_ERRORS = {
    dns.tsig.PeerBadKey: ("badkey", "the server does not know the key's name: compare both configurations"),
    dns.tsig.PeerBadSignature: ("badsig", "the secret or the algorithm differs from the server's"),
    dns.tsig.PeerBadTruncation: ("badsig", "the server wants a longer signature"),
    dns.tsig.BadSignature: ("badsig", "the reply is not signed with our key"),
    dns.tsig.BadKey: ("badkey", "the reply is signed with another key"),
    dns.tsig.BadTime: ("badtime", "the reply is older than five minutes: compare the clocks"),
}


class Refusal(NamedTuple):
    """Why an update was not done. `unknown`: it may have been done all the same, only reading back tells."""

    reason: str
    detail: str
    hint: str = ""
    unknown: bool = False


def update_message(zone: str, ttl_s: int, before: Rdatas, after: Rdatas) -> dns.update.UpdateMessage:
    """The message that turns `before` into `after`, and does nothing at all unless everything is still as in `before`."""
    update = dns.update.UpdateMessage(zone)
    for (name, rtype), rdatas in before.items():
        owner = dns.name.from_text(name)
        if rdatas:
            update.present(owner, dns.rdataset.from_text_list("IN", rtype, 0, list(rdatas)))
        else:
            update.absent(owner, rtype)
    for (name, rtype), rdatas in before.items():
        if rdatas:
            update.delete(dns.name.from_text(name), rtype)
    for (name, rtype), rdatas in after.items():
        if rdatas:
            update.add(dns.name.from_text(name), dns.rdataset.from_text_list("IN", rtype, ttl_s, list(rdatas)))
    return update


async def send_update(server: Endpoint, update: dns.update.UpdateMessage, key: TsigKey | None, *, timeout_s: float, tcp: bool) -> Refusal | None:
    """Sends it once, freshly signed. None: the server says, signed, that it is done."""
    if key is not None:
        update.use_tsig(dns.tsig.Key(key.name, key.secret, f"{key.algorithm}."))
    packet = update.to_wire()
    try:
        async with asyncio.timeout(timeout_s):
            reply = await (send_tcp if tcp or len(packet) > UDP_MESSAGE_MAX else send_udp)(server, packet)
    except TimeoutError:
        return Refusal("timeout", f"no reply within {timeout_s:g} s", unknown=True)
    except OSError as error:
        known = unanswered(error)
        return Refusal(known.reason, str(known), unknown=known.reason != "closed")
    except Unanswered as error:
        return Refusal(error.reason, str(error), unknown=True)
    return judge(update, reply)


def judge(update: dns.update.UpdateMessage, reply: bytes) -> Refusal | None:
    """What a reply's bytes say."""
    try:
        message = dns.message.from_wire(reply, keyring=update.keyring, request_mac=update.mac)
    except dns.tsig.PeerBadTime:
        return Refusal("badtime", "the server's clock differs from ours" + _skew(update, reply), "set both clocks by NTP")
    except tuple(TSIG_ERRORS) as error:
        reason, hint = TSIG_ERRORS[type(error)]
        return Refusal(reason, str(error), hint)
    except (dns.exception.DNSException, ValueError, IndexError) as error:
        return _unsigned(update, reply) or Refusal("malformed", f"malformed reply: {error}", unknown=True)
    if update.keyring is not None and not message.had_tsig:
        return _unsigned(update, reply)
    return _code(message.rcode())


def _unsigned(update: dns.update.UpdateMessage, reply: bytes) -> Refusal | None:
    """A reply without the signature that was asked for: its "no" is believed, its "yes" is not."""
    try:
        message = dns.message.from_wire(reply, keyring=False, ignore_trailing=True)
    except (dns.exception.DNSException, ValueError, IndexError):
        return None
    refusal = _code(message.rcode())
    if refusal is None:
        return Refusal("unsigned", "the server says yes without signing it", "something between us and the server answers for it", unknown=True)
    if refusal.reason in ("notauth", "refused") and update.keyring is not None:
        return refusal._replace(hint=f"or key, secret, algorithm or clock differ, which the server does not say; {refusal.hint}")
    return refusal


def _code(rcode: dns.rcode.Rcode) -> Refusal | None:
    if rcode == dns.rcode.NOERROR:
        return None
    if rcode in PREREQUISITE:
        return Refusal("changed", f"{dns.rcode.to_text(rcode)}: the name was changed meanwhile")
    reason, hint = HINTS.get(rcode, ("rcode", "see the server's log"))
    return Refusal(reason, dns.rcode.to_text(rcode), hint)


def _skew(update: dns.update.UpdateMessage, reply: bytes) -> str:
    """By how much, which a BADTIME reply carries (RFC 8945 section 5.2.3)."""
    try:
        theirs, ours = _tsig(reply), _tsig(update.wire) if update.wire else None
    except (dns.exception.DNSException, ValueError, IndexError):
        return ""
    if theirs is None or ours is None or len(theirs.other) != 6:
        return ""
    return f" by {int.from_bytes(theirs.other, 'big') - ours.time_signed:+d} s"


def _tsig(message: bytes) -> dns.rdtypes.ANY.TSIG.TSIG | None:
    parsed = dns.message.from_wire(message, keyring=False, ignore_trailing=True)
    return parsed.tsig[0] if parsed.tsig else None


def rdatas(name: str, types: Iterable[str]) -> dict[tuple[str, str], tuple[str, ...]]:
    """An empty set of each type of a name."""
    return {(name, rtype): () for rtype in types}
