"""Real receivers on loopback: a mail server, a web server, log servers, a trap receiver. Each is a context and keeps what it got."""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiohttp import web
from aiosmtpd.smtp import SMTP, AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from lbctl.notifiers.base import Notice


def notice(**changes: Any) -> Notice:
    """A failover as the words make it."""
    values: dict[str, Any] = {
        "key": "core/failover/core-b/8/inc-1", "service": "core", "kind": "failover", "severity": "page", "at": 1_800_000_000.25,
        "what": "traffic moved from core-a to core-b", "why": "core-a failed 3 looks in a row (timeout) and core-b says Standby",
        "evidence": {"core-a": "timeout", "epoch": 8}, "do": "lbctl explain core", "undo": "lbctl resume core --drive",
    }
    return Notice(**{**values, **changes})


async def until(condition: Callable[[], object], what: str, timeout_s: float = 20.0) -> None:
    """Polls until it holds; a slow machine only makes it later."""
    try:
        async with asyncio.timeout(timeout_s):
            while not condition():
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"never happened: {what}") from None


@dataclass
class Certificate:
    """A self-signed certificate for 127.0.0.1 and localhost."""

    cert: Path
    key: Path

    def server(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert, self.key)
        return context


def certificate(folder: Path) -> Certificate:
    import ipaddress

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1)).not_valid_after(now + dt.timedelta(days=1))
        .add_extension(names, critical=False).add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    result = Certificate(folder / "cert.pem", folder / "key.pem")
    result.cert.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    result.key.write_bytes(pem)
    return result


@dataclass
class MailSink:
    """A mail server; `answers` are given to the next messages in place of 250."""

    port: int = 0
    messages: list[EmailMessage] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    refuse: frozenset[str] = frozenset()
    logins: list[tuple[bytes, bytes]] = field(default_factory=list)

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802
        if address in self.refuse:
            return "550 no such reader"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if self.answers:
            return self.answers.pop(0)
        message = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        self.messages.append(message)
        return "250 OK"

    def authenticate(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        self.logins.append((data.login, data.password))
        return AuthResult(success=data.password == b"right")


@asynccontextmanager
async def mail_server(*, tls: Certificate | None = None, implicit: bool = False, login: bool = False) -> AsyncIterator[MailSink]:
    sink = MailSink()
    starttls = tls.server() if tls and not implicit else None

    def session() -> SMTP:
        return SMTP(
            sink, hostname="sink", enable_SMTPUTF8=True, tls_context=starttls, require_starttls=starttls is not None,
            authenticator=sink.authenticate if login else None, auth_required=login, auth_require_tls=starttls is not None,
        )

    server = await asyncio.get_running_loop().create_server(session, "127.0.0.1", 0, ssl=tls.server() if tls and implicit else None)
    sink.port = server.sockets[0].getsockname()[1]
    try:
        yield sink
    finally:
        server.close()
        await asyncio.sleep(0)


@dataclass
class WebSink:
    """A web server that keeps requests; `answers` are the statuses (and headers) of the next ones."""

    url: str = ""
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    hang: bool = False


@asynccontextmanager
async def web_server(tls: Certificate | None = None) -> AsyncIterator[WebSink]:
    sink, released = WebSink(), asyncio.Event()

    async def take(request: web.Request) -> web.Response:
        sink.requests.append((dict(request.headers), await request.read()))
        if sink.hang:
            await released.wait()
        status, headers = sink.answers.pop(0) if sink.answers else (204, {})
        return web.Response(status=status, headers=headers)

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", take)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls.server() if tls else None)
    await site.start()
    port = runner.addresses[0][1]
    sink.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}/hook"
    try:
        yield sink
    finally:
        released.set()
        await runner.cleanup()


@dataclass
class LineSink:
    """A log server: what came, whole."""

    port: int = 0
    got: list[bytes] = field(default_factory=list)


@asynccontextmanager
async def datagram_server() -> AsyncIterator[LineSink]:
    sink = LineSink()

    class Protocol(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: Any) -> None:
            sink.got.append(data)

    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Protocol, local_addr=("127.0.0.1", 0))
    sink.port = transport.get_extra_info("sockname")[1]
    try:
        yield sink
    finally:
        transport.close()


@asynccontextmanager
async def stream_server(tls: Certificate | None = None) -> AsyncIterator[LineSink]:
    sink = LineSink()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        data = await reader.read()
        if data:
            sink.got.append(data)
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0, ssl=tls.server() if tls else None)
    sink.port = server.sockets[0].getsockname()[1]
    try:
        yield sink
    finally:
        server.close()
        await asyncio.sleep(0)
