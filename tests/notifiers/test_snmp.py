"""Notices as traps, against a real snmptrapd (Debian package snmptrapd)."""

from __future__ import annotations

import asyncio
import re
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from lbctl.clock import SystemClock
from lbctl.notifiers import ber
from lbctl.notifiers.base import DeliveryFailed
from lbctl.notifiers.snmp import NUMBER, Settings, Snmp, localized
from tests.notifiers.sinks import notice

ENGINE = "80007ed904746573742d6c6263746c"


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def snmptrapd(folder: Path, *lines: str) -> AsyncIterator[tuple[int, Path]]:
    """A trap receiver: its port, and the file that it writes to."""
    program = shutil.which("snmptrapd", path="/usr/sbin:/usr/bin")
    assert program, "apt-get install snmptrapd"
    port, log = free_port(), folder / "traps.log"
    (folder / "snmptrapd.conf").write_text("\n".join([*lines, f"[snmp] persistentDir {folder}", "format2 VALUES %v\\n", ""]))
    process = await asyncio.create_subprocess_exec(
        program, "-f", "-C", "-c", str(folder / "snmptrapd.conf"), "-On", "-Lf", str(log), "-p", str(folder / "pid"), "-m", "",
        f"udp:127.0.0.1:{port}", env={"SNMP_PERSISTENT_DIR": str(folder), "MIBS": ""}, stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(20):
            while not (folder / "pid").exists():
                assert process.returncode is None, log.read_text() if log.exists() else "snmptrapd ended"
                await asyncio.sleep(0.02)
        yield port, log
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def received(way: Snmp, log: Path) -> str:
    """Sends until the receiver has written a trap: UDP, and its socket may open after its pid file."""
    async with asyncio.timeout(20):
        while "VALUES" not in (log.read_text(errors="replace") if log.exists() else ""):
            await way.send(notice())
            await asyncio.sleep(0.1)
    return log.read_text(errors="replace")


@pytest.mark.peer("snmptrapd")
async def test_a_v2c_trap_is_understood_by_a_real_receiver(tmp_path: Path) -> None:
    (tmp_path / "community").write_text("canary-community\n")
    async with snmptrapd(tmp_path, "authCommunity log canary-community") as (port, log):
        text = await received(Snmp(Settings(host="127.0.0.1", port=port, community_file=str(tmp_path / "community")), SystemClock()), log)
    assert ".1.3.6.1.6.3.1.1.4.1.0 = OID: .1.3.6.1.4.1.32473.1.0.3" in text, text
    assert '.1.3.6.1.4.1.32473.1.1.1.0 = STRING: "core"' in text
    assert '.1.3.6.1.4.1.32473.1.1.4.0 = STRING: "traffic moved from core-a to core-b"' in text


@pytest.mark.peer("snmptrapd")
async def test_a_community_that_the_receiver_does_not_know_is_not_written(tmp_path: Path) -> None:
    (tmp_path / "right").write_text("right")
    (tmp_path / "wrong").write_text("wrong")
    async with snmptrapd(tmp_path, "authCommunity log right") as (port, log):
        await Snmp(Settings(host="127.0.0.1", port=port, community_file=str(tmp_path / "wrong")), SystemClock()).send(notice(what="from nobody"))
        text = await received(Snmp(Settings(host="127.0.0.1", port=port, community_file=str(tmp_path / "right")), SystemClock()), log)
    assert "from nobody" not in text


@pytest.mark.peer("snmptrapd")
@pytest.mark.parametrize(("auth", "net_snmp"), [("sha", "SHA"), ("sha256", "SHA-256")])
@pytest.mark.parametrize("private", [True, False], ids=["authPriv", "authNoPriv"])
async def test_a_v3_trap_passes_the_receivers_authentication_and_privacy(tmp_path: Path, auth: str, net_snmp: str, private: bool) -> None:
    (tmp_path / "auth").write_text("an auth phrase of some length")
    (tmp_path / "priv").write_text("a priv phrase of some length")
    user = f'createUser -e 0x{ENGINE} lbctl {net_snmp} "an auth phrase of some length" AES "a priv phrase of some length"'
    settings = {"user": "lbctl", "auth": auth, "auth_file": str(tmp_path / "auth"), "engine_id": ENGINE}
    if private:
        settings["priv_file"] = str(tmp_path / "priv")
    async with snmptrapd(tmp_path, user, f"authUser log lbctl {'priv' if private else 'auth'}") as (port, log):
        text = await received(Snmp(Settings(host="127.0.0.1", port=port, version="3", **settings), SystemClock()), log)  # type: ignore[arg-type]
    assert '.1.3.6.1.4.1.32473.1.1.1.0 = STRING: "core"' in text, text


def test_the_mib_numbers_what_a_trap_carries() -> None:
    text = (Path(__file__).parents[2] / "deploy" / "snmp" / "LBCTL-MIB.txt").read_text()
    objects = {int(number): name for name, number in re.findall(r"^lbctl(\w+) OBJECT-TYPE.*?lbctlObjects (\d+)", text, re.MULTILINE | re.DOTALL)}
    assert [objects[number].lower() for number in range(1, 9)] == ["service", "kind", "severity", "what", "why", "do", "undo", "at"]
    told = re.findall(r"^lbctl(\w+) NOTIFICATION-TYPE.*?lbctlNotifications (\d+)", text, re.MULTILINE | re.DOTALL)
    traps = {name.lower(): int(number) for name, number in told}
    assert traps == {str(severity): number for severity, number in NUMBER.items()}
    assert f"enterprises {Settings(host='x').enterprise} 1" in text


def test_the_localized_key_is_the_one_of_the_rfc() -> None:
    """RFC 3414, A.3.2."""
    key = localized(b"maplesyrup", bytes.fromhex("000000000000000000000002"), "sha1")
    assert key.hex() == "6695febc9288e36282235fc7151f128497b38f3f"


async def test_a_pass_phrase_that_is_too_short_is_said_and_not_tried_again(tmp_path: Path) -> None:
    (tmp_path / "auth").write_text("short")
    way = Snmp(Settings(host="127.0.0.1", port=9, version="3", user="lbctl", auth_file=str(tmp_path / "auth")), SystemClock())
    with pytest.raises(DeliveryFailed, match="8 characters") as failed:
        await way.send(notice())
    assert not failed.value.temporary


@pytest.mark.parametrize(("value", "encoded"), [
    (0, "020100"), (127, "02017f"), (128, "02020080"), (256, "02020100"), (-1, "0201ff"), (2**31 - 1, "02047fffffff"),
], ids=str)
def test_integers_are_the_shortest_twos_complement(value: int, encoded: str) -> None:
    """X.690, 8.3."""
    assert ber.integer(value).hex() == encoded


def test_object_identifiers_and_long_lengths_are_encoded_as_x690_has_it() -> None:
    assert ber.oid("1.3.6.1.4.1.32473").hex() == "06082b0601040181fd59"
    assert ber.octets(b"x" * 200)[:3].hex() == "0481c8" and ber.octets(b"x" * 300)[:4].hex() == "0482012c"


@pytest.mark.parametrize("wrong", ["", "1", "3.1", "1.40", "1.3.x"])
def test_what_is_no_object_identifier_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        ber.oid(wrong)


@pytest.mark.parametrize("wrong", [{"version": "1"}, {"version": "3"}, {"auth": "md5"}, {"engine_id": "00"}, {"engine_id": "zz" * 6}], ids=str)
def test_wrong_settings_are_refused_at_once(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Settings(host="x", **wrong)  # type: ignore[arg-type]
