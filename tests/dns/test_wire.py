"""Names and packets: what is read back is what was written, and nothing broken gets through."""

from __future__ import annotations

import dns.message
import dns.name
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbctl.dns import wire

LABEL = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_", min_size=1, max_size=20)
NAMES = st.lists(LABEL, min_size=1, max_size=6).map(".".join)


@given(NAMES)
def test_a_name_is_encoded_as_others_encode_it(name: str) -> None:
    assert wire.encode_name(name) == dns.name.from_text(name).to_wire()
    assert wire.decode_name(wire.encode_name(name)) == name + "."


@pytest.mark.parametrize("text", ["a..b", "x" * 64, ".".join(["y" * 60] * 5), "ü.example"])
def test_what_is_no_domain_name_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        wire.encode_name(text)


@given(NAMES, st.sampled_from(["A", "AAAA", "SOA", "TXT"]), st.booleans(), st.booleans())
def test_a_question_of_another_library_is_understood(name: str, qtype: str, edns: bool, do: bool) -> None:
    message = dns.message.make_query(name, qtype, use_edns=edns, want_dnssec=edns and do)
    query = wire.parse_query(message.to_wire())
    assert query.name == wire.encode_name(name)
    assert wire.TYPES[query.qtype] == qtype
    assert (query.size is not None, query.do) == (edns, edns and do)
    assert query.end == 12 + len(query.name) + 4


@given(st.binary(max_size=120))
def test_random_bytes_are_a_question_or_malformed_and_never_anything_else(data: bytes) -> None:
    for parse in (wire.parse_query, wire.parse_reply):
        try:
            parse(data)
        except wire.Malformed:
            continue


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 11,
        wire.HEADER.pack(1, wire.QR, 1, 0, 0, 0) + b"\1a\0\0\1\0\1",
        wire.HEADER.pack(1, 0, 1, 0, 0, 0) + b"\1a\0\0\1\0\1x",
        wire.HEADER.pack(1, 0, 1, 0, 0, 0) + b"\xc0\x0c\0\1\0\1",
        wire.HEADER.pack(1, 0, 1, 0, 0, 0) + b"\x3f" + b"a" * 20,
        wire.HEADER.pack(1, 0, 1, 0, 0, 0) + (b"\x3f" + b"a" * 63) * 4 + b"\0\0\1\0\1",
        wire.HEADER.pack(1, 0, 1, 0, 0, 2) + b"\1a\0\0\1\0\1" + (b"\0" + wire.RECORD.pack(wire.OPT, 512, 0, 0)) * 2,
        wire.HEADER.pack(1, 0, 1, 0, 0, 1) + b"\1a\0\0\1\0\1" + b"\1x\0" + wire.RECORD.pack(wire.OPT, 512, 0, 0),
        wire.HEADER.pack(1, 0, 1, 0, 0, 1) + b"\1a\0\0\1\0\1" + b"\0" + wire.RECORD.pack(wire.OPT, 512, 0, 9),
        wire.HEADER.pack(1, 0, 1, 65535, 0, 0) + b"\1a\0\0\1\0\1",
    ],
    ids=["empty", "short", "reply", "trailing", "pointer", "cut", "long-name", "two-opts", "opt-owner", "opt-length", "count"],
)
def test_a_malformed_question_is_called_so(data: bytes) -> None:
    with pytest.raises(wire.Malformed):
        wire.parse_query(data)


@given(NAMES)
def test_a_reply_with_compressed_names_is_read(name: str) -> None:
    answer = f"{name}. 5 IN CNAME www.{name}.\nwww.{name}. 6 IN A 192.0.2.9\n"
    text = f"id 7\nopcode QUERY\nrcode NOERROR\nflags QR AA\n;QUESTION\n{name}. IN A\n;ANSWER\n{answer}"
    parsed = wire.parse_reply(dns.message.from_text(text).to_wire())
    assert parsed.answer[0].rdata == wire.encode_name("www." + name)
    assert parsed.answer[1] == (wire.encode_name("www." + name), wire.A, 6, bytes([192, 0, 2, 9]))


def test_pointer_loops_end() -> None:
    data = wire.HEADER.pack(1, wire.QR, 0, 1, 0, 0) + b"\xc0\x0c" + wire.RECORD.pack(wire.A, 1, 0, 4) + b"abcd"
    with pytest.raises(wire.Malformed):
        wire.parse_reply(data)
