"""Transaction signatures (RFC 8945) on whole messages, as the server side needs them: questions of secondaries, transfers, NOTIFY.

A message is bytes here and stays bytes: a signature is made over what is sent, not over what a library would make of it again.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import NamedTuple

from lbctl.dns import wire
from lbctl.dns.settings import TsigKey

FUDGE_S = 300
BADSIG, BADKEY, BADTIME = 16, 17, 18
_DIGESTS = {"hmac-sha256": hashlib.sha256, "hmac-sha384": hashlib.sha384, "hmac-sha512": hashlib.sha512}


class Signature(NamedTuple):
    """A TSIG record as it came. `at`: where it begins in the message."""

    at: int
    name: bytes
    algorithm: bytes
    signed_at: int
    fudge_s: int
    mac: bytes
    ident: int
    error: int
    other: bytes


class BadSignature(Exception):
    """A signature that is not to be believed. `error` is the TSIG error code; `key` is set where the answer can be signed (BADTIME)."""

    def __init__(self, error: int, signature: Signature, key: TsigKey | None = None) -> None:
        super().__init__(f"TSIG error {error}")
        self.error = error
        self.signature = signature
        self.key = key


def find(data: bytes) -> Signature:
    """The TSIG record at the end of a parsed question or reply. `Malformed` where it is broken."""
    try:
        _, _, questions, *counts = wire.HEADER.unpack_from(data)
        at = 12
        for _ in range(questions):
            at = wire.skip_name(data, at) + 4
        for _ in range(sum(counts) - 1):
            at = wire.skip_name(data, at)
            at += 10 + int.from_bytes(data[at + 8 : at + 10], "big")
        return _read(data, at)
    except IndexError as error:
        raise wire.Malformed("cut short") from error


def _read(data: bytes, start: int) -> Signature:
    at = wire.skip_name(data, start)
    rtype = int.from_bytes(data[at : at + 2], "big")
    at += 10
    algorithm = wire.read_name(data, at)
    at = wire.skip_name(data, at)
    signed_at, fudge_s, size = (int.from_bytes(data[at + low : at + high], "big") for low, high in ((0, 6), (6, 8), (8, 10)))
    mac = data[at + 10 : at + 10 + size]
    at += 10 + size
    ident, error, length = (int.from_bytes(data[at + low : at + low + 2], "big") for low in (0, 2, 4))
    other = data[at + 6 : at + 6 + length]
    if rtype != wire.TSIG or at + 6 + length != len(data):
        raise wire.Malformed("TSIG is broken")
    return Signature(start, wire.read_name(data, start), algorithm, signed_at, fudge_s, mac, ident, error, other)


def verify(data: bytes, keys: Mapping[bytes, TsigKey], now: float, *, request_mac: bytes = b"") -> tuple[bytes, TsigKey, bytes]:
    """The message without its signature, the key, and the MAC. Raises `BadSignature`, or `Malformed`."""
    signature = find(data)
    key = keys.get(signature.name)
    if key is None or wire.encode_name(key.algorithm) != signature.algorithm:
        raise BadSignature(BADKEY, signature)
    plain = signature.ident.to_bytes(2, "big") + data[2:10] + (int.from_bytes(data[10:12], "big") - 1).to_bytes(2, "big") + data[12 : signature.at]
    timers = signature.signed_at.to_bytes(6, "big") + signature.fudge_s.to_bytes(2, "big")
    expected = _mac(key, plain, request_mac, _variables(key, timers, signature.error, signature.other))
    if not hmac.compare_digest(expected, signature.mac):
        raise BadSignature(BADSIG, signature)
    if abs(now - signature.signed_at) > signature.fudge_s:
        raise BadSignature(BADTIME, signature, key)
    return data[:2] + plain[2:], key, signature.mac


def sign(
    message: bytes, key: TsigKey, now: float, *, prior_mac: bytes = b"", later: bool = False, error: int = 0, signed_at: int | None = None
) -> tuple[bytes, bytes]:
    """The signed message and its MAC. `prior_mac`: of the request, or, with `later`, of the message before in the same transfer."""
    moment = (int(now) if signed_at is None else signed_at).to_bytes(6, "big")
    timers = moment + FUDGE_S.to_bytes(2, "big")
    other = int(now).to_bytes(6, "big") if error == BADTIME else b""
    mac = _mac(key, message, prior_mac, timers if later else _variables(key, timers, error, other))
    return _append(message, wire.encode_name(key.name), wire.encode_name(key.algorithm), timers, mac, error, other), mac


def refuse(message: bytes, signature: Signature, error: int, now: float) -> bytes:
    """A reply that names what is wrong with the question's signature, itself unsigned (RFC 8945 section 5.3.2)."""
    timers = int(now).to_bytes(6, "big") + FUDGE_S.to_bytes(2, "big")
    return _append(message, signature.name, signature.algorithm, timers, b"", error, b"")


def _mac(key: TsigKey, message: bytes, prior_mac: bytes, rest: bytes) -> bytes:
    prior = len(prior_mac).to_bytes(2, "big") + prior_mac if prior_mac else b""
    return hmac.digest(key.secret, prior + message + rest, _DIGESTS[key.algorithm])


def _variables(key: TsigKey, timers: bytes, error: int, other: bytes) -> bytes:
    head = wire.encode_name(key.name) + wire.TYPE_CLASS.pack(wire.CLASS_ANY, 0)[:2] + bytes(4) + wire.encode_name(key.algorithm)
    return head + timers + wire.TYPE_CLASS.pack(error, len(other)) + other


def _append(message: bytes, name: bytes, algorithm: bytes, timers: bytes, mac: bytes, error: int, other: bytes) -> bytes:
    rdata = algorithm + timers + len(mac).to_bytes(2, "big") + mac + message[:2] + wire.TYPE_CLASS.pack(error, len(other)) + other
    record = name + wire.TYPE_CLASS.pack(wire.TSIG, wire.CLASS_ANY) + bytes(4) + len(rdata).to_bytes(2, "big") + rdata
    return message[:10] + (int.from_bytes(message[10:12], "big") + 1).to_bytes(2, "big") + message[12:] + record
