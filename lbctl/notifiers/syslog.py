"""Notices as syslog messages: RFC 5424, over UDP (RFC 5426), TCP with octet counting (RFC 6587, 3.4.1) or TLS (RFC 5425).

What machines sort by stands in structured data (`[lbctl@32473 service="core" kind="failover" …]`), what people read in the message.
UDP cannot tell whether anybody listened; TCP and TLS tell when the connection failed, never whether the line was stored: syslog has no answer.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from dataclasses import dataclass

from lbctl.clock import Clock
from lbctl.notifiers import text
from lbctl.notifiers.base import DeliveryFailed, Notice, Severity

LEVEL = {Severity.PAGE: 2, Severity.TICKET: 4, Severity.INFO: 5}
"""RFC 5424, table 2: critical, warning, notice."""
FACILITIES = {"user": 1, "daemon": 3, "auth": 4, **{f"local{number}": 16 + number for number in range(8)}}
UDP_MAX = 2048
"""RFC 5426, 3.2: what every receiver should take. A longer line is cut at a character."""
PORTS = {"udp": 514, "tcp": 514, "tls": 6514}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`syslog: {host: log.example.com, protocol: tls}`. `enterprise` is the number in the structured data's name (RFC 5424, 7.2.2);
    32473 is the one that RFC 5612 keeps for examples, so set your own where others might use it too."""

    host: str
    port: int = 0
    protocol: str = "udp"
    facility: str = "daemon"
    hostname: str = ""
    enterprise: int = 32473
    ca_file: str = ""
    at_least: Severity = Severity.INFO

    def __post_init__(self) -> None:
        if self.protocol not in PORTS:
            raise ValueError(f"protocol is one of {', '.join(PORTS)}")
        if self.facility not in FACILITIES:
            raise ValueError(f"facility is one of {', '.join(FACILITIES)}")


def render(notice: Notice, settings: Settings) -> bytes:
    """One RFC 5424 message without its framing. Header fields are printable ASCII, the text is UTF-8 with its mark."""
    priority = FACILITIES[settings.facility] * 8 + LEVEL[Severity(notice.severity)]
    hostname = _word(settings.hostname or os.uname().nodename, 255)
    fields = {
        "service": notice.service, "kind": notice.kind, "severity": str(notice.severity), "key": notice.key, "do": notice.do, "undo": notice.undo,
    }
    data = " ".join(f'{name}="{_quoted(value)}"' for name, value in fields.items() if value)
    header = f"<{priority}>1 {text.stamp(notice.at)} {hostname} lbctl {os.getpid()} {_word(notice.kind, 32)} [lbctl@{settings.enterprise} {data}] "
    line = " ".join(f"{text.subject(notice)}: {notice.why}".split())
    return header.encode() + b"\xef\xbb\xbf" + line.encode()


class Syslog:
    """One message a notice. A connection is opened for each: notices are rare, and an idle one dies unseen behind firewalls."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.id = f"syslog:{settings.host}"
        self.at_least = settings.at_least
        self._settings = settings
        self._port = settings.port or PORTS[settings.protocol]

    async def send(self, notice: Notice) -> None:
        message = render(notice, self._settings)
        try:
            await (self._datagram(message) if self._settings.protocol == "udp" else self._stream(message))
        except ssl.SSLError as error:
            raise DeliveryFailed(f"{self.id}: TLS: {error.reason or 'failed'}") from None
        except OSError as error:
            raise DeliveryFailed(f"{self.id}: {error.strerror or error}") from None

    async def _datagram(self, message: bytes) -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=(self._settings.host, self._port))
        transport.sendto(message if len(message) <= UDP_MAX else message[:UDP_MAX].decode(errors="ignore").encode())
        transport.close()

    async def _stream(self, message: bytes) -> None:
        context = ssl.create_default_context(cafile=self._settings.ca_file or None) if self._settings.protocol == "tls" else None
        _, writer = await asyncio.open_connection(self._settings.host, self._port, ssl=context)
        try:
            writer.write(b"%d " % len(message) + message)
            await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()
        finally:
            writer.close()
            await writer.wait_closed()


def _word(value: str, length: int) -> str:
    """A header field: printable ASCII without blanks, `-` for nothing (RFC 5424, 6)."""
    return "".join(c for c in value if "!" <= c <= "~")[:length] or "-"


def _quoted(value: str) -> str:
    """A PARAM-VALUE: quote, backslash and closing bracket are escaped (RFC 5424, 6.3.3); one line."""
    line = " ".join(value.split())
    return line.replace("\\", "\\\\").replace('"', '\\"').replace("]", "\\]")
