"""Certificates for a test: an authority, a server on 127.0.0.1, clients."""

from __future__ import annotations

import datetime as dt
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


class Authority:
    def __init__(self, directory: Path, name: str = "test authority") -> None:
        self.directory = directory
        self._name = _name(name)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.file = directory / f"{name.replace(' ', '-')}.pem"
        certificate = self._build(self._name, self._key.public_key()).add_extension(x509.BasicConstraints(True, None), True)
        self.file.write_bytes(certificate.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def _build(self, subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        now = dt.datetime.now(dt.UTC)
        day = dt.timedelta(days=1)
        return x509.CertificateBuilder().subject_name(subject).issuer_name(self._name).public_key(key).serial_number(
            x509.random_serial_number()).not_valid_before(now - day).not_valid_after(now + day)

    def issue(self, name: str, *, file: str | None = None, address: str = "127.0.0.1") -> tuple[str, str]:
        """Certificate and key files for this common name, good for the name and the address."""
        key = ec.generate_private_key(ec.SECP256R1())
        here = [x509.IPAddress(ipaddress.ip_address(address)), *([x509.DNSName(name)] if "." in name else [])]
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        made = self._build(_name(name), key.public_key()).add_extension(x509.SubjectAlternativeName(here), False).add_extension(usage, False)
        certificate = made.sign(self._key, hashes.SHA256())
        files = self.directory / f"{file or name}.crt", self.directory / f"{file or name}.key"
        files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        files[1].write_bytes(key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        return str(files[0]), str(files[1])
