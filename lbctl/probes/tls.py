"""TLS for looks: contexts shared by all targets with equal settings, and what a certificate tells.

The handshake runs in memory (`ssl.MemoryBIO`) beside the look's own socket: no transport, one send a flight, and every failure can be told
apart. Sessions are never resumed: a resumed session proves less, and costs a Python client more than it saves.
"""

from __future__ import annotations

import hashlib
import ssl
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from lbctl.probes.base import Tls


class Facts(NamedTuple):
    """Of a certificate: digest of the whole, end of validity (UTC seconds), digest of its public key (SPKI), the same in hex."""

    digest: bytes
    not_after: float | None
    spki_sha256: bytes
    key: str = ""


@dataclass(slots=True)
class _Made:
    context: ssl.SSLContext
    stamps: tuple[int, ...]


class Contexts:
    """Contexts by settings. Files are read when a context is first needed, and again after a failed handshake where they have changed."""

    def __init__(self) -> None:
        self._made: dict[Tls, _Made] = {}

    def context(self, tls: Tls, *, again: bool = False) -> ssl.SSLContext:
        """Raises OSError (`ssl.SSLError` is one) where a file cannot be read: a fault of this machine, not of the member."""
        # What differs from target to target stays outside: thousands of members share a handful of contexts.
        key = replace(tls, server_name=None, pin_sha256=None)
        made = self._made.get(key)
        # Only asked after a failed handshake: no stat at every look, and a renewed CA is found when it matters.
        if made is None or (again and made.stamps != _stamps(key)):
            made = self._made[key] = _Made(_context(key), _stamps(key))
        return made.context


def certificate_facts(der: bytes, known: Facts | None) -> Facts:
    """What the certificate tells; parsed only where it is another one than `known`."""
    digest = hashlib.sha256(der).digest()
    # Parsed once: the certificate is the same for months, and a digest is cheap at every look.
    if known is not None and known.digest == digest:
        return known
    try:
        certificate = x509.load_der_x509_certificate(der)
        public = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        key = hashlib.sha256(public)
        return Facts(digest, certificate.not_valid_after_utc.timestamp(), key.digest(), key.hexdigest())
    # The certificate is the member's: whatever it holds, the look goes on, only without these facts.
    except (ValueError, TypeError, ArithmeticError, UnsupportedAlgorithm, x509.InvalidVersion):
        return Facts(digest, None, b"")


def _context(tls: Tls) -> ssl.SSLContext:
    # With a CA file of one's own the system's are not trusted besides: a public CA must not vouch for an inner name.
    context = ssl.create_default_context(cafile=tls.ca_file) if tls.verify else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if not tls.verify:
        # Before `verify_mode`, which may not be lowered while names are checked.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.verify_flags = (context.verify_flags | ssl.VERIFY_X509_PARTIAL_CHAIN) & ~ssl.VERIFY_X509_STRICT  # the same on every Python
    # Sessions are never resumed: no ticket is wanted.
    context.options |= ssl.OP_NO_TICKET
    if tls.client_cert_file:
        context.load_cert_chain(tls.client_cert_file, tls.client_key_file)
    return context


def _stamps(tls: Tls) -> tuple[int, ...]:
    files = (tls.ca_file, tls.client_cert_file, tls.client_key_file)
    # Renewed files come with a new time; their content is not read to find out.
    return tuple(Path(name).stat().st_mtime_ns for name in files if name)
