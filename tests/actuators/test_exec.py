"""Commands of an operator's: real programs."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from lbctl.actuators.exec import Exec, Settings
from lbctl.errors import ActuatorError, Superseded
from lbctl.model.decision import Desired
from tests.actuators.places import PATIENCE_S, command_on

DESIRED = Desired("core", 7, ("b",), {"": ("192.0.2.11",)}, {"": ("192.0.2.10",)})


def python(text: str, *words: str) -> tuple[str, ...]:
    return (sys.executable, "-c", text, *words)


def actuator(apply: tuple[str, ...] = ("/bin/true",), read: tuple[str, ...] = ("/bin/true",), timeout_s: float = PATIENCE_S) -> Exec:
    return Exec(Settings("own", apply, read, timeout_s), None)


async def test_the_command_is_given_the_decision_and_the_other_tells_what_is_so(tmp_path: Path) -> None:
    own = Exec(command_on(tmp_path), None)
    await own.apply(DESIRED)
    [place] = (await own.read()).places
    assert (place.addresses, place.epoch) == (frozenset({"192.0.2.11"}), 7)
    assert (tmp_path / "shown.json").read_text() == (
        '{"service": "core", "epoch": 7, "members": ["b"], "addresses": ["192.0.2.11"], "previous": ["192.0.2.10"]}')


async def test_no_shell_reads_the_words_and_the_environment_is_small(tmp_path: Path) -> None:
    out = tmp_path / "out"
    text = "import os, sys; open(sys.argv[1], 'w').write(repr([sys.argv[2], sorted(set(os.environ) - {'LC_CTYPE'})]))"
    os.environ["LBCTL_TEST_SECRET"] = "x"
    try:
        await actuator(python(text, str(out), "$HOME; `id`")).apply(DESIRED)
    finally:
        del os.environ["LBCTL_TEST_SECRET"]
    assert out.read_text() == "['$HOME; `id`', ['LC_ALL', 'PATH']]"


async def test_at_the_deadline_everything_it_started_is_killed(tmp_path: Path) -> None:
    out = tmp_path / "pid"
    text = "import subprocess, sys, time; open(sys.argv[1], 'w').write(str(subprocess.Popen(['sleep', '600']).pid)); time.sleep(600)"
    with pytest.raises(ActuatorError) as raised:
        await actuator(python(text, str(out)), timeout_s=2).apply(DESIRED)
    assert raised.value.reason == "timeout"
    if out.exists():
        async with asyncio.timeout(PATIENCE_S):
            while running(int(out.read_text() or 0)):
                await asyncio.sleep(0.02)


def running(pid: int) -> bool:
    try:
        return pid > 0 and Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(("text", "reason", "words"), [
    ("raise SystemExit('no such zone')", "failed", "ends with 1: no such zone"),
    ("raise SystemExit(4)", "superseded", "a newer epoch"),
    ("print('x' * 100000)", "too-large", "64 KiB"),
], ids=["fails", "stale", "too much"])
async def test_how_it_ends_is_told(text: str, reason: str, words: str) -> None:
    with pytest.raises(ActuatorError, match=words) as raised:
        await actuator(python(text)).apply(DESIRED)
    assert raised.value.reason == reason
    assert isinstance(raised.value, Superseded) == (reason == "superseded")


@pytest.mark.parametrize("printed", ["", "no", "[]", '{"addresses": "192.0.2.1"}', '{"addresses": [1]}', '{"addresses": [], "epoch": "7"}'])
async def test_what_is_no_answer_is_a_place_that_cannot_be_read(printed: str) -> None:
    [place] = (await actuator(read=python(f"print({printed!r})")).read()).places
    assert (place.addresses, place.error_reason) == (None, "malformed")


async def test_an_address_is_the_same_however_it_is_written() -> None:
    [place] = (await actuator(read=python("""print('{"addresses": ["2001:DB8:0::9", "192.0.2.1", "core.example.com"]}')""")).read()).places
    assert place.addresses == frozenset({"2001:db8::9", "192.0.2.1", "core.example.com"})


async def test_a_command_that_does_not_exist_is_said() -> None:
    with pytest.raises(ActuatorError, match="/nowhere") as raised:
        await actuator(("/nowhere",)).apply(DESIRED)
    assert raised.value.reason == "missing"


async def test_one_that_reads_nothing_is_no_error() -> None:
    await actuator(("/bin/true",)).apply(Desired("core", 1, ("b",), {"": tuple(f"192.0.2.{n}" for n in range(250))}))
