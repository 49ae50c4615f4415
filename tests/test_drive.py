"""The hand on a real Core: the guide's commands over real SSH, and what it makes of broken connections (G-CLI, SEMANTICS 3)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

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


class Quick(SystemClock):
    """A clock that does not wait between read-backs."""

    async def sleep(self, seconds: float) -> None:
        await super().sleep(0)
