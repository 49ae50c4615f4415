"""Who may tell an agent what: the controllers that its own host names, its peers a little, and nobody else of the same authority.

And two controllers that both may: the agents obey one at a time, whatever the other's epoch (H43).
"""

from __future__ import annotations

import asyncio
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lbctl.errors import ActuatorError, Superseded
from lbctl.net.talk import Peer
from lbctl.net.trust import Files, Trust
from tests.agent.stage import PORT, V4, Authority, Stage, spki_pin, stage
from tests.agent.test_agent import applied, desired

pytestmark = pytest.mark.netns
HOLD: dict[str, Any] = {"address": V4, "op": "hold", "epoch": 1, "members": ["a"], "addresses": ["192.0.2.10"], "owner": "x",
                        "lease_s": 3, "stamp": 0}


@pytest.fixture
def on(tmp_path: Path) -> Iterator[Stage]:
    with stage(tmp_path) as made:
        yield made


def line(on: Stage, files: Files) -> Peer:
    return Peer(on.a.host.ip4, PORT, Trust(files), 5.0)


async def test_a_certificate_of_the_authority_alone_may_nothing_and_is_told_why(on: Stage) -> None:
    await on.start()
    stranger = line(on, on.authority.files("web-server"))
    for op in ("hold", "release", "prepare", "promise", "look"):
        answer = await stranger.ask({**HOLD, "op": op})
        assert answer["error"] == "not-allowed"
        assert "takes commands from controller only (--controller); the caller is web-server (sha256:" in answer["text"]
        assert "held" not in answer, "it is told something of the address"
    stranger.close()
    vip = on.controller(lease_s=20.0, files=on.authority.files("web-server"))
    with pytest.raises(ActuatorError, match="takes commands from controller only"):
        await vip.apply(desired(1, "a"))
    assert on.holders == ""
    await vip.close()


async def test_a_peer_may_ask_for_a_promise_and_command_nothing(on: Stage) -> None:
    await on.start()
    peer = line(on, on.b.files)
    assert "error" not in await peer.ask({**HOLD, "op": "promise"})
    assert "error" not in await peer.ask({"address": V4, "op": "look"})
    for op in ("hold", "release", "prepare"):
        assert (await peer.ask({**HOLD, "op": op}))["error"] == "not-allowed"
    peer.close()


async def test_a_pinned_key_is_obeyed_whatever_its_certificate_is_called(on: Stage) -> None:
    files = on.authority.files("anything")
    on.a.controllers = on.b.controllers = [spki_pin(files)]
    await on.start()
    pinned = on.controller(files=files)
    await applied(pinned, desired(1, "a"))
    assert on.holders == "a"
    named = on.controller(state="other.db")
    with pytest.raises(ActuatorError, match="the caller is controller"):
        await named.apply(desired(2, "b"))
    await pinned.close()
    await named.close()


async def test_new_certificates_are_taken_up_while_the_address_stays(on: Stage, tmp_path: Path) -> None:
    """Agents and controller go over to another authority one after the other, by way of files that hold both."""
    await on.start()
    vip = on.controller(lease_s=3.0)
    await applied(vip, desired(1, "a"))
    (tmp_path / "next").mkdir()
    later = Authority(tmp_path / "next")
    both = on.authority.file.read_bytes() + later.file.read_bytes()
    on.authority.file.write_bytes(both)  # every side believes both authorities
    for agent in on.agents.values():
        agent.signal(signal.SIGHUP)
    await on.until(lambda: all("new certificates are in use" in agent.log.read_text() for agent in on.agents.values()), "nobody looked at the files")
    replace(on.a.files, later.files("a", on.a.host.ip4))
    replace(on.files, later.files("controller"))
    await on.until(lambda: on.a.log.read_text().count("new certificates are in use") >= 2, "the agent goes on with its old certificate")
    on.authority.file.write_bytes(later.file.read_bytes())  # the old authority is believed no more; b's certificate is of it
    on.a.signal(signal.SIGHUP)
    await asyncio.sleep(3.5)
    assert on.holders == "a", "the address was dropped for a certificate"
    assert on.a.process is not None and on.a.process.poll() is None
    probe = line(on, Files(on.files.cert, on.files.key, on.files.ca))
    assert (await probe.ask({"address": V4, "op": "look"}))["held"]
    probe.close()
    await vip.close()


async def test_a_certificate_without_its_key_is_not_taken_up(on: Stage, tmp_path: Path) -> None:
    """Files are replaced one after the other: in between the old pair goes on."""
    await on.start()
    (tmp_path / "next").mkdir()
    shutil.copy(on.authority.files("spare", on.a.host.ip4).cert, on.a.files.cert)
    on.a.signal(signal.SIGHUP)
    await on.until(lambda: "the old ones stay" in on.a.log.read_text(), "it says nothing")
    vip = on.controller()
    await applied(vip, desired(1, "a"))
    assert on.holders == "a"
    await vip.close()


async def test_of_two_controllers_one_is_obeyed_and_the_other_refused_by_name(on: Stage) -> None:
    """H43: the second has a state of its own, and even a higher epoch; it gets the address when the first has been silent for a lease."""
    on.a.controllers = on.b.controllers = ["controller", "second"]
    await on.start()
    first, second = on.controller(), on.controller(files=on.authority.files("second"), state="second.db")
    await applied(first, desired(3, "a"))
    for _ in range(8):
        with pytest.raises(ActuatorError, match="obeys the controller controller"):
            await second.apply(desired(9, "b"))
        assert on.holders == "a"
        await asyncio.sleep(0.4)
    await first.apply(desired(4, "b"))
    assert on.holders == "b", "the refused one has left something behind"
    await first.close()
    await applied(second, desired(9, "a"))
    assert on.holders == "a"
    with pytest.raises(Superseded):
        await second.apply(desired(4, "b"))
    await second.close()


async def test_two_controllers_that_begin_at_once_never_have_it_on_two_hosts(on: Stage) -> None:
    """H43: the same epoch, different opinions, again and again. The first agent that both ask decides between them."""
    on.a.controllers = on.b.controllers = ["controller", "second"]
    await on.start()
    first, second = on.controller(lease_s=20.0), on.controller(lease_s=20.0, files=on.authority.files("second"), state="second.db")
    await asyncio.gather(first.read(), second.read())

    async def insist(vip: Any, member: str) -> None:
        for epoch in range(1, 12):
            try:
                await vip.apply(desired(epoch, member))
            except ActuatorError:
                await asyncio.sleep(0.1)

    fighting = asyncio.gather(insist(first, "a"), insist(second, "b"))
    seen = set()
    while not fighting.done():
        seen.add(on.holders)
        await asyncio.sleep(0.01)
    await fighting
    assert "ab" not in seen
    assert seen & {"a", "b"}, "nobody won"
    await first.close()
    await second.close()


def replace(old: Files, new: Files) -> None:
    """As an administrator does it: the key, then the certificate, each by a rename."""
    for target, source in ((old.key, new.key), (old.cert, new.cert)):
        shutil.copy(source, f"{target}.new")
        Path(f"{target}.new").replace(target)
