"""The heartbeat's eyes (G-HB): who is alive, against real Cores that fail in each of the ways."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lbctl.clock import SystemClock
from lbctl.core.faults import Fault
from lbctl.core.watch import look
from tests.core.cores import running, settings

PRIMARY = {"enabled": True, "mode": "Primary"}
SECONDARY = {"enabled": True, "mode": "Secondary"}


@pytest.mark.parametrize(("ha", "fault", "alive", "detail"), [
    (PRIMARY, Fault.NONE, True, "Mode: Primary"), (SECONDARY, Fault.NONE, True, "Mode: Standby"),
    (PRIMARY, Fault.EXPIRED_CERTIFICATE, True, "Mode: Primary"), (PRIMARY, Fault.UNAVAILABLE, False, "HTTP 503"),
    (PRIMARY, Fault.WRONG_TEXT, False, "OKAY"), (PRIMARY, Fault.HUNG, False, "no answer within"),
    (PRIMARY, Fault.SLOW_DRIP, False, "no answer within"),
    (PRIMARY, Fault.REFUSE, False, "onnect"), (PRIMARY, Fault.STOPPED, False, "onnect"),
], ids=lambda value: str(value) if isinstance(value, Fault) else value.get("mode") if isinstance(value, dict) else "")
async def test_a_peer_is_alive_when_its_pages_say_so(tmp_path: Path, ha: dict[str, Any], fault: Fault, alive: bool, detail: str) -> None:
    """An expired certificate is no death: a Secondary that promoted itself for it would make two Primaries."""
    async with running(settings(tmp_path, "core", ha=ha)) as node:
        await node.set_fault(fault)
        patience = 1.0 if fault in (Fault.HUNG, Fault.SLOW_DRIP) else 20.0
        seen = await look("127.0.0.1", node.endpoints()["https"].port, SystemClock(), patience)
        assert seen.alive is alive, seen
        assert detail in seen.detail


async def test_a_primary_without_tomcat_is_not_alive(tmp_path: Path) -> None:
    """Clients get nothing from it: its status page is part of the heartbeat."""
    async with running(settings(tmp_path, "core", ha=PRIMARY)) as node:
        node.record.set_service("test", tomcat=False)
        assert not (await look("127.0.0.1", node.endpoints()["https"].port, SystemClock())).alive


@pytest.mark.parametrize("host", ["no-such-host.invalid", "::1", "not a host"])
async def test_a_host_that_cannot_be_reached_is_a_failure_and_no_error(host: str) -> None:
    seen = await look(host, 1, SystemClock(), 5.0)
    assert not seen.alive
    assert seen.detail
