"""The portal's addresses, and the pages beside the HA Configuration window: trusted hosts, Sync History, services, logs."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

from lbctl.core.base import Core
from lbctl.core.logbook import HIGH_AVAILABILITY, MODULES, SSH, SYSTEM
from lbctl.core.portal import views
from lbctl.core.portal.frame import ROOT
from lbctl.core.portal.guard import Guard, Visit, dressed, go
from lbctl.core.portal.ha import UNPROCESSABLE, HaWindow
from lbctl.core.portal.static import static

HISTORY_RUNS = 50
LOG_LINES = 500
HOSTS_PATH = "/ha/trusted-hosts"


def add_portal(app: web.Application, core: Core) -> None:
    """Adds the portal under `/mics` to the application of port 8443."""
    guard = Guard(core)
    window, rooms = HaWindow(core, guard), Rooms(core, guard)
    portal = web.Application()
    portal.on_response_prepare.append(dressed)
    portal.add_routes([
        web.get("", _start), web.get("/", _start), web.get("/static/{name}", static),
        web.get("/login", guard.show_login), web.post("/login", guard.login), web.post("/logout", guard.logout),
        web.get("/ha", guard.inside(window.show)), web.post("/ha", guard.inside(window.act)),
        web.get("/ha/last-sync", guard.inside(window.last_sync, alone=True)), web.get("/ha/sync-history", guard.inside(rooms.history)),
        web.get(HOSTS_PATH, guard.inside(rooms.hosts)), web.post(HOSTS_PATH, guard.inside(rooms.act_on_hosts)),
        web.get("/services", guard.inside(rooms.services)), web.post("/services", guard.inside(rooms.set_services)),
        web.get("/logs", guard.inside(rooms.logs)),
    ])
    app.add_subapp(ROOT, portal)


class Rooms:
    """The pages of one Core beside its HA Configuration window."""

    def __init__(self, core: Core, guard: Guard) -> None:
        self._core = core
        self._guard = guard

    async def history(self, visit: Visit) -> web.StreamResponse:
        """*Sync History*."""
        replication = self._core.replication
        runs = await replication.history.runs(HISTORY_RUNS)
        return self._guard.page(visit, "Sync History", "/ha/sync-history", views.sync_history(runs, replication.progress))

    async def hosts(self, visit: Visit) -> web.StreamResponse:
        """*Manage Trusted Hosts*."""
        return self._hosts_page(visit, {}, "")

    async def act_on_hosts(self, visit: Visit) -> web.StreamResponse:
        """*Add SSH Key*, *Test Connection*, *Remove*."""
        host = visit.fields.get("host", "").strip()
        actions = {"test": self._test, "remove": self._remove, "add": self._add}
        action = actions.get(visit.fields.get("action", ""))
        if action is None:
            raise web.HTTPBadRequest(text="There is no such button.\n")
        try:
            return await action(visit, host)
        except OSError as error:
            return self._not_written(visit, error, HOSTS_PATH)

    async def services(self, visit: Visit) -> web.StreamResponse:
        """*Settings > Services*."""
        core = self._core
        body = views.services(core.record.saved.atlas, core.role.tomcat, core.role.clients, core.settings.core_services, visit.session.csrf)
        return self._guard.page(visit, "Services", "/services", body)

    async def set_services(self, visit: Visit) -> web.StreamResponse:
        """Atlas Enable or Disable (G-AT)."""
        wanted = visit.fields.get("atlas")
        if wanted not in ("yes", "no"):
            raise web.HTTPBadRequest(text="Select Enable or Disable.\n")
        try:
            self._core.record.set_atlas(wanted == "yes", visit.cause)
        except OSError as error:
            return self._not_written(visit, error, "/services")
        self._core.log.write(SYSTEM, f"Atlas {'enabled' if wanted == 'yes' else 'disabled'} ({visit.cause})")
        visit.note("good", f"Atlas is {'enabled' if wanted == 'yes' else 'disabled'}.")
        return go("/services")

    async def logs(self, visit: Visit) -> web.StreamResponse:
        """*Troubleshooting > Logs*, MICS."""
        module = visit.fields.get("module", HIGH_AVAILABILITY)
        chosen = module if module in MODULES else HIGH_AVAILABILITY
        return self._guard.page(visit, "Logs", "/logs", views.logs(MODULES, chosen, self._core.log.tail(chosen, LOG_LINES)))

    async def _add(self, visit: Visit, host: str) -> web.StreamResponse:
        try:
            self._core.trust.add(host, visit.fields.get("key", ""), **_ports(visit.fields))
        except ValueError as error:
            return self._hosts_page(visit, visit.fields, str(error))
        self._core.log.write(SSH, f"{host} is trusted ({visit.cause})")
        visit.note("good", f"The key of {host} was added. Click Test Connection on both servers.")
        return go(HOSTS_PATH)

    async def _remove(self, visit: Visit, host: str) -> web.StreamResponse:
        self._core.trust.remove(host)
        self._core.log.write(SSH, f"{host} is not trusted any more ({visit.cause})")
        stays = self._core.trust.find(host) is not None
        visit.note("info", f"{host} stands in this server's file and stays." if stays else f"{host} was removed.")
        return go(HOSTS_PATH)

    async def _test(self, visit: Visit, host: str) -> web.StreamResponse:
        tested = await self._core.connectivity.test(host)
        self._core.log.write(HIGH_AVAILABILITY, f"test connection to {host}: {tested.message} ({visit.cause})")
        return self._guard.page(visit, "Manage Trusted Hosts", HOSTS_PATH, views.tested(tested))

    def _not_written(self, visit: Visit, error: OSError, path: str) -> web.StreamResponse:
        visit.note("bad", f"The change could not be written to the disk and is not in effect: {error.strerror}")
        return go(path)

    def _hosts_page(self, visit: Visit, sent: Mapping[str, str], problem: str) -> web.StreamResponse:
        trust = self._core.trust
        body = views.trusted_hosts(trust.local_key, trust.hosts(), sent, problem, visit.session.csrf)
        return self._guard.page(visit, "Manage Trusted Hosts", HOSTS_PATH, body, status=UNPROCESSABLE if problem else 200)


def _ports(fields: Mapping[str, str]) -> dict[str, int]:
    """The ports that were filled in. Raises ValueError."""
    ports = {}
    for name, usual in views.PORTS:
        number = fields.get(name, "").strip()
        if number and not (number.isdecimal() and 0 < int(number[:6]) < 65536):
            raise ValueError(f"Port {usual}: enter a number from 1 to 65535, or nothing")
        if number:
            ports[name] = int(number)
    return ports


async def _start(_: web.Request) -> web.StreamResponse:
    return go("/ha")
