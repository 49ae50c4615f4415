"""`lbctl core …` as a user types it: exit codes, sentences, and a Core that really does it."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lbctl.core.faults import Fault
from lbctl.core.node import Node
from tests.core.cores import hosts, running, settings

SECONDARY = {"enabled": True, "mode": "Secondary"}


async def lbctl(*words: str) -> tuple[int, str]:
    """Exit code and everything that was said."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "lbctl.cli", "core", *words, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT)
    out, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode()


@dataclass
class Running:
    """A Core in this process, and its file for the command line."""

    node: Node
    file: Path



@pytest.fixture
async def core(tmp_path: Path) -> AsyncIterator[Running]:
    host = {"host": hosts(1)[0], "port": 4443}
    listen = {"https": host, "portal": {**host, "port": 8443}, "ssh": {**host, "port": 2222}}
    config = settings(tmp_path, "core-b", ha=SECONDARY, listen=listen)
    file = tmp_path / "core-b.yaml"
    file.write_text(config.model_dump_json(exclude_defaults=True))
    async with running(config) as node:
        yield Running(node, file)


async def test_ssh_runs_a_command_under_enable_and_gives_its_exit_code(core: Running) -> None:
    """G-CLI: `lbctl core ssh HOST -- failover mode primary`, with the Core's file in the place of HOST."""
    code, said = await lbctl("ssh", str(core.file), "--", "failover", "mode", "primary")
    assert code == 0, said
    assert "State: Active" in said
    code, said = await lbctl("ssh", str(core.file), "--", "failover", "sync", "192.0.2.1")
    assert code == 3
    assert "standby" in said


async def test_ssh_to_a_host_wants_its_key_known(core: Running, tmp_path: Path) -> None:
    """G-SSH: an unknown host is refused; a known one takes password or key."""
    password, known = core.node.settings.directory / "admin-password", tmp_path / "known_hosts"
    known.write_text("")
    host = core.node.settings.listen.ssh.host
    line = ["ssh", f"{host}:2222", "--password-file", str(password), "--known-hosts-file", str(known), "--", "show", "version"]
    code, said = await lbctl(*line)
    assert code == 1
    assert "host key" in said
    known.write_text(f"[{host}]:2222 {(core.node.settings.directory / 'ssh' / 'local_key.pub').read_text()}")
    code, said = await lbctl(*line)
    assert code == 0, said
    assert "11.3.0.0" in said


async def test_fault_and_status_speak_to_a_running_core_and_say_so_where_there_is_none(core: Running) -> None:
    assert (await lbctl("fault", "-c", str(core.file), "503"))[0] == 0
    assert core.node.fault is Fault.UNAVAILABLE
    assert (await lbctl("fault", "-c", str(core.file), "clear"))[0] == 0
    assert core.node.fault is Fault.NONE
    code, said = await lbctl("fault", "-c", str(core.file), "bogus")
    assert code == 2
    assert "slow-drip" in said
    code, said = await lbctl("status", "-c", str(core.file))
    assert json.loads(said)["state"] == "Standby"
    await core.node.stop()
    code, said = await lbctl("status", "-c", str(core.file))
    assert code == 1
    assert "no Core is running" in said


async def test_fill_gives_a_core_devices_once(core: Running) -> None:
    assert (await lbctl("fill", "-c", str(core.file), "--devices", "50"))[0] == 0
    code, said = await lbctl("fill", "-c", str(core.file), "--devices", "50")
    assert code == 1
    assert "--start" in said
    assert await core.node.replication.database.count("devices") == 50


async def test_a_wrong_file_ends_with_7_and_the_place_of_each_mistake(tmp_path: Path) -> None:
    file = tmp_path / "core.yaml"
    file.write_text("name: core-a\ndirectory: x\nlisten: {https: nowhere}\n")
    code, said = await lbctl("serve", "-c", str(file))
    assert code == 7
    assert f"{file}:3:" in said


async def test_a_port_that_is_taken_and_a_directory_in_use_are_told(core: Running, tmp_path: Path) -> None:
    code, said = await lbctl("serve", "-c", str(core.file))
    assert code == 1
    assert "is running" in said
    other = tmp_path / "other.yaml"
    other.write_text(core.file.read_text().replace(str(core.node.settings.directory), str(tmp_path / "other")))
    code, said = await lbctl("serve", "-c", str(other))
    assert code == 1
    assert "4443" in said
    assert "Traceback" not in said
