"""The values a configuration is written in: durations, sizes, shares, addresses, places to connect to.

Each is an annotated type that the models use, so that the message tells what was expected in the words of the reference.
A bare number has no unit and is refused: `interval: 5` has been five seconds to some and five minutes to others.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Any, NamedTuple, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, WithJsonSchema

SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
BYTES = {"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?(?:ms|s|min|m|h|d|w))+")  # not \d: other scripts have digits too
DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|min|m|h|d|w)")
SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)")
NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")

T = TypeVar("T")


class Endpoint(NamedTuple):
    """A host (name or address) and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def loopback(self) -> bool:
        """True where only this machine can reach it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def seconds(text: Any) -> float:
    """`500ms`, `5s`, `1h30m`, `400d` -> seconds. Raises ValueError with what was expected."""
    if str(text) == "0":
        return 0.0
    if not isinstance(text, str) or not DURATION.fullmatch(text):
        raise ValueError("expected a duration with its unit, such as 500ms, 5s, 20m, 2h or 400d")
    return sum(float(amount) * SECONDS[unit] for amount, unit in DURATION_PART.findall(text))


def whole_seconds(text: Any) -> Any:
    """A TTL: whole seconds as DNS has them (`30`), or a duration (`30s`)."""
    return int(seconds(text)) if isinstance(text, str) and DURATION.fullmatch(text) else text


def size(text: Any) -> int:
    """`1GiB`, `500MB` -> bytes."""
    found = SIZE.fullmatch(str(text))
    if not found or found[2] not in BYTES:
        raise ValueError("expected a size such as 64KiB, 500MB or 1GiB")
    return int(float(found[1]) * BYTES[found[2]])


def share(text: Any) -> float:
    """`25%` or `0.25` -> 0.25."""
    try:
        value = float(str(text).removesuffix("%")) / (100 if str(text).endswith("%") else 1)
    except ValueError:
        raise ValueError("expected a share such as 25%") from None
    if not 0 < value <= 1:
        raise ValueError("expected a share above 0% and at most 100%")
    return value


def address(text: Any) -> str:
    """An IP address in its canonical text."""
    try:
        return str(ipaddress.ip_address(str(text)))
    except ValueError:
        raise ValueError("expected an IPv4 or IPv6 address") from None


def client_address(text: Any) -> str:
    """An address that a client anywhere can be sent to. Any other would be published as faithfully, and reach nobody."""
    found = ipaddress.ip_address(address(text))
    if found.is_unspecified or found.is_multicast or found == ipaddress.ip_address("255.255.255.255"):
        raise ValueError("expected the address of one host")
    if isinstance(found, ipaddress.IPv6Address) and found.scope_id:
        raise ValueError("expected an address without %INTERFACE, which means nothing on other hosts")
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        raise ValueError(f"expected an IPv4 or IPv6 address, such as {found.ipv4_mapped}")
    return str(found)


def network(text: Any) -> str:
    """An address range."""
    try:
        return str(ipaddress.ip_network(str(text)))
    except ValueError:
        raise ValueError("expected an address range such as 10.0.0.0/8 (no bits set after the prefix)") from None


def interface_address(text: Any) -> str:
    """An address with a prefix; without one it is the whole address: /32 or /128."""
    try:
        return str(ipaddress.ip_interface(str(text)))
    except ValueError:
        raise ValueError("expected an address such as 203.0.113.9/32 or 2001:db8::9/128") from None


def endpoint(text: Any, port: int | None = None) -> Endpoint:
    """`IP`, `IP:port`, `name:port` or `[IPv6]:port`; the port may be left out where there is a usual one."""
    expected = "expected ADDRESS:PORT or [IPv6]:PORT" if port is None else f"expected ADDRESS, ADDRESS:PORT or [IPv6]:PORT (port {port} by default)"
    if not isinstance(text, str):
        raise ValueError(expected)
    if text.count(":") > 1 and not text.startswith("["):
        text = f"[{text}]"
    found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.%a-z]+)\]|([A-Za-z0-9._-]+))(?::(\d{1,5}))?", text)
    number = int(found[3]) if found and found[3] else port
    if not found or number is None or not 0 <= number <= 65535:
        raise ValueError(expected)
    host = found[1] or found[2]
    if found[1] or re.fullmatch(r"[\d.]+", host):
        host = address(host)
    return Endpoint(host, number)


def dns_server(text: Any) -> Endpoint:
    """`IP`, `IP:port` or `[IPv6]:port`; names are not taken, because resolving them would need the very servers that are named."""
    try:
        at = endpoint(text, 53)
        return at._replace(host=address(at.host))
    except ValueError:
        raise ValueError("expected IP, IP:port or [IPv6]:port") from None


def dns_name(text: Any) -> str:
    """A host name, lower case, without the last dot."""
    name = text.rstrip(".").lower() if isinstance(text, str) else ""
    if not name or len(name) > 253 or not all(LABEL.fullmatch(label) for label in name.removeprefix("*.").split(".")):
        raise ValueError("expected a DNS name such as core.gtm.example.com")
    return name


def plain_name(text: Any) -> str:
    """A name that is fit for a metric label, a file and the command line."""
    if not isinstance(text, str) or not NAME.fullmatch(text):
        raise ValueError("expected a name of letters, digits, '.', '_' or '-', at most 63, that begins and ends with a letter or digit")
    return text


def one_or_more(value: Any) -> Any:
    """One value stands for a list of one."""
    return value if isinstance(value, list) else [value]


def _texts(pattern: str, *examples: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern, "examples": list(examples)})


Duration = Annotated[float, PlainValidator(seconds), _texts(r"^(0|([0-9]+(\.[0-9]+)?(ms|s|m|min|h|d|w))+)$", "500ms", "5s", "2h")]
PositiveDuration = Annotated[Duration, AfterValidator(lambda value: value if value > 0 else _refuse("expected a duration above zero"))]
Size = Annotated[int, PlainValidator(size), _texts(r"^[0-9]+(\.[0-9]+)? ?(B|[KMGT]iB|[kMGT]B)?$", "1GiB")]
Share = Annotated[float, PlainValidator(share), _texts(r"^[0-9.]+%?$", "25%")]
Address = Annotated[str, BeforeValidator(client_address)]
InterfaceAddress = Annotated[str, BeforeValidator(interface_address)]
Network = Annotated[str, BeforeValidator(network)]
DnsName = Annotated[str, BeforeValidator(dns_name)]
Name = Annotated[str, BeforeValidator(plain_name)]
Listen = Annotated[Endpoint, PlainValidator(endpoint), _texts(r"^.+:[0-9]+$", "127.0.0.1:9653", "[::1]:9653")]
DnsServer = Annotated[Endpoint, PlainValidator(dns_server), _texts(r"^.+$", "192.0.2.53", "[2001:db8::53]:5353")]
SshServer = Annotated[Endpoint, PlainValidator(lambda text: endpoint(text, 22)), _texts(r"^.+$", "core-b.example.com:22")]
Port = Annotated[int, Field(ge=1, le=65535)]
Count = Annotated[int, Field(ge=1, le=1000)]
OneOrMore = Annotated[tuple[T, ...], BeforeValidator(one_or_more, json_schema_input_type=list[T] | T), Field(min_length=1)]
Ttl = Annotated[int, BeforeValidator(whole_seconds), Field(ge=1, le=86400)]
Text = Annotated[str, Field(min_length=1)]


def _refuse(message: str) -> float:
    raise ValueError(message)
