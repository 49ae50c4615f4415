"""The `show` commands: the state of a Core for people, and with a last word `json` for programs. Both are made from the same object."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from lbctl.core.base import Core
from lbctl.core.logbook import MODULES, stamp
from lbctl.core.shell import OK, USAGE, Call, Command
from lbctl.core.sync.history import RunRecord, TaskRecord

HISTORY_RUNS = 20
LOG_LINES = 100

Fields = dict[str, Any]


async def status(core: Core) -> Fields:
    """Everything about High Availability now. Times are UTC seconds, None where there is none."""
    role, ha, failover = core.role, core.record.ha, core.failover
    last, origin = await core.replication.history.last(), await core.replication.database.origin()
    return {
        "name": core.settings.name, "version": core.settings.version, "clock": core.clock.now(),
        "ha_enabled": role.ha_enabled, "mode": role.mode, "state": role.state, "node_status": role.state if role.mode == "Secondary" else None,
        "shown_mode": role.shown_mode, "status_ok": role.status_ok, "meaning": role.sentence,
        "tomcat": role.tomcat, "client_connections": role.clients, "atlas": core.record.saved.atlas, "scheduler": role.scheduler,
        "primary_host": ha.primary_host or None, "next_sync": core.replication.next_run, "sync_running": core.replication.history.running,
        "last_sync": _run(last) if last else None,
        "copy_of": {"source": origin.source, "started": origin.started, "applied": origin.applied} if origin else None,
        "heartbeat": {
            "running": role.beating and bool(ha.primary_host), "failures": failover.beat.failures, "failure_detected": failover.beat.failed_over,
            "last": failover.last.detail if failover.last else None,
        },
        "pair": core.record.saved.served.model_dump() if core.record.saved.served else None,
    }


async def _config(core: Core) -> Fields:
    return {**core.record.ha.model_dump(mode="json"), "saved_at": core.record.saved.saved_at}


async def _history(core: Core) -> Fields:
    return {"runs": [_run(run) for run in await core.replication.history.runs(HISTORY_RUNS)]}


async def _version(core: Core) -> Fields:
    return {"name": core.settings.name, "version": core.settings.version}


async def _clock(core: Core) -> Fields:
    return {"clock": core.clock.now(), "utc": stamp(core.clock.now())}


async def _resources(core: Core) -> Fields:
    facts = core.facts()
    return {"cpus": facts.cpus, "memory_mib": facts.memory_mib, "version": facts.version}


async def _trusted(core: Core) -> Fields:
    hosts = [{"host": one.host, "fingerprint": one.fingerprint, "key": one.key} for one in core.trust.hosts()]
    return {"local_server_ssh_key": core.trust.local_key, "trusted_hosts": hosts}


async def _services(core: Core) -> Fields:
    role = core.role
    return {"tomcat": role.tomcat, "client_connections": role.clients, "atlas": core.record.saved.atlas, "core": core.settings.core_services}


async def _devices(core: Core) -> Fields:
    count = core.replication.database.count
    return {"devices": await count("devices"), "users": await count("users")}


async def _log(call: Call) -> int:
    wanted = call.arguments[0].lower()
    module = next((one for one in MODULES if one.lower() == wanted), None)
    if module is None:
        call.print("% Modules: " + ", ".join(MODULES))
        return USAGE
    for line in call.core.log.tail(module, LOG_LINES):
        call.print(line)
    return OK


def task_line(task: TaskRecord) -> str:
    """One task of a sync for people."""
    seconds = f"{task.completed - task.started:.1f} s" if task.completed is not None else ""
    return f"  {task.result:8} {task.name} {seconds} {task.detail}".rstrip()


def _run(run: RunRecord) -> Fields:
    tasks = [{"name": one.name, "started": one.started, "completed": one.completed, "result": one.result, "detail": one.detail} for one in run.tasks]
    return {
        "run": run.run, "source": run.source, "started": run.started, "completed": run.completed, "result": run.result, "reason": run.reason,
        "received_bytes": run.received_bytes, "tasks": tasks,
    }


def _lines(fields: Fields, indent: str = "") -> list[str]:
    """An object as people read it: one line a fact, times in GMT, yes and no."""
    lines: list[str] = []
    for name, value in fields.items():
        title = f"{indent}{name.replace('_', ' ')}"
        if isinstance(value, dict):
            lines += [f"{title}:", *_lines(value, indent + "  ")]
        elif isinstance(value, list):
            lines += [f"{title}:" + ("" if value else " none")]
            lines += [line for one in value for line in ([*_lines(one, indent + "  "), ""] if isinstance(one, dict) else [f"{indent}  {one}"])]
        else:
            lines.append(f"{title}: {_text(name, value)}")
    return lines


TIMES = frozenset({"clock", "started", "completed", "applied", "next_sync", "saved_at", "at"})


def _text(name: str, value: object) -> str:
    if name in TIMES and isinstance(value, float):
        return stamp(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)


def _shown(pattern: str, sentence: str, fields: Callable[[Core], Awaitable[Fields]]) -> tuple[Command, Command]:
    """The two forms of one command."""

    async def people(call: Call) -> int:
        for line in _lines(await fields(call.core)):
            call.print(line)
        return OK

    async def programs(call: Call) -> int:
        call.print(json.dumps(await fields(call.core)))
        return OK

    return Command(pattern, False, sentence, people), Command(f"{pattern} json", False, f"{sentence}, for programs", programs)


SHOW = (
    *_shown("show failover status", "Mode, state, heartbeat, last and next sync", status),
    *_shown("show failover config", "The HA Configuration", _config),
    *_shown("show failover sync history", "Every task of the last syncs", _history),
    *_shown("show failover trusted-hosts", "Local Server SSH Key and trusted hosts", _trusted),
    *_shown("show version", "Software version", _version),
    *_shown("show clock", "This Core's clock", _clock),
    *_shown("show resources", "Processors and memory", _resources),
    *_shown("show services", "tomcat, client connections, Atlas", _services),
    *_shown("show devices", "Device and user counts", _devices),
    Command("show log <module>", False, "The last lines of a module's log, such as HighAvailability", _log),
)
