"""Notices as SNMPv2 traps (RFC 3416, 4.2.6), in SNMPv2c or in SNMPv3 with USM: for the network management that a site already has.

The objects are described in `deploy/snmp/LBCTL-MIB.txt`. In v3 the sender of a trap is the authoritative engine (RFC 3414, 1.5.1), so lbctl has an
engine ID of its own, to be entered at the receiver with the user. Its boots must never fall, and lbctl keeps no file for that: they are the
minutes since 1970 at the start, which rise over every restart. Authentication is HMAC-SHA-1-96 (RFC 3414) or HMAC-SHA-256-192 (RFC 7860),
privacy AES-128-CFB (RFC 3826). A trap is never answered: "delivered" means sent.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from lbctl.clock import Clock
from lbctl.notifiers import text
from lbctl.notifiers.base import DeliveryFailed, Notice, Severity
from lbctl.notifiers.ber import TIMETICKS, TRAP_V2, integer, octets, oid, sequence

SYS_UPTIME, TRAP_OID = "1.3.6.1.2.1.1.3.0", "1.3.6.1.6.3.1.1.4.1.0"
NUMBER = {Severity.INFO: 1, Severity.TICKET: 2, Severity.PAGE: 3}
AUTH = {"sha": ("sha1", 12), "sha256": ("sha256", 24)}
VALUE_MAX = 400
"""Octets of one value: a trap has to fit into one datagram everywhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`snmp: {host: nms.example.com, community_file: …}` (v2c) or `snmp: {host: …, version: 3, user: lbctl, auth_file: …, priv_file: …}`.

    The files hold the community or the pass phrases. `enterprise` is the private enterprise number below which the traps stand.
    """

    host: str
    port: int = 162
    version: str = "2c"
    community_file: str = ""
    user: str = ""
    auth: str = "sha256"
    auth_file: str = ""
    priv_file: str = ""
    engine_id: str = ""
    enterprise: int = 32473
    at_least: Severity = Severity.INFO

    def __post_init__(self) -> None:
        if self.version not in ("2c", "3"):
            raise ValueError("version is 2c or 3")
        if self.version == "3" and not (self.user and self.auth_file):
            raise ValueError("version 3 needs user and auth_file")
        if self.auth not in AUTH:
            raise ValueError(f"auth is one of {', '.join(AUTH)}")
        if self.engine_id and not 5 <= len(bytes.fromhex(self.engine_id)) <= 32:
            raise ValueError("engine_id is 5 to 32 octets in hex")

    def engine(self) -> bytes:
        """The engine ID (RFC 3411, 5): ours, or made from the enterprise number and the host's name."""
        if self.engine_id:
            return bytes.fromhex(self.engine_id)
        return (0x80000000 | self.enterprise).to_bytes(4, "big") + b"\x04" + os.uname().nodename.encode()[:27]


def localized(phrase: bytes, engine: bytes, name: str) -> bytes:
    """The key of a pass phrase at one engine (RFC 3414, A.2): a megabyte of the phrase hashed, then with the engine ID hashed again."""
    if len(phrase) < 8:
        raise DeliveryFailed("an SNMPv3 pass phrase has at least 8 characters", temporary=False)
    stretched = (phrase * (1048576 // len(phrase) + 1))[:1048576]
    key = hashlib.new(name, stretched).digest()
    return hashlib.new(name, key + engine + key).digest()


class Snmp:
    """One trap a notice."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.id = f"snmp:{settings.host}"
        self.at_least = settings.at_least
        self._settings = settings
        self._clock = clock
        self._started = clock.now()
        self._keys: dict[bytes, bytes] = {}

    async def send(self, notice: Notice) -> None:
        pdu = self._pdu(notice)
        message = self._v3(pdu) if self._settings.version == "3" else self._v2c(pdu)
        loop = asyncio.get_running_loop()
        try:
            transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=(self._settings.host, self._settings.port))
        except OSError as error:
            raise DeliveryFailed(f"{self.id}: {error.strerror or error}") from None
        transport.sendto(message)
        transport.close()

    def _pdu(self, notice: Notice) -> bytes:
        """SNMPv2-Trap-PDU: uptime, which trap, then the notice's fields."""
        root = f"1.3.6.1.4.1.{self._settings.enterprise}.1"
        number = NUMBER[Severity(notice.severity)]
        values = (notice.service, notice.kind, str(notice.severity), notice.what, notice.why, notice.do, notice.undo, text.stamp(notice.at))
        uptime = int((self._clock.now() - self._started) * 100) & 0xFFFFFFFF
        bindings = [
            sequence(oid(SYS_UPTIME), integer(uptime, TIMETICKS)),
            sequence(oid(TRAP_OID), oid(f"{root}.0.{number}")),
            *(sequence(oid(f"{root}.1.{index}.0"), octets(_cut(value))) for index, value in enumerate(values, 1)),
        ]
        return sequence(integer(secrets.randbelow(2**31)), integer(0), integer(0), sequence(*bindings), tag=TRAP_V2)

    def _v2c(self, pdu: bytes) -> bytes:
        file = self._settings.community_file
        community = Path(file).read_bytes().strip() if file else b"public"
        return sequence(integer(1), octets(community), pdu)

    def _v3(self, pdu: bytes) -> bytes:
        """RFC 3412, 6 with RFC 3414, 2.4: scoped PDU, encrypted where there is a privacy phrase; digest over the whole with a hole in its place."""
        settings, engine = self._settings, self._settings.engine()
        name, size = AUTH[settings.auth]
        boots, seconds = int(self._started // 60), int(self._clock.now() - self._started)
        scoped, salt = sequence(octets(engine), octets(b""), pdu), b""
        if settings.priv_file:
            salt = secrets.token_bytes(8)
            vector = boots.to_bytes(4, "big") + seconds.to_bytes(4, "big") + salt
            scoped = octets(_cfb(self._key(settings.priv_file, name)[:16], vector, scoped))
        header = sequence(integer(secrets.randbelow(2**31)), integer(65507), octets(b"\x03" if salt else b"\x01"), integer(3))

        def message(digest: bytes) -> bytes:
            security = sequence(octets(engine), integer(boots), integer(seconds), octets(settings.user.encode()), octets(digest), octets(salt))
            return sequence(integer(3), header, octets(security), scoped)

        digest = hmac.new(self._key(settings.auth_file, name), message(bytes(size)), name).digest()[:size]
        return message(digest)

    def _key(self, file: str, name: str) -> bytes:
        """The localized key of the phrase in a file; a megabyte of hashing is done once for each phrase."""
        phrase = Path(file).read_bytes().strip()
        mark = hashlib.sha256(phrase).digest()
        if mark not in self._keys:
            self._keys = {**dict(list(self._keys.items())[-3:]), mark: localized(phrase, self._settings.engine(), name)}
        return self._keys[mark]


def _cfb(key: bytes, vector: bytes, plain: bytes) -> bytes:
    """AES-128 in CFB mode, encryption only (RFC 3826, 3.1.3), from the bare block cipher: the library is giving the mode up."""
    block = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305 - one block at a time, as the mode is defined
    sealed = b""
    for start in range(0, len(plain), 16):
        stream = block.update(sealed[-16:] or vector)
        sealed += bytes(one ^ other for one, other in zip(plain[start : start + 16], stream, strict=False))
    return sealed


def _cut(value: str) -> bytes:
    return value.encode()[:VALUE_MAX].decode(errors="ignore").encode()
