"""The same zone in BIND and in the embedded server: the same answers, section by section."""

from __future__ import annotations

import itertools
from pathlib import Path

import dns.flags
import dns.message
import dns.rdatatype
import pytest

from lbctl.dns.server import Server
from tests.dns.served import NAME, ZONE, ask, run, send, serving
from tests.peers.dns_servers import KEY, bind, secret

NAMES = (NAME, f"_lbctl.{NAME}", f"x.{NAME}", "no.gtm.example.com", "a.b.gtm.example.com", "b.gtm.example.com", "gtm.example.com",
         "ns1.gtm.example.com", "CoRe.gTm.ExAmPlE.cOm", "example.org", "com", ".")  # fmt: skip
TYPES = ("A", "AAAA", "NS", "SOA", "TXT", "MX", "CNAME", "DS", "HTTPS", "TYPE65280", "RRSIG")


def told(reply: dns.message.Message) -> tuple[object, ...]:
    """What matters to a resolver: code, flags but RA, answer, authority."""
    flags = reply.flags & (dns.flags.QR | dns.flags.AA | dns.flags.TC | dns.flags.RD | dns.flags.CD)
    sections = [sorted(line.lower() for rrset in section for line in rrset.to_text().splitlines()) for section in (reply.answer, reply.authority)]
    glue = sorted(rrset.to_text().lower() for rrset in reply.additional) if reply.question and reply.question[0].rdtype == dns.rdatatype.NS else []
    return reply.rcode(), dns.flags.to_text(flags), [str(name.name) for name in reply.question], *sections, glue, reply.edns


async def copied(server: Server, directory: Path) -> str:
    """The zone as BIND reads it, by a transfer."""
    place = server.endpoints[0]
    text = await run("dig", f"@{place.host}", "-p", str(place.port), "-y", f"{KEY.algorithm}:{KEY.name}:{secret(KEY)}", "+onesoa", ZONE.name, "AXFR")
    (directory / "zone").write_text("\n".join(line for line in text.splitlines() if line and not line.startswith(";") and "TSIG" not in line) + "\n")
    return f'zone "{ZONE.name}" {{ type primary; file "{directory}/zone"; }};'


@pytest.mark.peer("bind")
async def test_every_question_gets_the_answer_that_bind_gives(tmp_path: Path) -> None:
    zone = type(ZONE)(ZONE.name, ZONE.ns, tsig=KEY, allow_transfer=("127.0.0.0/8",))
    async with serving(tmp_path, names=(NAME, "a.b.gtm.example.com"), zones=(zone,)) as server:
        server.register.publish(NAME, ["192.0.2.10", "2001:db8::10"], 7)
        server.register.publish("a.b.gtm.example.com", ["192.0.2.11"], 1)
        async with bind(tmp_path / "bind", await copied(server, tmp_path), zone=ZONE.name) as peer:
            different = []
            for name, qtype, edns in itertools.product(NAMES, TYPES, (False, True)):
                query = dns.message.make_query(name, qtype, use_edns=edns)
                ours = await send(server, query)
                theirs = await dns.asyncquery.udp(query, peer.place.host, port=peer.place.port, timeout=20)
                if told(ours) != told(theirs):
                    different.append((name, qtype, edns, told(ours), told(theirs)))
            assert not different, "\n".join(str(row) for row in different[:8])
            assert (await ask(server, NAME, tcp=True)).answer
