"""What the buttons of the HA Configuration window do, without a browser (G-PO, G-HA, G-SY2, G-SY3, G-NT)."""

from __future__ import annotations

from html import unescape
from pathlib import Path

import pytest

from lbctl.core.fill import fill
from lbctl.core.heartbeat import Reaction
from lbctl.core.state import Mode, State
from tests.core import cores
from tests.core.portal.visitor import FORM, standby, visiting, with_password
from tests.notifiers.sinks import certificate, mail_server

LABELS = [
    "High Availability", "Enable", "Disable", "Mode", "Primary", "Secondary", "Manage Trusted Hosts", "HA Status", "Node Status", "Standby (Passive)",
    "Active", "Secondary Configuration", "Hostname/IP", "Run Sync Now", "Sync History", "Last Sync Status", "Refresh", "StartTime (GMT)", "Run Every",
    "minutes", "hours", "days", "Fail Over Controls", "Heartbeat Interval", "Consecutive Heartbeat failures before failover", "Re-check interval",
    "If Failure Detected", "Keep in Standby", "Promote to Primary", "Notification Settings", "Email", "Notify On", "Sync Completion",
    "Failure / This server becomes primary", "Test", "Save", "Apply",
]


async def test_the_window_has_every_field_of_the_guide_in_its_words(tmp_path: Path) -> None:
    """Table 2, steps 2 to 6."""
    async with standby(tmp_path) as (_, visitor):
        text = unescape((await visitor.get("/ha")).text)
        assert [label for label in LABELS if f">{label}<" not in text] == []


async def test_apply_puts_the_whole_page_into_effect_and_ends_with_ok(tmp_path: Path) -> None:
    """Save > Apply > OK."""
    async with standby(tmp_path) as (node, visitor):
        changed = {**FORM, "run_every": "3", "run_every_unit": "hours", "if_failure_detected": "promote", "email": "ops@example.com",
                   "notify_failure": "yes"}
        answer = await visitor.post("/ha", {**changed, "action": "apply"})
        assert answer.status == 200 and ">OK<" in answer.text
        ha = node.record.ha
        assert (ha.run_every, ha.run_every_unit, ha.if_failure_detected, ha.email) == (3, "hours", Reaction.PROMOTE, "ops@example.com")
        assert ha.notify_failure and not ha.notify_sync_completion
        assert "not in effect" not in (await visitor.get("/ha")).text


async def test_save_alone_changes_nothing_until_apply(tmp_path: Path) -> None:
    async with standby(tmp_path) as (node, visitor):
        before = node.record.saved
        assert (await visitor.post("/ha", {**FORM, "run_every": "777", "action": "save"})).location == "/mics/ha"
        shown = (await visitor.get("/ha")).text
        assert node.record.saved == before and 'value="777"' in shown and "click Apply" in shown
        await visitor.post("/ha", {**FORM, "run_every": "777", "action": "discard"})
        assert 'value="777"' not in (await visitor.get("/ha")).text


@pytest.mark.parametrize("action", ["save", "apply"])
async def test_a_page_with_mistakes_is_refused_whole_with_a_message_at_each(tmp_path: Path, action: str) -> None:
    async with standby(tmp_path) as (node, visitor):
        before = node.record.saved
        answer = await visitor.post("/ha", {**FORM, "run_every": "<b>", "heartbeat_failures": "0", "email": "nobody", "action": action})
        assert answer.status == 422 and node.record.saved == before
        assert answer.text.count('class="error"') == 3
        assert "<b>" not in answer.text and 'value="&lt;b&gt;"' in answer.text


async def test_the_active_button_promotes_and_passive_returns_to_standby_with_the_scheduler(tmp_path: Path) -> None:
    """G-HA: Node Status."""
    async with standby(tmp_path) as (node, visitor):
        await visitor.post("/ha", {**FORM, "node_status": "Active", "action": "apply"})
        assert (node.role.mode, node.role.state, node.role.scheduler) == (Mode.SECONDARY, State.ACTIVE, False)
        assert 'id="node_status-active" checked' in (await visitor.get("/ha")).text
        await visitor.post("/ha", {**FORM, "action": "apply"})
        assert (node.role.state, node.role.scheduler) == (State.STANDBY, True)


async def test_disable_stops_the_scheduler_and_enable_starts_it(tmp_path: Path) -> None:
    """G-HA: the default is Disable."""
    async with standby(tmp_path) as (node, visitor):
        for enabled in ("no", "yes"):
            await visitor.post("/ha", {**FORM, "enabled": enabled, "action": "apply"})
            assert node.role.scheduler == node.role.ha_enabled == (enabled == "yes")
    config = cores.settings(tmp_path, "core-new", **with_password(tmp_path))
    async with cores.running(config) as node, visiting(node) as visitor:
        await visitor.login()
        assert 'id="enabled-no" checked' in (await visitor.get("/ha")).text


async def test_run_sync_now_uses_the_selected_host_before_it_was_saved(tmp_path: Path) -> None:
    """Step 5: select, Run Sync Now, Sync History, Refresh."""
    async with standby(tmp_path) as (b, visitor), cores.running(cores.settings(tmp_path, "core-a", ha={"enabled": True})) as a:
        await fill(a.replication.database, devices=50)
        cores.trust(a, b)
        cores.trust(b, a)
        answer = await visitor.post("/ha", {**FORM, "primary_host": "127.0.0.1", "action": "run-sync"})
        assert answer.location == "/mics/ha"
        await cores.until(lambda: not b.replication.running, "the end of the sync")
        last = await b.replication.history.last()
        assert last is not None and last.result == "Success"
        assert await b.replication.database.count("devices") == 50
        assert b.record.ha.primary_host == ""


async def test_run_sync_now_refuses_a_host_that_is_not_trusted(tmp_path: Path) -> None:
    async with standby(tmp_path) as (node, visitor):
        for host in ("", "evil.example.com"):
            answer = await visitor.post("/ha", {**FORM, "primary_host": host, "action": "run-sync"})
            assert answer.status == 422 and "Select one of the trusted hosts." in answer.text
        assert await node.replication.history.last() is None


async def test_a_sync_that_may_not_be_is_told(tmp_path: Path) -> None:
    """G-SY1: an Active node does not sync."""
    async with standby(tmp_path) as (node, visitor):
        node.trust.add("core-a", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIF72p1PRGhuylYUyPtq4WbD8TlKixWEANhl+8KXTLhfZ")
        await node.promote("test")
        await visitor.post("/ha", {**FORM, "primary_host": "core-a", "action": "run-sync"})
        assert "No sync: " in (await visitor.get("/ha")).text


async def test_the_test_button_sends_to_the_address_on_the_page(tmp_path: Path) -> None:
    """G-TP task 4."""
    tls = certificate(tmp_path)
    async with mail_server(tls=tls) as sink:
        mail = {"host": "127.0.0.1", "port": sink.port, "security": "starttls", "ca_file": str(tls.cert), "sender": "core@example.com"}
        async with standby(tmp_path, mail=mail) as (node, visitor):
            await visitor.post("/ha", {**FORM, "email": "new@example.com", "action": "test-mail"})
            assert [message["To"] for message in sink.messages] == ["new@example.com"]
            assert "A test e-mail was sent to new@example.com." in (await visitor.get("/ha")).text
            assert node.record.ha.email == ""
            assert (await visitor.post("/ha", {**FORM, "email": "nobody", "action": "test-mail"})).status == 422


async def test_a_test_mail_that_cannot_be_sent_is_told_and_the_edits_stay(tmp_path: Path) -> None:
    async with standby(tmp_path) as (_, visitor):
        await visitor.post("/ha", {**FORM, "run_every": "123", "email": "ops@example.com", "action": "test-mail"})
        shown = (await visitor.get("/ha")).text
        assert "was not sent" in shown and 'value="123"' in shown


async def test_a_disk_that_cannot_be_written_is_told_and_nothing_is_in_effect(tmp_path: Path) -> None:
    async with standby(tmp_path) as (node, visitor):
        before = node.record.saved
        (tmp_path / "core-b" / "state.new").mkdir()
        answer = await visitor.post("/ha", {**FORM, "run_every": "5", "action": "apply"})
        assert "could not be written to the disk" in answer.text and node.record.saved == before
