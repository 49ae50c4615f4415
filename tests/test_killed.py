"""Real processes: `lbctl run` killed with -9 at every stage of a failover, ended by SIGTERM, reloaded by SIGHUP; answers read over UDP (H25)."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import dns.asyncquery
import dns.exception
import dns.message
import dns.rcode
import pytest
import pytest_asyncio

from tests.controller.pages import Pages
from tests.test_app import FILE, A, B

RUN = [sys.executable, "-c", "from lbctl.cli import main; main()"]


PORT = 5300


def own_address() -> str:
    """A loopback address that is nobody else's: a port could be taken by any client's socket while lbctl is dead."""
    return f"127.{'.'.join(str(1 + byte % 250) for byte in os.urandom(3))}"


class Process:
    """One `lbctl run` after the other on the same files."""

    def __init__(self, path: Path, a: Pages, b: Pages) -> None:
        self.path, self.a, self.b, self.address = path, a, b, own_address()
        self.file = path / "lbctl.yaml"
        text = FILE.format(state=path / "state.db", a=A, b=B, url_a=a.url, url_b=b.url)
        self.file.write_text(text.replace("127.0.0.1:0", f"{self.address}:{PORT}"))
        self.running: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        with (self.path / "log").open("a") as log:
            self.running = await asyncio.create_subprocess_exec(*RUN, "-c", str(self.file), "run", stderr=log, stdout=log)

    async def end(self, number: int) -> int:
        assert self.running is not None
        self.running.send_signal(number)
        code = await asyncio.wait_for(self.running.wait(), 60)
        self.running = None
        return code

    async def answer(self, patience_s: float = 10.0) -> str:
        """What a client is told; "" where nobody answers."""
        try:
            query = dns.message.make_query("core.gtm.example.com", "A")
            reply = await dns.asyncquery.udp(query, self.address, port=PORT, timeout=patience_s, ignore_unexpected=True)
        except (OSError, dns.exception.Timeout):
            return ""
        if reply.rcode() != dns.rcode.NOERROR:
            return dns.rcode.to_text(reply.rcode())
        return ",".join(sorted(item.address for answer in reply.answer for item in answer))

    async def until(self, wanted: str) -> list[str]:
        """Asks until the answer is the wanted one; returns all different answers on the way."""
        seen: list[str] = []
        try:
            async with asyncio.timeout(60):
                while (found := await self.answer(1.0)) != wanted:
                    if found not in seen:
                        seen.append(found)
                    await asyncio.sleep(0.02)
        except TimeoutError:
            pytest.fail(f"{wanted} is not answered, but {seen}; {(self.path / 'log').read_text()[-3000:]}")
        return seen


@pytest_asyncio.fixture
async def process(tmp_path: Path) -> AsyncIterator[Process]:
    a, b = await Pages("Primary").start(), await Pages("Standby").start()
    made = Process(tmp_path, a, b)
    await made.start()
    await made.until(A)
    yield made
    if made.running is not None:
        await made.end(signal.SIGKILL)
    await a.stop()
    await b.stop()


@pytest.mark.parametrize("after_s", [0.0, 0.06, 0.12, 0.2, 0.6])
async def test_killed_in_the_middle_of_a_failover_it_is_finished_or_judged_anew(process: Process, after_s: float) -> None:
    """No stage leaves anything between: before, either member is answered or nothing; afterwards the standby, and only one move counts."""
    await process.a.stop()
    await asyncio.sleep(after_s)
    await process.end(signal.SIGKILL)
    await process.start()
    assert set(await process.until(B)) <= {A, ""}


async def test_killed_and_started_again_the_answer_does_not_change(process: Process) -> None:
    """Not even for a moment, and not although the primary is well again: H9, G-LB4."""
    await process.a.stop()
    await process.until(B)
    process.b.mode = "Primary"
    await process.a.start()
    for number in (signal.SIGKILL, signal.SIGTERM):
        await process.end(number)
        await process.start()
        assert await process.until(B) in ([], [""])
        for _ in range(60):
            assert await process.answer() == B
            await asyncio.sleep(0.02)


async def test_sigterm_ends_it_in_time_with_code_0_and_an_invalid_reload_changes_nothing(process: Process) -> None:
    good = process.file.read_text()
    process.file.write_text("services: {core: {members: 7}}")
    assert process.running is not None
    os.kill(process.running.pid, signal.SIGHUP)
    log = process.path / "log"
    async with asyncio.timeout(60):
        while "reload refused" not in log.read_text():
            await asyncio.sleep(0.05)
    assert await process.answer() == A
    process.file.write_text(good)
    assert await process.end(signal.SIGTERM) == 0
    assert "Traceback" not in log.read_text()


async def test_stopped_for_a_while_it_moves_nothing(process: Process) -> None:
    """H24: SIGSTOP for longer than every timeout; the members were well all the time."""
    assert process.running is not None
    process.running.send_signal(signal.SIGSTOP)
    await asyncio.sleep(3)
    process.running.send_signal(signal.SIGCONT)
    for _ in range(100):
        assert await process.answer() in (A, "")
        await asyncio.sleep(0.02)


async def test_a_second_lbctl_on_the_same_state_ends_with_an_error(process: Process) -> None:
    second = await asyncio.create_subprocess_exec(*RUN, "-c", str(process.file), "run", stderr=asyncio.subprocess.PIPE)
    _, told = await asyncio.wait_for(second.communicate(), 60)
    assert second.returncode == 1
    assert b"another lbctl runs on this state" in told
    assert await process.answer() == A
