"""The pages beside the HA Configuration window: trusted hosts, Sync History, services, logs, Admin Portal (G-SSH, G-SY3, G-AT, G-TP)."""

from __future__ import annotations

from html import unescape
from pathlib import Path

import aiohttp
import pytest

from lbctl.core.fill import fill
from lbctl.core.logbook import HIGH_AVAILABILITY
from lbctl.core.node import Node
from tests.core import cores
from tests.core.portal.visitor import PASSWORD, standby


def key_form(other: Node, **more: str) -> dict[str, str]:
    ports = {name: str(endpoint.port) for name, endpoint in other.endpoints().items()}
    return {"action": "add", "host": "127.0.0.1", "key": other.trust.local_key, **ports, **more}


async def test_keys_are_exchanged_by_pasting_and_tested_from_here(tmp_path: Path) -> None:
    """Step 4, G-TP task 1: "Test was successful"."""
    async with standby(tmp_path) as (b, visitor), cores.running(cores.settings(tmp_path, "core-a", ha={"enabled": True})) as a:
        assert b.trust.local_key in unescape((await visitor.get("/ha/trusted-hosts")).text)
        assert (await visitor.post("/ha/trusted-hosts", key_form(a))).status == 303
        early = await visitor.post("/ha/trusted-hosts", {"action": "test", "host": "127.0.0.1"})
        assert "Test failed" in early.text and "Test was successful" not in early.text
        cores.trust(a, b)
        tested = await visitor.post("/ha/trusted-hosts", {"action": "test", "host": "127.0.0.1"})
        assert "HA - Test Connectivity" in tested.text and "Test was successful" in tested.text and ">OK<" in tested.text
        assert any("Test was successful" in line for line in b.log.tail(HIGH_AVAILABILITY))
        await visitor.post("/ha/trusted-hosts", {"action": "remove", "host": "127.0.0.1"})
        assert b.trust.hosts() == []


WRONG = {
    "no key": {"key": ""}, "rubbish": {"key": "rubbish"}, "no host": {"host": ""}, "a host with markup": {"host": "<b>"},
    "a port": {"ssh": "70000"}, "a port that is none": {"https": "x"},
}


@pytest.mark.parametrize("fields", WRONG.values(), ids=WRONG)
async def test_a_trusted_host_with_a_mistake_is_not_added_and_what_was_typed_stays(tmp_path: Path, fields: dict[str, str]) -> None:
    async with standby(tmp_path) as (node, visitor):
        key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIF72p1PRGhuylYUyPtq4WbD8TlKixWEANhl+8KXTLhfZ"
        answer = await visitor.post("/ha/trusted-hosts", {"action": "add", "host": "core-a", "key": key, **fields})
        assert answer.status == 422 and answer.text.count('class="error"') == 1 and node.trust.hosts() == []
        assert "<b>" not in answer.text and (fields.get("key", key) in answer.text)


async def test_ones_own_key_is_refused(tmp_path: Path) -> None:
    async with standby(tmp_path) as (node, visitor):
        answer = await visitor.post("/ha/trusted-hosts", {"action": "add", "host": "core-a", "key": node.trust.local_key})
        assert answer.status == 422 and "own key" in unescape(answer.text)


async def test_the_sync_history_shows_every_task_of_every_run(tmp_path: Path) -> None:
    """G-SY3, G-TP task 2."""
    async with standby(tmp_path) as (b, visitor), cores.running(cores.settings(tmp_path, "core-a", ha={"enabled": True})) as a:
        assert "never synchronized" in (await visitor.get("/ha/sync-history")).text
        cores.trust(a, b)
        cores.trust(b, a)
        await b.run_sync("127.0.0.1", "test")
        runs = await b.replication.history.runs()
        text = unescape((await visitor.get("/ha/sync-history")).text)
        assert all(task.name in text and task.detail in text for task in runs[0].tasks)
        assert "Completed" in text and ">Success<" in text and ">Failed<" not in text


async def test_atlas_is_enabled_under_settings_services(tmp_path: Path) -> None:
    """G-AT."""
    async with standby(tmp_path) as (node, visitor):
        for wanted in ("yes", "no"):
            assert (await visitor.post("/services", {"atlas": wanted, "action": "apply"})).status == 303
            assert node.record.saved.atlas == (wanted == "yes")
        assert (await visitor.post("/services", {"atlas": "perhaps"})).status == 400


async def test_the_heartbeat_is_seen_in_the_high_availability_log(tmp_path: Path) -> None:
    """G-TP task 5."""
    async with standby(tmp_path) as (node, visitor):
        node.log.write(HIGH_AVAILABILITY, "heartbeat ok: <core-a>")
        text = (await visitor.get("/logs?log=MICS&module=HighAvailability")).text
        assert "heartbeat ok: &lt;core-a&gt;" in text
        assert "heartbeat ok" not in (await visitor.get("/logs?module=SSH")).text
        assert "heartbeat ok" in (await visitor.get("/logs?module=../../etc/passwd")).text


async def test_the_admin_portal_shows_the_device_count_once_tomcat_runs(tmp_path: Path) -> None:
    """G-TP task 3."""
    async with standby(tmp_path) as (node, _):
        await fill(node.replication.database, devices=321)
        ca, port = Path(str(node.certificates.ca)), node.endpoints()["https"].port
        admin = {"Authorization": aiohttp.encode_basic_auth("admin", PASSWORD)}
        status, _ = await cores.get(port, "/mifs/admin", ca, headers=admin)
        assert status == 503
        node.record.set_service("service tomcat start", tomcat=True)
        status, body = await cores.get(port, "/mifs/admin", ca, headers=admin)
        assert status == 200 and b'<strong id="device-count">321</strong>' in body
        assert (await cores.get(port, "/mifs/static/portal.css", ca))[0] == 200
        assert (await cores.get(port, "/mifs/admin", ca))[0] == 401


async def test_a_disk_that_cannot_be_written_is_told_on_every_page(tmp_path: Path) -> None:
    async with standby(tmp_path) as (node, visitor):
        (tmp_path / "core-b" / "state.new").mkdir()
        (tmp_path / "core-b" / "ssh" / "trusted_hosts.json.new").mkdir()
        key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIF72p1PRGhuylYUyPtq4WbD8TlKixWEANhl+8KXTLhfZ"
        for path, fields in (("/services", {"atlas": "yes"}), ("/ha/trusted-hosts", {"action": "add", "host": "core-a", "key": key})):
            assert (await visitor.post(path, fields)).status == 303
            assert "could not be written to the disk" in (await visitor.get(path)).text
        assert not node.record.saved.atlas and node.trust.hosts() == []
