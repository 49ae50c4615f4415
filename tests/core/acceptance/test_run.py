"""G-TP: the set-up workflow and the test plan as one run, and the proof that it can fail."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lbctl.clock import SystemClock
from lbctl.core.acceptance.administrator import Administrator, Place
from lbctl.core.acceptance.mailbox import Mailbox
from lbctl.core.acceptance.steps import STEPS, Failed, Stage
from lbctl.core.certificates import server_context
from lbctl.core.faults import Fault
from lbctl.core.node import Node
from tests.core.cores import pair


def test_the_guides_steps_1_to_7_and_the_five_tasks_pass_on_two_fresh_cores() -> None:
    """G-TP, as a user runs it; every row is told."""
    command = [sys.executable, "-m", "lbctl.cli", "core", "acceptance", "--devices", "300"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    told = [line.removeprefix("passed  ").split(": ")[0] for line in lines if line.startswith("passed")]
    assert told == [*(f"Step {n}" for n in range(1, 7)), *(f"Step 7, task {n}" for n in range(1, 6))]
    assert "300 devices on both" in done.stdout
    assert "heartbeat ok" in done.stdout


@contextlib.asynccontextmanager
async def staged(base: Path) -> AsyncIterator[tuple[Stage, Node, Node]]:
    """The steps against a pair of Cores in this process, so that one of them can be broken."""
    async with contextlib.AsyncExitStack() as exits:
        a, b = await exits.enter_async_context(pair(base))
        mailbox = Mailbox(server_context(a.certificates.cert, a.certificates.key))
        await mailbox.open()
        exits.callback(mailbox.close)
        sides = []
        for node in (a, b):
            ports = {name: endpoint.port for name, endpoint in node.endpoints().items()}
            password = (node.settings.directory / "admin-password").read_text().strip()
            side = Administrator(Place("127.0.0.1", host_key=node.trust.local_key, **ports), "admin", password, Path(str(node.certificates.ca)))
            exits.push_async_callback(side.close)
            await side.log_in()
            sides.append(side)
        yield Stage(sides[0], sides[1], mailbox, SystemClock()), a, b


async def _unequal_versions(_: Node, b: Node) -> None:
    object.__setattr__(b.settings, "version", "11.4.0.0")


async def _same_name(a: Node, b: Node) -> None:
    object.__setattr__(b.settings, "name", a.settings.name)


async def _no_trust(a: Node, _: Node) -> None:
    a.trust.remove("127.0.0.1")


async def _one_more_device(a: Node, _: Node) -> None:
    await a.replication.database.insert("devices", [{"uuid": "one more"}])


async def _no_mail(_: Node, __: Node) -> None:
    """Neither Core of this pair has a mail server."""


async def _no_heartbeat(_: Node, b: Node) -> None:
    await b.set_fault(Fault.NONE)
    for file in (b.settings.directory / "logs").iterdir():
        file.write_text("")
    b.record.enable(False, "test")


@pytest.mark.parametrize(("row", "broken"), [
    ("Step 1", _unequal_versions), ("Step 1", _same_name), ("Step 5", _no_trust), ("Step 7, task 1", _no_trust),
    ("Step 7, task 2", _unequal_versions),
    ("Step 7, task 3", _one_more_device), ("Step 7, task 4", _no_mail), ("Step 7, task 5", _no_heartbeat),
], ids=lambda value: value if isinstance(value, str) else value.__name__.strip("_"))
async def test_a_pair_that_is_broken_in_one_place_fails_that_step(tmp_path: Path, row: str, broken: object) -> None:
    """G-TP: a step that cannot fail proves nothing."""
    async with staged(tmp_path) as (stage, a, b):
        await asyncio.ensure_future(broken(a, b))  # type: ignore[operator]
        step = next(step for step in STEPS if step.row == row)
        with pytest.raises(Failed):
            await step.run(stage)


async def test_the_mailbox_takes_no_mail_in_the_clear(tmp_path: Path) -> None:
    async with staged(tmp_path) as (stage, _, __):
        reader, writer = await asyncio.open_connection("127.0.0.1", stage.mailbox.port)
        for line in (b"EHLO x\r\n", b"MAIL FROM:<a@b>\r\n", b"DATA\r\n", b"QUIT\r\n"):
            writer.write(line)
        replies = (await reader.read()).decode().splitlines()
        writer.close()
        assert "250 STARTTLS" in replies
        assert "530 STARTTLS first" in replies
        assert "502 not here" in replies
        assert stage.mailbox.messages == []
