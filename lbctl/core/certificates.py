"""The Core's certificate: a configured one, or one from a small authority that the Cores of a pair share (G-PG).

The authority is a directory: whoever starts first makes it, under a lock, so that two Cores started together do not make two. Its certificate
`ca.pem` is what a probe verifies with. A Core's own certificate is made anew when it is near its end or when the Core's names have changed.
"""

from __future__ import annotations

import fcntl
import ipaddress
import os
import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lbctl import durable
from lbctl.core.settings import CoreSettings

CA_DAYS = 3650
DAYS = 397
RENEW_DAYS = 30
BACKDATED = timedelta(hours=1)
"""Certificates begin a little before now: the other side's clock may be behind."""


class Certificates:
    """Where the files are. `cert` and `key` are what the listeners load; `ca` is there only for a certificate of our own making."""

    def __init__(self, settings: CoreSettings, now: float) -> None:
        """Makes what is missing. `now` in UTC seconds. Raises OSError, or ValueError from files that are no certificates."""
        self._now = datetime.fromtimestamp(now, UTC)
        own = settings.directory / "tls"
        own.mkdir(parents=True, exist_ok=True)
        self.ca: Path | None = None
        if settings.tls.cert_file and settings.tls.key_file:
            self.cert, self.key = settings.tls.cert_file, settings.tls.key_file
            return
        self._authority = settings.tls.ca_directory or own / "ca"
        self._names = names(settings)
        self.ca = self._authority / "ca.pem"
        self.cert, self.key = own / "cert.pem", own / "key.pem"
        with _locked(self._authority):
            self._make_authority()
        if not self._still_good():
            self._issue(self.cert, self.key, self._now + timedelta(days=DAYS))

    def expired(self) -> tuple[Path, Path]:
        """A certificate for the same names whose time is over: the fault `expired-certificate`. Raises ValueError for a configured one."""
        if self.ca is None:
            raise ValueError("this Core did not make its certificate: it cannot make an expired one")
        cert, key = self.cert.with_name("expired.pem"), self.cert.with_name("expired-key.pem")
        self._issue(cert, key, self._now - timedelta(days=1))
        return cert, key

    def _make_authority(self) -> None:
        if (self._authority / "ca.key").exists() and (self._authority / "ca.pem").exists():
            return
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Reference Core authority")])
        builder = _builder(name, name, key.public_key(), self._now - BACKDATED, self._now + timedelta(days=CA_DAYS))
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(_usage(signs=True), critical=True)
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        durable.replace(self._authority / "ca.key", _pem(key), 0o600)
        durable.replace(self._authority / "ca.pem", builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM), 0o644)

    def _still_good(self) -> bool:
        """Whether the certificate of the last start may serve on."""
        try:
            cert = x509.load_pem_x509_certificate(self.cert.read_bytes())
            issuer = x509.load_pem_x509_certificate((self._authority / "ca.pem").read_bytes())
            cert.verify_directly_issued_by(issuer)
            found = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            key = serialization.load_pem_private_key(self.key.read_bytes(), None)
        except (OSError, ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
            return False
        in_time = cert.not_valid_after_utc > self._now + timedelta(days=RENEW_DAYS)
        return in_time and key.public_key() == cert.public_key() and set(found) == set(_general(self._names))

    def _issue(self, cert: Path, key_file: Path, end: datetime) -> None:
        authority = serialization.load_pem_private_key((self._authority / "ca.key").read_bytes(), None)
        issuer = x509.load_pem_x509_certificate((self._authority / "ca.pem").read_bytes())
        if not isinstance(authority, ec.EllipticCurvePrivateKey):
            raise ValueError(f"{self._authority / 'ca.key'} is not an authority of a Core's making")
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self._names[0])])
        begin = min(self._now, end - timedelta(days=1)) - BACKDATED
        builder = _builder(subject, issuer.subject, key.public_key(), begin, end)
        builder = builder.add_extension(x509.SubjectAlternativeName(_general(self._names)), critical=False)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_usage(signs=False), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()), critical=False)
        durable.replace(key_file, _pem(key), 0o600)
        durable.replace(cert, builder.sign(authority, hashes.SHA256()).public_bytes(serialization.Encoding.PEM), 0o644)


def server_context(cert: Path, key: Path) -> ssl.SSLContext:
    """TLS for the listeners."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(cert, key)
    return context


def names(settings: CoreSettings) -> tuple[str, ...]:
    """What the certificate is good for: the Core's name, its listening addresses, and what the file adds."""
    listen = settings.listen
    hosts = (listen.https.host, listen.portal.host)
    addresses = [host for host in hosts if host not in ("0.0.0.0", "::")]  # noqa: S104 - compared, not bound
    return tuple(dict.fromkeys((settings.name, *settings.tls.names, *addresses)))


def _general(texts: Iterable[str]) -> list[x509.GeneralName]:
    found: list[x509.GeneralName] = []
    for text in texts:
        try:
            found.append(x509.IPAddress(ipaddress.ip_address(text)))
        except ValueError:
            found.append(x509.DNSName(text))
    return found


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, begin: datetime, end: datetime,
) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
    return builder.serial_number(x509.random_serial_number()).not_valid_before(begin).not_valid_after(end)


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False, key_agreement=False,
        key_cert_sign=signs, crl_sign=signs, encipher_only=False, decipher_only=False,
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Holds the authority's directory against another Core that starts at the same moment."""
    directory.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(directory / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
