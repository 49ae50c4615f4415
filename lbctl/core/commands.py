"""The commands that change something, with the effects of the guide's table 5 (G-CLI), and `service tomcat`, which test-plan task 3 needs.

| command | effect |
|---|---|
| `failover mode primary` | Active, as after an automatic failover; from every state, any number of times; a Primary does not replicate |
| `failover mode secondary` | Standby; the scheduler is *not* started again (the portal's Save does that) |
| `failover sync <host>` | Run Sync Now; waits for the end and shows every task |
| `failover client-connection disable`, `enable` | no new devices, and new devices again; mode, state and pages stay as they are |
"""

from __future__ import annotations

from lbctl.core.logbook import HIGH_AVAILABILITY
from lbctl.core.replication import SyncNotAllowed, SyncStopped
from lbctl.core.shell import FAILED, OK, REFUSED, Call, Command
from lbctl.core.show import SHOW, task_line
from lbctl.core.sync.history import Result, SyncOverlap
from lbctl.core.sync.transfer import Progress

PROGRESS_S = 5.0
"""A sync that is long in one task says so this often."""


async def _mode_primary(call: Call) -> int:
    await call.core.promote(call.cause)
    return _told(call)


async def _mode_secondary(call: Call) -> int:
    call.core.record.demote(call.cause)
    return _told(call)


async def _sync(call: Call) -> int:
    host, clock = call.arguments[0], call.core.clock
    shown, due = "", 0.0

    def progress(now: Progress) -> None:
        nonlocal shown, due
        if now.task != shown or clock.now() >= due:
            shown, due = now.task, clock.now() + PROGRESS_S
            call.print(f"{now.task}: {now.rows:,} of {now.of:,} rows, {now.received_bytes / 1e6:,.1f} MB received")

    try:
        run = await call.core.run_sync(host, call.cause, progress)
    except (SyncNotAllowed, SyncOverlap) as error:
        call.print(f"% {error}")
        return REFUSED
    except SyncStopped as error:
        call.print(f"% {error}")
        return FAILED
    for task in run.tasks:
        call.print(task_line(task))
    call.print(f"Result: {run.result} {run.reason}".rstrip())
    return OK if run.result is Result.SUCCESS else FAILED


async def _clients_off(call: Call) -> int:
    call.core.record.set_service(call.cause, clients=False)
    call.print("New device connections are disabled")
    return OK


async def _clients_on(call: Call) -> int:
    call.core.record.set_service(call.cause, clients=True)
    call.print("New device connections are enabled")
    return OK


async def _tomcat_start(call: Call) -> int:
    call.core.record.set_service(call.cause, tomcat=True)
    call.print("tomcat is running")
    return OK


async def _tomcat_stop(call: Call) -> int:
    call.core.record.set_service(call.cause, tomcat=False)
    call.print("tomcat is stopped")
    return OK


async def _ha_on(call: Call) -> int:
    call.core.record.enable(True, call.cause)
    return _told(call)


async def _ha_off(call: Call) -> int:
    call.core.record.enable(False, call.cause)
    return _told(call)


async def _test(call: Call) -> int:
    tested = await call.core.connectivity.test(call.arguments[0])
    for check in tested.checks:
        call.print(f"{'ok    ' if check.ok else 'FAILED'} {check.name}: {check.detail}")
    call.print(tested.message)
    call.core.log.write(HIGH_AVAILABILITY, f"test connection to {tested.host}: {tested.message}")
    return OK if tested.ok else FAILED


def _told(call: Call) -> int:
    role = call.core.role
    call.print(f"Mode: {role.mode}  State: {role.state}")
    call.print(role.sentence)
    return OK


COMMANDS = (
    Command("failover mode primary", True, "Become Primary (Active)", _mode_primary),
    Command("failover mode secondary", True, "Become Secondary (Standby); does not restart the scheduler", _mode_secondary),
    Command("failover sync <host>", True, "Replicate from that Core now", _sync),
    Command("failover client-connection disable", True, "Accept no new device connections", _clients_off),
    Command("failover client-connection enable", True, "Accept new device connections", _clients_on),
    Command("failover test <host>", True, "Test Connection to a trusted host", _test),
    Command("high-availability enable", True, "Enable HA: starts the scheduler and the heartbeat", _ha_on),
    Command("high-availability disable", True, "Disable HA: stops the scheduler and the heartbeat", _ha_off),
    Command("service tomcat start", True, "Start tomcat", _tomcat_start),
    Command("service tomcat stop", True, "Stop tomcat", _tomcat_stop),
    *SHOW,
)
