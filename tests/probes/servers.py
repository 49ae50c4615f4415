"""Servers on loopback that answer exactly what a test says, byte by byte, plain or with TLS; and certificates to match."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Play: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Server:
    """Counts connections, keeps requests."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.connections = 0
        self.requests: list[bytes] = []
        self.writers: set[asyncio.StreamWriter] = set()


@asynccontextmanager
async def serving(play: Play | bytes, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[Server]:
    """Answers each request with `play`: the bytes and the end, or whatever the coroutine function does."""
    tasks: set[asyncio.Task[None]] = set()

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connections += 1
        server.writers.add(writer)
        try:
            if isinstance(play, bytes):
                server.requests.append(await reader.readuntil(b"\r\n\r\n"))
                writer.write(play)
                await writer.drain()
            else:
                await play(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            server.writers.discard(writer)
            writer.close()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(connection(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    listening = await asyncio.start_server(connected, host, port, ssl=tls, limit=1 << 20)
    server = Server(listening.sockets[0].getsockname()[1])
    try:
        yield server
    finally:
        await _turns()  # a connection that was just made becomes one of ours: accepted after the close, nobody would ever end it
        listening.close()
        for writer in list(server.writers):
            writer.transport.abort()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await _turns()  # what was ended is closed


async def _turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def reply(body: bytes, *, status: str = "200 OK", fields: str = "") -> bytes:
    """An honest reply."""
    return f"HTTP/1.1 {status}\r\nContent-Type: text/html\r\nContent-Length: {len(body)}\r\n{fields}\r\n".encode() + body


class Authority:
    """A certificate authority in a folder."""

    def __init__(self, folder: Path, name: str = "test authority") -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        limits = x509.BasicConstraints(ca=True, path_length=None)
        builder = self._builder(self._name, self._key, timedelta(days=30)).add_extension(limits, critical=True)
        self.file = str(folder / f"{name.replace(' ', '-')}.pem")
        Path(self.file).write_bytes(builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def issue(self, file: str, *names: str, valid: timedelta = timedelta(days=10)) -> tuple[str, x509.Certificate]:
        """Key and certificate for these names in one file, and the certificate. A negative time is one that is over."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        builder = self._builder(subject, key, valid).add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        path = self._folder / file
        private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
        return str(path), certificate

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, valid: timedelta) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder().subject_name(subject).issuer_name(self._name).public_key(key.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=40)).not_valid_after(now + valid)
        )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def server_context(file: str, *, client_ca: str | None = None) -> ssl.SSLContext:
    """A server's side with that key and certificate; with `client_ca`, only clients that it knows."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(file)
    if client_ca:
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context
