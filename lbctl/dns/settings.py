"""What the configuration says about the embedded DNS server, frozen (contract section 3, key `authoritative`).

YAML                                             here
authoritative.listen: [IP:port, [IPv6]:port]      ServerSettings.listen
authoritative.rate_limit: 200 | off               ServerSettings.rate_limit (None: off)
authoritative.zones.NAME.ns: {name: [IP, …]}      ZoneSettings.ns, in order; the first is the SOA's primary
authoritative.zones.NAME.negative_ttl: 30s        ZoneSettings.negative_ttl_s
authoritative.zones.NAME.tsig: {name, algorithm, secret_file}        ZoneSettings.tsig
authoritative.zones.NAME.allow_transfer: [IP or network, …]          ZoneSettings.allow_transfer
authoritative.zones.NAME.also_notify: [IP[:port], …]                 ZoneSettings.also_notify
authoritative.zones.NAME.verify: [IP[:port], …]                      ZoneSettings.verify
authoritative.zones.NAME.dnssec: off | secondaries                   ZoneSettings.dnssec
(beside the state file)                           ServerSettings.copy_path
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

ALGORITHMS = ("hmac-sha256", "hmac-sha384", "hmac-sha512")
_KEY_BLOCK = re.compile(r'key\s+"?(?P<name>[^"\s{]+)"?\s*\{(?P<body>[^}]*)\}', re.DOTALL)


class Endpoint(NamedTuple):
    """An address and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def endpoint(text: str, port: int = 53) -> Endpoint:
    """`IP`, `IP:port` or `[IPv6]:port` (contract section 3). ValueError for anything else: names are not resolved here."""
    host, digits = text, ""
    if match := re.fullmatch(r"\[([^]]+)\](?::(\d+))?", text):
        host, digits = match[1], match[2] or ""
    elif text.count(":") == 1:
        host, digits = text.split(":")
    number = int(digits) if digits else port
    if number > 65535:
        raise ValueError(f"{number} is not a port")
    return Endpoint(str(ipaddress.ip_address(host)), number)


@dataclass(frozen=True, slots=True)
class TsigKey:
    """A transaction signature key (RFC 8945). `secret` is never shown."""

    name: str
    secret: bytes = field(repr=False)
    algorithm: str = "hmac-sha256"

    def __post_init__(self) -> None:
        if self.algorithm not in ALGORITHMS:
            raise ValueError(f"{self.algorithm!r} is none of {', '.join(ALGORITHMS)}")


def tsig_key(name: str, algorithm: str, text: str) -> TsigKey:
    """A key from what its `secret_file` holds: bare base64, or a BIND `key` block, whose name and algorithm must then agree with what is given.

    ValueError with the reason, which never repeats the secret.
    """
    if match := _KEY_BLOCK.search(text):
        if match["name"].rstrip(".").lower() != name.rstrip(".").lower():
            raise ValueError(f"the key block is named {match['name']}, not {name}")
        words = dict(re.findall(r'(algorithm|secret)\s+"?([^";\s]+)"?', match["body"]))
        if words.get("algorithm", algorithm).lower() != algorithm:
            raise ValueError(f"the key block's algorithm is {words['algorithm']}, not {algorithm}")
        text = words.get("secret", "")
    try:
        secret = base64.b64decode("".join(text.split()), validate=True)
    except binascii.Error:
        raise ValueError("the secret is not base64") from None
    if not secret:
        raise ValueError("the secret is empty")
    return TsigKey(name, secret, algorithm)


@dataclass(frozen=True, slots=True)
class ZoneSettings:
    """One zone of the embedded server.

    `ns`: its name servers and their addresses, which become glue where the names are inside the zone. `allow_transfer`: who may take it
    (networks; with `tsig` the signature is needed as well). `also_notify`: who is told of a change. `verify`: whom the `authoritative`
    actuator asks whether a change arrived; empty: the addresses of `ns` where the zone has secondaries, the server itself where not.
    `dnssec`: `secondaries` says that they sign, so this server hides (see `dns.transfer`).
    """

    name: str
    ns: Mapping[str, tuple[str, ...]]
    negative_ttl_s: int = 30
    tsig: TsigKey | None = None
    allow_transfer: tuple[str, ...] = ()
    also_notify: tuple[Endpoint, ...] = ()
    verify: tuple[Endpoint, ...] = ()
    dnssec: str = "off"

    def __post_init__(self) -> None:
        if not self.ns:
            raise ValueError(f"zone {self.name} needs at least one name server")

    @property
    def fed(self) -> bool:
        """Somebody else answers for it too, so what answers say must be in the zone itself."""
        return bool(self.allow_transfer or self.also_notify)


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """The embedded server. `rate_limit`: responses a second for each client prefix; None: off. `copy_path`: where the last answers are kept."""

    listen: tuple[Endpoint, ...]
    zones: tuple[ZoneSettings, ...]
    copy_path: Path
    rate_limit: int | None = 200
    tcp_connections_max: int = 200
    tcp_idle_s: float = 10.0
