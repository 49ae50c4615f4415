"""Whom we show and whom we believe on a line between a controller and its agents, and who the other end has proved to be.

Certificates change under a running process: a site renews them every few weeks, and an agent that had to be restarted for it would be without
a keeper for a moment. So the files are looked at again, and contexts are made anew where they have changed. A pair that does not fit
together (the certificate is replaced, the key not yet) leaves the old contexts in place and is told once: what worked goes on working.

A certificate of the site's authority says only that its owner belongs to the site. What it may *do* is decided by its names or its key
(`Caller.is_one_of`), which the agent's own host lists.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import structlog
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

PIN = "sha256:"
"""Before the digest of a public key (SPKI), in hex or base64."""
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Files:
    """A certificate, its private key, and the authority of all who may speak: PEM."""

    cert: Path
    key: Path
    ca: Path

    def context(self, *, server: bool) -> ssl.SSLContext:
        """TLS 1.3, both sides proved. OSError (`ssl.SSLError` is one) where a file cannot be used."""
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
        made.minimum_version = ssl.TLSVersion.TLSv1_3
        made.load_verify_locations(self.ca)
        made.load_cert_chain(self.cert, self.key)
        made.verify_mode = ssl.CERT_REQUIRED
        return made

    def stamps(self) -> tuple[tuple[int, int, int], ...]:
        """What changes when a file does: a rename over it, a new length, a new time. A file that is away has none."""
        found = []
        for file in (self.cert, self.key, self.ca):
            try:
                seen = file.stat()
                found.append((seen.st_ino, seen.st_size, seen.st_mtime_ns))
            except OSError:
                found.append((0, 0, 0))
        return tuple(found)


class Trust:
    """The contexts of these files as they are now. OSError at the start where they cannot be used; later the last usable ones stay."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._stamps = files.stamps()
        self._client, self._server = files.context(server=False), files.context(server=True)

    def client(self) -> ssl.SSLContext:
        """For a connection that we open."""
        self.renewed()
        return self._client

    def server(self) -> ssl.SSLContext:
        """For connections that we take."""
        self.renewed()
        return self._server

    def renewed(self) -> bool:
        """Looks at the files; True where other contexts hold from now on. Three calls of stat where nothing has changed."""
        stamps = self._files.stamps()
        if stamps == self._stamps:
            return False
        self._stamps = stamps  # before the reading: what cannot be used is not tried again until it changes once more
        try:
            made = self._files.context(server=False), self._files.context(server=True)
        except OSError as error:
            log.warning("new certificates cannot be used, the old ones stay", cert=str(self._files.cert), why=str(error))
            return False
        self._client, self._server = made
        log.info("new certificates are in use", cert=str(self._files.cert))
        return True


@dataclass(frozen=True, slots=True)
class Caller:
    """Who has proved himself: the names and addresses of his certificate (subjectAltName alone, RFC 9525), and his public key's digest."""

    names: frozenset[str]
    spki_sha256: bytes

    def is_one_of(self, wanted: Iterable[str]) -> bool:
        """Whether a name or a `sha256:` pin of the list is his."""
        return any(pin(one) == self.spki_sha256 if one.startswith(PIN) else one.lower() in self.names for one in wanted)

    @property
    def who(self) -> str:
        """For people: `lb-1.example.com (sha256:ab12…)`."""
        return f"{', '.join(sorted(self.names)) or 'a certificate without names'} ({PIN}{self.spki_sha256.hex()})"


def caller(line: ssl.SSLObject) -> Caller:
    """Who is at the other end of a verified connection. ValueError where its certificate cannot be read."""
    der = line.getpeercert(binary_form=True)
    if der is None:
        raise ValueError("the other end has shown no certificate")
    certificate = x509.load_der_x509_certificate(der)
    public = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return Caller(_names(certificate), hashlib.sha256(public).digest())


def pin(text: str) -> bytes:
    """The digest of `sha256:…`, in hex or base64. ValueError where it is none."""
    value = text.removeprefix(PIN)
    try:
        found = bytes.fromhex(value) if len(value) == 64 else base64.b64decode(value, validate=True)
    except (ValueError, binascii.Error):
        found = b""
    if len(found) != 32:
        raise ValueError(f"{text}: expected {PIN} and the SHA-256 of a public key, in hex or base64")
    return found


def _names(certificate: x509.Certificate) -> frozenset[str]:
    """The common name is not among them: RFC 9525 has given it up, and a name that counts must be one that the authority meant."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return frozenset()
    names = [name.lower() for name in found.get_values_for_type(x509.DNSName)]
    return frozenset(names + [str(address) for address in found.get_values_for_type(x509.IPAddress)])
