"""Whom an agent obeys, as its options say it, and as a certificate proves it."""

from __future__ import annotations

import base64
import hashlib
import ssl
from pathlib import Path

import pytest
from click.testing import CliRunner

from lbctl.cli.root import cli
from lbctl.net.trust import Caller, Files, Trust, pin
from tests.agent.stage import Authority

DIGEST = hashlib.sha256(b"key").digest()


@pytest.mark.parametrize(("controllers", "words"), [
    ([], "Missing option '--controller'"),
    (["sha256:beef"], "sha256: and the SHA-256 of a public key"),
    (["lb 1"], "expected a name or an address"),
], ids=["nobody", "no digest", "no name"])
def test_an_agent_is_told_whom_it_obeys(tmp_path: Path, controllers: list[str], words: str) -> None:
    files = Authority(tmp_path).files("a", "192.0.2.10")
    given = [word for one in controllers for word in ("--controller", one)]
    done = CliRunner().invoke(cli, ["agent", "--address", "192.0.2.9/32@eth0", "--cert-file", str(files.cert), "--key-file", str(files.key),
                                     "--ca-file", str(files.ca), *given])
    assert done.exit_code == 2
    assert words in " ".join(done.output.split())


@pytest.mark.parametrize(("wanted", "obeyed"), [
    ("lb.example.com", True), ("LB.example.com", True), ("192.0.2.1", True), (f"sha256:{DIGEST.hex()}", True),
    ("example.com", False), ("lb", False), ("192.0.2.10", False), (f"sha256:{hashlib.sha256(b'other').hexdigest()}", False),
])
def test_a_name_is_the_whole_name_and_a_pin_the_whole_digest(wanted: str, obeyed: bool) -> None:
    assert Caller(frozenset({"lb.example.com", "192.0.2.1"}), DIGEST).is_one_of([wanted]) is obeyed


def test_a_pin_is_hex_or_base64() -> None:
    assert pin(f"sha256:{DIGEST.hex()}") == pin("sha256:" + base64.b64encode(DIGEST).decode()) == DIGEST


def test_contexts_stay_until_the_files_change_and_a_pair_that_fits_is_there(tmp_path: Path) -> None:
    files = Authority(tmp_path).files("a", "192.0.2.10")
    trust = Trust(files)
    before = trust.client()
    assert trust.client() is before
    key = files.key.read_bytes()
    files.key.write_bytes(b"nonsense")
    assert trust.client() is before and trust.server() is not None, "what worked goes on working"
    files.key.write_bytes(key + b"\n")
    assert trust.client() is not before
    with pytest.raises(FileNotFoundError):
        Trust(Files(files.cert, tmp_path / "none", files.ca))
    assert trust.client().minimum_version is ssl.TLSVersion.TLSv1_3
