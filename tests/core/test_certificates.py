"""The Core's certificate (G-PG): made on first start, shared authority, renewed when it must be."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest
from cryptography import x509

from lbctl.core.certificates import DAYS, Certificates
from tests.core.cores import settings

NOW = 1_800_000_000.0
DAY_S = 86400


def serial(certificates: Certificates) -> int:
    return x509.load_pem_x509_certificate(certificates.cert.read_bytes()).serial_number


def made(base: Path, name: str, now: float = NOW, **more: object) -> Certificates:
    config = settings(base, name, **more)
    config.directory.mkdir(exist_ok=True)
    return Certificates(config, now)


def test_the_cores_of_a_pair_share_one_authority_and_keep_their_certificates(tmp_path: Path) -> None:
    a, b = made(tmp_path, "core-a"), made(tmp_path, "core-b")
    assert a.ca == b.ca
    assert serial(a) != serial(b)
    assert serial(made(tmp_path, "core-a")) == serial(a)
    assert (tmp_path / "ca" / "ca.key").stat().st_mode & 0o777 == 0o600
    assert a.key.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(("now", "kept"), [(NOW + (DAYS - 31) * DAY_S, True), (NOW + (DAYS - 29) * DAY_S, False)], ids=["time left", "near its end"])
def test_a_certificate_near_its_end_is_made_anew(tmp_path: Path, now: float, kept: bool) -> None:
    assert (serial(made(tmp_path, "core-a")) == serial(made(tmp_path, "core-a", now))) is kept


def test_another_name_another_authority_or_a_torn_pair_of_files_makes_a_new_one(tmp_path: Path) -> None:
    other = {"ca_directory": tmp_path / "other"}
    seen = [serial(made(tmp_path, "core-a")), serial(made(tmp_path, "core-a", tls={"ca_directory": tmp_path / "ca", "names": ["core.example.com"]}))]
    elsewhere = made(tmp_path, "core-a", tls=other)
    seen.append(serial(elsewhere))
    elsewhere.key.write_bytes(made(tmp_path, "core-b", tls=other).key.read_bytes())
    seen.append(serial(made(tmp_path, "core-a", tls=other)))
    assert len(set(seen)) == 4


async def test_two_cores_that_start_together_make_one_authority(tmp_path: Path) -> None:
    both = await asyncio.gather(*(asyncio.to_thread(made, tmp_path, name) for name in ("core-a", "core-b", "core-c", "core-d")))
    issuer = x509.load_pem_x509_certificate((tmp_path / "ca" / "ca.pem").read_bytes())
    for one in both:
        x509.load_pem_x509_certificate(one.cert.read_bytes()).verify_directly_issued_by(issuer)


def test_a_configured_certificate_is_used_as_it_is_and_cannot_be_made_to_expire(tmp_path: Path) -> None:
    other = made(tmp_path, "core-b")
    own = made(tmp_path, "core-a", tls={"cert_file": other.cert, "key_file": other.key})
    assert (own.cert, own.key, own.ca) == (other.cert, other.key, None)
    with pytest.raises(ValueError, match="did not make"):
        own.expired()


def test_the_expired_certificate_is_for_the_same_names_and_its_time_is_over(tmp_path: Path) -> None:
    a = made(tmp_path, "core-a")
    cert, key = a.expired()
    found = x509.load_pem_x509_certificate(cert.read_bytes())
    assert found.not_valid_after_utc.timestamp() < NOW
    assert found.not_valid_before_utc < found.not_valid_after_utc
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key)
