"""Signatures: what dnspython signs we believe, what we sign dnspython believes, and nothing else is believed."""

from __future__ import annotations

import time

import dns.message
import dns.tsig
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbctl.dns import tsig, wire
from lbctl.dns.settings import ALGORITHMS, TsigKey, tsig_key

KEY = TsigKey("feed.example", b"0123456789abcdef0123456789abcdef")
KEYS = {wire.encode_name(KEY.name): KEY}


def theirs(key: TsigKey) -> dns.tsig.Key:
    return dns.tsig.Key(key.name, key.secret, f"{key.algorithm}.")


def question(key: TsigKey = KEY) -> dns.message.Message:
    message = dns.message.make_query("gtm.example.com", "SOA", use_edns=True)
    message.use_tsig(theirs(key))
    return message


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_both_ways_with_every_digest(algorithm: str) -> None:
    key = TsigKey("feed.example", KEY.secret, algorithm)
    asked = question(key)
    plain, found, mac = tsig.verify(asked.to_wire(), {wire.encode_name(key.name): key}, time.time())
    assert (found, mac, asked.mac) == (key, asked.mac, mac)
    assert dns.message.from_wire(plain).question == asked.question
    signed, _ = tsig.sign(dns.message.make_response(dns.message.from_wire(plain)).to_wire(), key, time.time(), prior_mac=mac)
    assert dns.message.from_wire(signed, keyring=theirs(key), request_mac=asked.mac).had_tsig


@given(st.integers(0, 400), st.integers(1, 255))
def test_a_changed_byte_anywhere_is_noticed(at: int, flip: int) -> None:
    data = question().to_wire()
    at %= len(data)
    changed = data[:at] + bytes((data[at] ^ flip,)) + data[at + 1 :]
    same_name = changed.lower() == data.lower()  # names compare without case
    try:
        tsig.verify(changed, KEYS, time.time())
    except (tsig.BadSignature, wire.Malformed):
        return
    assert same_name or at < 2 or _only_unsigned_differs(data, changed)


def _only_unsigned_differs(data: bytes, changed: bytes) -> bool:
    """The message's own id is not signed, the original one is; class and TTL of the record are taken as the RFC says they are."""
    signature, other = tsig.find(data), tsig.find(changed)
    return data[2 : signature.at] == changed[2 : signature.at] and signature[2:] == other[2:]


@pytest.mark.parametrize(
    ("key", "off", "error"),
    [(TsigKey("feed.example", b"x" * 32), 0, tsig.BADSIG), (TsigKey("other", KEY.secret), 0, tsig.BADKEY),
     (TsigKey("feed.example", KEY.secret, "hmac-sha512"), 0, tsig.BADKEY), (KEY, 301, tsig.BADTIME), (KEY, -301, tsig.BADTIME)],
    ids=["secret", "name", "digest", "late", "early"],
)  # fmt: skip
def test_each_mistake_has_its_error(key: TsigKey, off: int, error: int) -> None:
    with pytest.raises(tsig.BadSignature) as mistake:
        tsig.verify(question(key).to_wire(), KEYS, time.time() + off)
    assert mistake.value.error == error


BLOCK = 'key "lbctl." {\n  algorithm hmac-sha256;\n  secret "MDEyMw==";\n};\n'


@pytest.mark.parametrize("text", ["MDEyMw==\n", BLOCK, BLOCK.replace('"', "")], ids=["base64", "block", "unquoted"])
def test_a_secret_file_holds_base64_or_a_key_block(text: str) -> None:
    """Contract section 3."""
    assert tsig_key("lbctl", "hmac-sha256", text) == TsigKey("lbctl", b"0123")


@pytest.mark.parametrize(
    ("name", "algorithm", "text", "why"),
    [("lbctl", "hmac-sha256", "not base64!", "not base64"), ("lbctl", "hmac-sha256", "\n", "empty"), ("other", "hmac-sha256", BLOCK, "named"),
     ("lbctl", "hmac-sha512", BLOCK, "algorithm"), ("lbctl", "hmac-md5", "MDEyMw==", "none of")],
)  # fmt: skip
def test_a_secret_that_does_not_fit_is_refused_without_being_shown(name: str, algorithm: str, text: str, why: str) -> None:
    """H54."""
    with pytest.raises(ValueError, match=why) as error:
        tsig_key(name, algorithm, text)
    assert "MDEyMw" not in str(error.value)
