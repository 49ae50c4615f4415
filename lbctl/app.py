"""One running lbctl: builds everything from the configuration, runs it, reloads it, ends it.

* Order of the start: lease → embedded DNS server (it answers from its copy at once) → what is remembered and published → looks → API. The
  service manager hears READY after the first round of looks, or after `ROUND_S` without one.
* SIGHUP: read → plan → judge → apply. Refused where a client would get another answer, unless it was allowed; a refused or invalid file
  leaves everything as it was, and `config_ok` tells so.
* SIGTERM changes nothing that is published and ends within seconds.
* A broken promise of our own (a critical loop that does not beat) is not fed to the watchdog: the service manager restarts us, and a restart
  moves nothing.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import importlib.util
import signal
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from lbctl import dashboard, logs, systemd, wiring
from lbctl.actuators import Surroundings
from lbctl.actuators.base import Actuator
from lbctl.api import application
from lbctl.api.call import World
from lbctl.api.server import Server as ApiServer
from lbctl.clock import Clock, SystemClock
from lbctl.config import Config, build, load, read
from lbctl.config.plan import Plan, plan
from lbctl.controller import CANARIES, Charge, Controller, FileLease
from lbctl.controller.monitor import Monitor
from lbctl.controller.supervisor import Heart
from lbctl.dns import figures
from lbctl.dns.server import Server
from lbctl.errors import ConfigError, LbctlError
from lbctl.freshness import Watch
from lbctl.metrics import Metrics, held, read_back
from lbctl.model.commands import Code, Reply
from lbctl.model.decision import Step
from lbctl.model.looks import ProbeResult
from lbctl.notifiers.queue import NoticeQueue
from lbctl.notifiers.words import from_step
from lbctl.policy.conditions import conditions
from lbctl.probes.engine import Engine
from lbctl.readiness.auditor import Auditor
from lbctl.resolvers import Resolvers
from lbctl.runner import Runner
from lbctl.upgrade.run import Upgrades

ROUND_S = 20.0
"""How long READY waits for the first round of looks."""
log = structlog.get_logger()
_QUIET = frozenset({"look", "way-look", "synced", "sync-unknown", "applied", "read-back", "saved"})
"""Steps that stand in the journal and need not be in the log."""


class App:
    """`start()`, then `stop()`; `run()` does both around the signals. `config_ok`: the last reload was successful."""

    def __init__(self, config: Config, clock: Clock | None = None) -> None:
        self.config = config
        self.clock = clock or SystemClock()
        self.config_ok = True
        self.dns: Server | None = None
        self.api: ApiServer | None = None
        self.monitor: Monitor | None = None
        self.lease = FileLease(config.controller.state)
        self._made: dict[tuple[str, str], Actuator] = {}
        self._waiting: set[tuple[str, str, str]] = set()
        self._round = asyncio.Event()
        self._ending = asyncio.Event()
        self._reloading = asyncio.Lock()

    # --- life

    async def start(self) -> None:
        """Everything up to the API. Raises `LeaseLost`, `ConfigError` or OSError (an address that is taken)."""
        config = self.config
        self.lease.acquire()
        if config.authoritative is not None:
            passed = systemd.passed_sockets().get("dns", ())
            self.dns = Server(wiring.server_settings(config, config.authoritative), self.clock, passed=passed)
        self.engine = Engine(self.clock)
        charges = [self._charge(config, name, self._made) for name in config.services]
        if self.dns is not None:
            await self.dns.start()  # only now that it knows every name: secondaries are handed whole zones
        self.controller = Controller(charges, config.safety, wiring.store_of(config), self.clock, lease=self.lease)
        self.monitor = Monitor(self.clock, self._looked, stall_limit_s=config.safety.stall_limit_s)
        self.notices = NoticeQueue(wiring.notifiers_of(config.notify, self.clock), self.clock)
        self.controller.listen(self._tell)
        self.controller.watch_with(self.monitor, self._watch_canaries(config))
        self.hands = wiring.hands_of(config.services.values(), self.clock)
        self.runner = Runner(self.controller, self.hands, self.clock)
        self.controller.listen(self.runner.heard)
        self.resolvers = Resolvers(self.controller, self.clock)
        self.controller.listen(self.resolvers.heard)
        self.controller.show_resolvers(self.resolvers.shown)
        self.freshness = Watch(self.controller, wiring.sources_of(config.services.values(), self.hands), self.clock)
        self.controller.freshen_with(self.freshness.anew)
        self.auditor = Auditor(self.controller, lambda: self.hands, lambda: len(self.notices.ids), self.clock)
        self.upgrades = Upgrades(self.controller, self.auditor.audit, self.auditor.hands_of, self.clock)
        self.controller.supervisor.spawn("readiness", self.auditor.run, critical=False, limit_s=120.0)
        self.controller.supervisor.spawn("notices", self._run_notices, critical=False)
        await self.controller.remember()
        self.api = self._face(config)
        await self.api.start()
        await self.freshness.first()  # after what is remembered is read, which would forget it, and before anything can move
        self.controller.supervisor.spawn("freshness", self.freshness.run, critical=False)
        await self.controller.start(self._watch)

    def _face(self, config: Config) -> ApiServer:
        """Page, API and metrics, over whoever is the controller."""
        rows = (self.resolvers.rows, lambda: read_back(self.controller.places()), lambda: held(self.controller.hosts()),
                lambda: figures.rows(self.dns) if self.dns is not None else ())
        self.metrics = Metrics(self.controller, self.clock, lambda: self.config_ok, self.notices, self.auditor.kept, rows)
        faces = application.build(World(self.controller, self.clock, self), config.api, self.metrics.render)
        dashboard.register(faces.web)
        return ApiServer(faces, config.api, self.clock)

    async def stop(self) -> None:
        """Ends everything, also what was only half begun; what is published stays."""
        systemd.stopping()
        if self.api is not None:
            await self.api.stop()
        if self.monitor is not None:
            self.monitor.close()
            await self.controller.stop()
            self.engine.close()
        if self.dns is not None:
            await self.dns.close()
        self.lease.release()

    async def run(self) -> int:
        """Until SIGTERM or SIGINT. The exit code of `lbctl run`."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._ending.set)
        loop.add_signal_handler(signal.SIGHUP, self._hup)
        starting, ending = loop.create_task(self._begin()), loop.create_task(self._ending.wait())
        try:
            await asyncio.wait({starting, ending}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                starting.result()
                await ending
            log.info("stopping; what is published stays")
        finally:
            for task in (starting, ending):
                task.cancel()
            await asyncio.gather(starting, ending, return_exceptions=True)
            await self.stop()
        return int(Code.DONE)

    async def _begin(self) -> None:
        await self.start()
        await self._first_round()
        gc.collect()
        gc.freeze()  # what lives as long as the process is not looked through again: a collection would stall every look (H24)
        systemd.ready(self.status())
        log.info("ready", services=len(self.config.services), status=self.status())
        self.controller.supervisor.spawn("watchdog", self._feed, critical=False)

    def end(self) -> None:
        """As SIGTERM does."""
        self._ending.set()

    def status(self) -> str:
        """One line for people: how many services are in which state."""
        states: dict[str, int] = {}
        for case in self.controller.cases():
            state = conditions(case)[0]
            states[state] = states.get(state, 0) + 1
        return ", ".join(f"{count} {state}" for state, count in sorted(states.items())) or "no services"

    # --- looks

    def _watch(self, name: str) -> None:
        """The controller has taken up this service: its members are looked at from now on."""
        built = self.config.services[name]
        probe = wiring.probe_of(built.monitor, self.engine)
        targets = wiring.targets_of(built, probe.pages)
        self._waiting.update((name, target.member, target.page) for target in targets)
        assert self.monitor is not None, "the controller takes up services after the monitor was made"
        self.monitor.watch(name, probe, targets, {m.name: m.probe for m in built.settings.members})

    def _watch_canaries(self, config: Config) -> Mapping[str, float]:
        """How long a look at each counts; what is watched now replaces what was."""
        assert self.monitor is not None, "canaries are looked at by the monitor"
        found = wiring.canaries_of(config.canaries, self.engine)
        for name in (f"{CANARIES}/http", f"{CANARIES}/tcp"):
            if all(name != one for one, _, _ in found):
                self.monitor.unwatch(name)
        for name, probe, targets in found:
            self.monitor.watch(name, probe, targets, {target.member: wiring.CANARY_PROBE for target in targets})
        fresh_s = 2 * wiring.CANARY_PROBE.interval_s + wiring.CANARY_PROBE.timeout_s
        return {canary.name: fresh_s for canary in config.canaries}

    def _looked(self, service: str, look: ProbeResult) -> None:
        self.controller.looked(CANARIES if service.startswith(CANARIES) else service, look)
        if self._waiting:
            self._waiting.discard((service, look.member, look.page))
            if not self._waiting:
                self._round.set()

    async def _first_round(self) -> None:
        try:
            async with asyncio.timeout(ROUND_S):
                await self._round.wait()
        except TimeoutError:
            log.warning("the first round of looks is not over", missing=len(self._waiting))

    # --- telling

    def _tell(self, step: Step) -> None:
        if step.kind not in _QUIET:
            level = log.warning if step.data.get("page") else log.info
            level(step.text, service=step.service, kind=step.kind, by=step.by, epoch=step.epoch or None)
        notice = from_step(step)
        if notice is not None and self.notices.ids:
            self.notices.offer(notice)

    async def _run_notices(self, heart: Heart) -> None:
        await self.notices.run()

    async def _feed(self, heart: Heart) -> None:
        """The watchdog is fed only while every critical loop beats (H55)."""
        every_s = systemd.watchdog_s()
        while True:
            await self.clock.sleep(min(every_s or 10.0, 10.0))
            late = self.controller.supervisor.late()
            systemd.notify(f"STATUS={self.status()}", *([] if late or every_s is None else ["WATCHDOG=1"]))

    # --- new configuration

    def _hup(self) -> None:
        self.controller.supervisor.task("reload", self._reload_for_signal())

    async def _reload_for_signal(self) -> None:
        systemd.reloading()
        if self.api is not None:
            await self.api.reload_tls()
        try:
            reply = await self.reload("SIGHUP")
            log.info("reload", code=reply.code.name, message=reply.message)
        except ConfigError as error:
            log.error("reload refused: the file is not valid", problems=str(error))
        finally:
            systemd.ready(self.status())

    def cluster(self) -> Mapping[str, Any]:
        """Who decides what. One controller on a file: it holds the lock or it does not run."""
        health, me = self.controller.health(), self.config.controller
        ours = {"name": me.name, "leader": health["leader"], "lease": f"lock on {me.state}", "store_up": health["store_up"], "why": health["why"]}
        return {"controllers": [ours], "quorum": me.quorum, "decides": dict.fromkeys(self.config.services, me.name)}

    async def readiness(self, name: str) -> Mapping[str, Any]:
        """Every best practice with its evidence, read from the Cores now. KeyError where the service is not configured."""
        return await self.auditor.rows(name)

    async def upgrade(self, name: str) -> Mapping[str, Any]:
        """The guide's nine steps and what each still misses. KeyError where the service is not configured."""
        return await self.upgrades.shown(name)

    async def upgrade_do(self, name: str, action: str, by: str, reason: str) -> Reply:
        """`start`, `next` (a reason is a person's word for what cannot be read) or `abort`."""
        if action == "start":
            return await self.upgrades.start(name, by, reason)
        return await (self.upgrades.next(name, by, reason) if action == "next" else self.upgrades.abort(name, by, reason))

    async def plan(self, text: str, name: str) -> Mapping[str, Any]:
        """What a reload to this text would change; changes nothing. Raises `ConfigError`."""
        new = build(load(Path(name), text=text))
        return self._plan(new).object()

    def _plan(self, new: Config) -> Plan:
        return plan(self.config, new, self.controller.saved())

    def notices_shown(self, limit: int) -> dict[str, Any]:
        """What became of the notices, newest first."""
        found = [asdict(delivery) for delivery in self.notices.deliveries(limit)]
        return {"ways": list(self.notices.ids), "waiting": self.notices.waiting, "deliveries": found}

    async def notify_test(self, by: str) -> list[dict[str, Any]]:
        """A test notice through every configured way, past what waits; how each ended."""
        return [asdict(delivery) for delivery in await self.notices.test(by)]

    async def reload(self, by: str, *, allow_switch: bool = False) -> Reply:
        """Validate, plan, apply the file; refused where it would move traffic, unless allowed (H37). Raises `ConfigError`."""
        async with self._reloading:
            self.config_ok = False
            new = read(self.config.file)
            planned = self._plan(new)
            if planned.moves_traffic and not allow_switch:
                moving = "; ".join(change.text for change in planned.changes if change.moves)
                return Reply(Code.REFUSED, f"it would move traffic: {moving}", rule="traffic-unmoved", evidence=planned.object())
            reply = await self._apply(new, by, allow_switch=allow_switch)
            self.config_ok = reply.code is Code.DONE
            later = "; ".join(change.text for change in planned.changes if change.restart)
            return replace(reply, message=f"{reply.message}; {later}") if self.config_ok and later else reply

    async def _apply(self, new: Config, by: str, *, allow_switch: bool) -> Reply:
        """All or nothing: the zones first, because new names need them; taken back where something cannot be made or a service refuses."""
        old, made = self.config, dict[tuple[str, str], Actuator]()
        ways = wiring.notifiers_of(new.notify, self.clock)
        declared = self.dns.register.declared() if self.dns is not None else {}
        await self._serve(new)
        try:
            charges = [self._charge(new, name, made) for name in new.services]
            for built in new.services.values():
                wiring.probe_of(built.monitor, self.engine)  # a site's token is read: it may not fail when the rest is in force
        except ConfigError:
            await self._take_back(made, declared)
            raise
        if self.controller.refusals(charges, allow_switch=allow_switch, by=by):
            await self._take_back(made, declared)
            return await self.controller.reload(charges, allow_switch=allow_switch, by=by)
        self.config, self._made = new, made
        if new.notify != old.notify:
            self.notices.replace(ways)
        if self.dns is not None:
            kept = (one.settings["name"] for built in new.services.values() for one in built.actuators if one.kind == "authoritative")
            self.dns.register.retain(kept)
        self.hands = self.runner.hands = wiring.hands_of(new.services.values(), self.clock)
        reply = await self.controller.reload(charges, allow_switch=allow_switch, by=by, taken_up=self._watch)
        self.freshness.follow(wiring.sources_of(new.services.values(), self.hands))
        self._watch_anew(old, new)
        return reply

    async def _take_back(self, made: Mapping[tuple[str, str], Actuator], declared: Mapping[str, int]) -> None:
        """As it was: the zones, the names in them with their TTLs, and nothing that was made for the refused file."""
        await self._serve(self.config)
        if self.dns is not None:
            for name, ttl_s in declared.items():
                self.dns.register.declare(name, ttl_s)
            self.dns.register.retain(declared)
        for key, actuator in made.items():
            if self._made.get(key) is not actuator:
                await actuator.close()

    async def _serve(self, config: Config) -> None:
        if self.dns is not None and config.authoritative is not None:
            await self.dns.reload(wiring.zones_of(config.authoritative), config.authoritative.rate_limit or None)

    def _watch_anew(self, old: Config, new: Config) -> None:
        """Looks at what is configured now."""
        assert self.monitor is not None, "a reload comes after the start"
        for name, built in old.services.items():
            if name not in new.services:
                self.monitor.unwatch(name)
            elif built != new.services[name]:
                self._watch(name)
        self.controller.watch_with(self.monitor, self._watch_canaries(new))

    def _happened(self, service: str, kind: str, text: str) -> None:
        """What an actuator tells between two readings: a line of the journal, and a notice where `words` has a row for it."""
        if service in self.controller.names:
            self.controller.note(service, kind, text)

    def _charge(self, config: Config, name: str, made: dict[tuple[str, str], Actuator]) -> Charge:
        """A service with its actuators; one whose settings did not change is the same object as before, so that it goes on undisturbed."""
        built, before = config.services[name], self.config.services.get(name)
        around = Surroundings(self.clock, self.dns, config.controller.state, partial(self._happened, name))
        for one in built.actuators:
            kept = self._made.get((name, one.id)) if before is not None and one in before.actuators else None
            made[name, one.id] = kept or wiring.actuator_of(one, around)
        return Charge(built.settings, tuple(made[name, one.id] for one in built.actuators))


async def run(file: Path) -> int:
    """The controller in the foreground, until it is told to end."""
    try:
        return await App(read(file)).run()
    except ConfigError:
        raise
    except LbctlError as error:
        log.error(str(error))
        return int(Code.ERROR)


def main(file: Path) -> int:
    """`lbctl run`: on uvloop where it is installed."""
    logs.setup()
    factory = importlib.import_module("uvloop").new_event_loop if importlib.util.find_spec("uvloop") else None
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(run(file))
