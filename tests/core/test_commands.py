"""Table 5 of the guide, effect by effect, and the command line's grammar (G-CLI)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbctl.core.commands import COMMANDS
from lbctl.core.node import Node
from lbctl.core.shell import Command, Shell, resolve
from lbctl.statuspage import HASTATUS_PATH
from tests.core.cores import Process, get, page, pair, running, settings, until


class Session:
    """A command line without SSH around it."""

    def __init__(self, node: Node, *, enabled: bool = True) -> None:
        self.lines: list[str] = []
        self.shell = Shell(node, "admin", COMMANDS, self.lines.append, self.ask, enabled=enabled)

    async def ask(self, prompt: str) -> str:
        return ""

    async def type(self, line: str) -> tuple[int, str]:
        self.lines.clear()
        await self.shell.line(line)
        return self.shell.code, "\n".join(self.lines)


async def test_mode_primary_promotes_and_may_be_repeated_with_the_same_result(tmp_path: Path) -> None:
    """G-CLI: changes the Core mode to Primary, the same effect as an automatic failover; not limited by any other command or state."""
    async with pair(tmp_path) as (_, b):
        session = Session(b)
        await session.type("failover client-connection disable; high-availability disable")
        first = await session.type("failover mode primary")
        role = b.role
        assert await session.type("failover mode primary") == first == (0, first[1])
        assert b.role == role
        assert (await page(b, HASTATUS_PATH))[1] == b"MOBILEIRON-STATUS: OK (Mode: Primary)\n"
        assert b.log.tail("HighAvailability")[-1].endswith("this server becomes primary")


@pytest.mark.parametrize("side", [0, 1], ids=["a Primary", "a promoted Secondary"])
async def test_a_core_in_primary_mode_does_not_replicate(tmp_path: Path, side: int) -> None:
    """G-CLI, G-SY1."""
    async with pair(tmp_path) as both:
        session = Session(both[side])
        await session.type("failover mode primary")
        code, text = await session.type("failover sync 127.0.0.1")
        assert code == 3
        assert "replicate" in text
        assert await both[side].replication.history.runs() == []


async def test_mode_secondary_returns_to_standby_and_leaves_the_scheduler_stopped(tmp_path: Path) -> None:
    """G-CLI: does not restart the replication scheduler; the portal's Save does."""
    async with pair(tmp_path) as (_, b):
        session = Session(b)
        assert b.role.scheduler
        await session.type("failover mode primary; failover mode secondary")
        assert (b.role.state, b.role.scheduler, b.replication.next_run) == ("Standby", False, None)
        assert (await page(b, HASTATUS_PATH))[1] == b"MOBILEIRON-STATUS: OK (Mode: Standby)\n"
        await b.save_ha(b.record.ha, active=False, cause="portal")
        assert b.role.scheduler
        assert b.replication.next_run is not None


async def test_sync_is_run_sync_now_and_shows_every_task(tmp_path: Path) -> None:
    """G-CLI, G-SY3; the Primary's HA Status then knows its pair."""
    async with pair(tmp_path) as (a, b):
        await a.replication.database.insert("devices", [{"uuid": f"device-{n}"} for n in range(50)])
        code, text = await Session(b).type("failover sync 127.0.0.1")
        assert code == 0
        assert "Result: Success" in text
        assert "devices" in text
        assert await b.replication.database.count("devices") == 50
        await until(lambda: a.record.saved.served, "HA Status on the Primary")
        pair_status = json.loads((await Session(a).type("show failover status json"))[1])["pair"]
        assert (pair_status["host"], pair_status["result"]) == ("core-b", "Success")


async def test_a_sync_that_fails_says_so_and_exits_1(tmp_path: Path) -> None:
    async with pair(tmp_path) as (_, b):
        code, text = await Session(b).type("failover sync 192.0.2.1")
        assert code == 1
        assert "not a trusted host" in text


async def test_client_connection_disable_turns_new_devices_away_and_nobody_else(tmp_path: Path) -> None:
    """G-CLI: prevents new device connections; enable reverses it."""
    async with running(settings(tmp_path, "core-a")) as a:
        session, ca = Session(a), Path(str(a.certificates.ca))

        async def device(path: str, uuid: str) -> int:
            return (await get(a.endpoints()["https"].port, path, ca, method="POST", json={"uuid": uuid}))[0]

        assert await device("/mifs/enroll", "one") == 201
        await session.type("failover client-connection disable")
        assert await device("/mifs/enroll", "two") == 503
        assert await device("/mifs/check-in", "one") == 200
        await session.type("failover client-connection enable")
        assert await device("/mifs/enroll", "two") == 201
        assert await a.replication.database.count("devices") == 2


async def test_what_the_command_line_changes_survives_kill_9(tmp_path: Path) -> None:
    """G-ST, G-CLI: client connections, tomcat, HA and mode are on the disk when the command answers."""
    core = Process(tmp_path, "core-b", {"enabled": True, "mode": "Secondary"})
    try:
        await core.start()
        line = "failover mode primary; failover client-connection disable; service tomcat stop; high-availability disable"
        assert (await core.type(line))[0] == 0
        before = (await core.status())["state"]
        await core.end(9)
        await core.start()
        status = await core.status()
        assert before == status["state"] == "Active"
        assert (status["client_connections"], status["tomcat"], status["ha_enabled"]) == (False, False, False)
    finally:
        await core.close()


@pytest.mark.parametrize("words", [["fail", "mode", "prim"], ["FAILOVER", "MODE", "PRIMARY"], ["failover", "m", "p"]], ids=" ".join)
def test_words_may_be_shortened_to_an_unambiguous_beginning(words: list[str]) -> None:
    found = resolve(COMMANDS, words)
    assert isinstance(found, tuple)
    assert found[0].pattern == "failover mode primary"


@pytest.mark.parametrize(("line", "sentence"), [
    ("failover", "Incomplete"), ("failover mode", "Incomplete"), ("failover s", "Incomplete"),
    ("failover mode tertiary", "Invalid input at 'tertiary'"),
    ("rm -rf", "Invalid input at 'rm'"), ("failover mode primary now", "Invalid input at 'now'"), ("s t s", "Invalid|Ambiguous"),
], ids=str)
def test_a_line_that_is_no_command_says_what_is_wrong(line: str, sentence: str) -> None:
    found = resolve(COMMANDS, line.split())
    assert isinstance(found, str)
    assert any(one in found for one in sentence.split("|"))


@given(st.lists(st.text(max_size=12), min_size=1, max_size=5))
def test_whatever_is_typed_is_a_command_or_a_sentence(words: list[str]) -> None:
    found = resolve(COMMANDS, words)
    assert found.startswith("% ") if isinstance(found, str) else len(found[0].words) == len(words)


def test_an_argument_that_begins_like_a_word_is_still_an_argument() -> None:
    async def nothing(call: object) -> int:
        return 0

    commands = [Command("sync <host>", False, "", nothing), Command("sync now", False, "", nothing)]
    found = resolve(commands, ["sync", "now"])
    assert isinstance(found, str), "two that fit exactly are ambiguous and never guessed"


@pytest.mark.parametrize("command", [one for one in COMMANDS if one.privileged], ids=lambda one: one.pattern)
async def test_whatever_changes_something_needs_enable(tmp_path: Path, command: Command) -> None:
    """G-CLI: under enable mode."""
    async with running(settings(tmp_path, "core-a")) as a:
        before = a.record.saved
        code, text = await Session(a, enabled=False).type(command.pattern.replace("<host>", "192.0.2.1"))
        assert (code, a.record.saved) == (3, before)
        assert "enable" in text


async def test_every_show_command_answers_people_and_programs_alike(tmp_path: Path) -> None:
    async with pair(tmp_path) as (_, b):
        await b.run_sync("127.0.0.1", "test")
        session = Session(b, enabled=False)
        for command in COMMANDS:
            if command.privileged or "<" in command.pattern:
                continue
            code, text = await session.type(command.pattern)
            assert code == 0
            assert text
            if command.pattern.endswith(" json"):
                assert isinstance(json.loads(text), dict)
        status = json.loads((await session.type("show failover status json"))[1])
        assert (status["mode"], status["state"], status["last_sync"]["result"], status["scheduler"]) == ("Secondary", "Standby", "Success", True)
        assert status["copy_of"]["source"] == "core-a"
