"""The hand on a real Core: the guide's commands over real SSH, and what it makes of broken connections (G-CLI, SEMANTICS 3)."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import asyncssh
import pytest

from lbctl.clock import SystemClock
from lbctl.core.node import Node
from lbctl.core.users import ADMIN_KEY
from lbctl.drive import DONE, Grip, Hand, HandError
from lbctl.policy.runs import PROMOTE_STEPS, RESTORE_STEPS, RETURN_STEPS
from tests.core.cores import pair


def grip(node: Node) -> Grip:
    """The owner's key, and a known-hosts file with this Core's host key."""
    port = node.endpoints()["ssh"].port
    known = node.settings.directory / "known_hosts"
    known.write_text(f"[127.0.0.1]:{port} {node.trust.local_key}\n")
    return Grip("127.0.0.1", port, node.settings.admin.user, node.settings.directory / ADMIN_KEY, known)


@pytest.fixture
async def cores(tmp_path: Path) -> AsyncIterator[tuple[Node, Node]]:
    async with pair(tmp_path) as (a, b):
        yield a, b


def test_every_command_of_a_run_is_read_back() -> None:
    assert {step.name for step in (*RETURN_STEPS, *RESTORE_STEPS, *PROMOTE_STEPS) if step.command} == set(DONE)


async def test_the_commands_of_a_return_have_their_effects(cores: tuple[Node, Node]) -> None:
    """G-CLI: clients off, the last sync, roles, clients on: each read back from the Core."""
    a, b = (Hand(grip(node), SystemClock()) for node in cores)
    assert (await a.do("disable-clients", "failover client-connection disable")).ok
    assert not (await a.status()).clients
    synced = await b.do("last-sync", "failover sync {peer}", peer="127.0.0.1")
    assert synced.ok, synced.detail
    assert (await a.do("demote", "failover mode secondary")).ok
    assert (await b.do("promote", "failover mode primary")).ok
    assert (await b.do("enable-clients", "failover client-connection enable")).ok
    assert not (await a.status()).primary and (await b.status()).primary


async def test_a_status_tells_versions_and_the_last_copy(cores: tuple[Node, Node]) -> None:
    """H1, G-BP: whose copy it is and how old, on our clock."""
    hand = Hand(grip(cores[1]), SystemClock())
    await hand.do("last-sync", "failover sync {peer}", peer="127.0.0.1")
    status = await hand.status()
    assert status.version == cores[1].settings.version and abs(status.skew_s) < 5.0
    assert status.copy_of is not None and status.copy_of["source"]


async def test_a_refused_sync_is_a_failed_step_that_says_why(cores: tuple[Node, Node]) -> None:
    hand = Hand(grip(cores[0]), Quick())
    outcome = await hand.do("last-sync", "failover sync {peer}", peer="127.0.0.1")
    assert not outcome.ok and "Primary" in outcome.detail


async def test_an_unknown_host_key_is_refused_before_anything_is_sent(cores: tuple[Node, Node], tmp_path: Path) -> None:
    known = tmp_path / "empty"
    known.write_text("")
    good = grip(cores[0])
    with pytest.raises(HandError, match="host key"):
        await Hand(Grip(good.host, good.port, good.user, good.key_file, known), SystemClock()).status()


async def test_a_core_that_is_gone_fails_the_step(cores: tuple[Node, Node]) -> None:
    hand = Hand(grip(cores[1]), Quick())
    await cores[1].stop()
    outcome = await hand.do("promote", "failover mode primary")
    assert not outcome.ok and outcome.detail


async def endless(process: asyncssh.SSHServerProcess[str]) -> None:
    """A Core that prints and prints, on both of its outputs."""
    with contextlib.suppress(asyncssh.Error, OSError):
        while True:
            for out in (process.stdout, process.stderr):
                out.write("no end\n" * 10_000)
                await out.drain()


@contextlib.asynccontextmanager
async def core_of(path: Path, answer: Callable[[asyncssh.SSHServerProcess[str]], Awaitable[None]]) -> AsyncIterator[Hand]:
    """A hand on an SSH server that answers so, whatever it is asked."""
    keys = {name: asyncssh.generate_private_key("ssh-ed25519") for name in ("host", "user")}
    (path / "key").write_bytes(keys["user"].export_private_key("openssh"))
    (path / "authorized").write_bytes(keys["user"].export_public_key("openssh"))
    server = await asyncssh.listen("127.0.0.1", 0, server_host_keys=[keys["host"]], authorized_client_keys=str(path / "authorized"),
                                   process_factory=answer)
    (path / "known").write_text(f"[127.0.0.1]:{server.get_port()} {keys['host'].export_public_key('openssh').decode()}")
    try:
        yield Hand(Grip("127.0.0.1", server.get_port(), "admin", path / "key", path / "known"), SystemClock())
    finally:
        server.close()
        await server.wait_closed()


async def test_a_core_that_prints_without_end_is_cut_off_and_not_remembered(tmp_path: Path) -> None:
    async with core_of(tmp_path, endless) as hand:
        with pytest.raises(HandError, match="prints more than 1024 KiB"):
            await hand.say("show failover status json", timeout_s=20.0)


class Quick(SystemClock):
    """A clock that does not wait between read-backs."""

    async def sleep(self, seconds: float) -> None:
        await super().sleep(0)


class Told(Hand):
    """A Core that answers with this text, whatever it is asked."""

    def __init__(self, text: str) -> None:
        super().__init__(Grip("127.0.0.1", 22, "admin", Path("key"), Path("known")), Quick())
        self.text = text

    async def say(self, line: str, *, timeout_s: float = 0.0) -> tuple[int, str]:
        return 0, self.text


def status_with(**changes: object) -> str:
    now = SystemClock().now()
    told = {"name": "core-a", "version": "11.3", "mode": "Secondary", "state": "Standby", "ha_enabled": True, "client_connections": True,
            "sync_running": False, "clock": now, "copy_of": None, "last_sync": {"started": now, "completed": now, "result": "Success"}}
    return json.dumps({**told, **changes})


HUGE = "9" * 400
HOSTILE = {
    "a clock that is no number": status_with(clock=float("nan")),
    "an endless clock": status_with(clock=float("inf")),
    "a clock too great": status_with().replace('"clock": ', f'"clock": {HUGE}'),
    "a sync that is no number": status_with(last_sync={"started": float("nan"), "completed": 1.0, "result": "Success"}),
    "a sync of the future": status_with(last_sync={"started": 1.8e12, "completed": 1.8e12, "result": "Success"}),
    "a sync that is a text": status_with(last_sync="Success"),
    "depth": "[" * 100_000,
    "nothing": "",
    "a list": "[]",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
async def test_an_answer_that_cannot_be_is_no_sync_and_no_crash(text: str) -> None:
    """A time of the future, or none, would pass for the sync that a return waits for, and what was written meanwhile would be lost."""
    hand = Told(text)
    with pytest.raises(HandError):
        await hand.status()
    assert not (await hand.do("last-sync", "failover sync {peer}", peer="127.0.0.1")).ok


async def test_an_answer_that_was_held_up_makes_no_sync_younger_than_it_was() -> None:
    """SEMANTICS 3: what was written after the sync began is lost by a return; the middle of the asking is a guess, its beginning is none."""
    class HeldUp(Told):
        async def say(self, line: str, *, timeout_s: float = 0.0) -> tuple[int, str]:
            told = status_with()
            clock.at += 50.0
            return 0, told

    class Jumping(Quick):
        at = 0.0

        def now(self) -> float:
            return super().now() + self.at

    hand, clock = HeldUp(""), Jumping()
    hand._clock = clock
    before = SystemClock().now()
    status = await hand.status()
    assert status.last_sync is not None and abs(status.last_sync["started"] - before) < 5.0
    assert abs(status.skew_s + 25.0) < 5.0


@pytest.mark.parametrize("before_s", [60.0, 0.5])
async def test_a_sync_of_before_the_step_is_not_the_one_that_it_waits_for(before_s: float) -> None:
    """SEMANTICS 3: what was written since then would be lost. Half a minute or half a second: clients were still let in."""
    now = SystemClock().now()
    hand = Told(status_with(clock=now, last_sync={"started": now - before_s, "completed": now, "result": "Success"}))
    outcome = await hand.do("last-sync", "failover sync {peer}", peer="127.0.0.1")
    assert not outcome.ok and "has begun no sync" in outcome.detail


async def test_keys_of_the_machines_own_agent_are_not_shown_to_a_core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The configured key or none: an agent that is forwarded to us may hold the keys of everything."""
    asked = []

    async def agent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.read(1))
        writer.close()

    server = await asyncio.start_unix_server(agent, tmp_path / "agent")
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
    with pytest.raises(HandError, match="prints more than"):
        async with core_of(tmp_path, endless) as hand:
            await hand.say("show failover status json", timeout_s=20.0)
    assert asked == []
    server.close()


async def test_the_same_answer_with_times_that_can_be_is_the_sync() -> None:
    class Later(Told):
        async def say(self, line: str, *, timeout_s: float = 0.0) -> tuple[int, str]:
            return 0, status_with()

    assert (await Later("").do("last-sync", "failover sync {peer}", peer="127.0.0.1")).ok
