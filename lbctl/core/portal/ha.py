"""What the buttons of the *HA Configuration* window do.

*Save* judges the page and keeps it for the session; *Apply* judges it and puts it into effect; nothing of a page with a mistake is used.
*Run Sync Now* and *Test* use what the page says now, as steps 5 and 6 of the guide have it, before anything is saved.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from lbctl.core.base import Core
from lbctl.core.notices import NoMail
from lbctl.core.portal import form, views
from lbctl.core.portal.guard import Guard, Visit, go
from lbctl.core.portal.ha_view import PATH, HaView, last_sync, window
from lbctl.core.settings import EMAIL
from lbctl.core.sync.history import Result, RunRecord
from lbctl.errors import LbctlError
from lbctl.mail import MailFailed

TITLE = "HA Configuration"
QUICK_S = 1.0
"""A sync that ends within this time is told of at once; a longer one goes on by itself."""

UNPROCESSABLE = 422
FIELDS = (*form.CHOICES, *form.SECONDARY_FIELDS, *form.TICKS)


class HaWindow:
    """The window of one Core."""

    def __init__(self, core: Core, guard: Guard) -> None:
        self._core = core
        self._guard = guard
        self._syncs: set[asyncio.Task[RunRecord]] = set()
        self._actions: Mapping[str, Callable[[Visit], Awaitable[web.StreamResponse]]] = {
            "save": self._save, "apply": self._apply, "discard": self._discard, "run-sync": self._run_sync, "test-mail": self._test_mail,
        }

    async def show(self, visit: Visit) -> web.StreamResponse:
        """The window as edited in this session, or as in effect."""
        return await self._window(visit, {})

    async def act(self, visit: Visit) -> web.StreamResponse:
        """One button."""
        action = self._actions.get(visit.fields.get("action", ""))
        if action is None:
            raise web.HTTPBadRequest(text="There is no such button.\n")
        visit.session.draft = {name: visit.fields.get(name, "") for name in FIELDS}
        return await action(visit)

    async def last_sync(self, _: Visit) -> web.StreamResponse:
        """*Last Sync Status* alone, for the script that refreshes it."""
        replication = self._core.replication
        fragment = last_sync(await replication.history.last(), replication.progress)
        return web.Response(text=fragment, content_type="text/html")

    async def _window(self, visit: Visit, errors: Mapping[str, str]) -> web.StreamResponse:
        core, effective = self._core, form.shown(self._core.record.ha, self._core.role)
        fields = visit.session.draft or effective
        view = HaView(
            fields, errors, form.advice(fields), fields != effective, self._trusted(), core.role.sentence, await core.replication.history.last(),
            core.record.saved.served, core.replication.next_run, core.replication.progress, core.replication.running, visit.session.csrf,
        )
        return self._guard.page(visit, TITLE, PATH, window(view), status=UNPROCESSABLE if errors else 200)

    def _trusted(self) -> list[str]:
        return [host.host for host in self._core.trust.hosts()]

    def _read(self, visit: Visit) -> form.Reading:
        return form.read(visit.fields, self._core.record.ha, self._trusted())

    async def _refused(self, visit: Visit, errors: Mapping[str, str]) -> web.StreamResponse:
        visit.note("bad", "Nothing was changed: correct the fields that are marked below.")
        return await self._window(visit, errors)

    async def _save(self, visit: Visit) -> web.StreamResponse:
        reading = self._read(visit)
        if reading.settings is None:
            return await self._refused(visit, reading.errors)
        visit.note("good", "Saved. Click Apply to put the changes into effect.")
        return go(PATH)

    async def _apply(self, visit: Visit) -> web.StreamResponse:
        reading = self._read(visit)
        if reading.settings is None:
            return await self._refused(visit, reading.errors)
        try:
            await self._core.save_ha(reading.settings, active=reading.active, cause=visit.cause)
        except OSError as error:
            visit.note("bad", f"The changes could not be written to the disk and are not in effect: {error.strerror}")
            return await self._window(visit, {})
        visit.session.draft = None
        return self._guard.page(visit, TITLE, PATH, views.confirmed(self._core.role.sentence))

    async def _discard(self, visit: Visit) -> web.StreamResponse:
        visit.session.draft = None
        return go(PATH)

    async def _run_sync(self, visit: Visit) -> web.StreamResponse:
        host = visit.fields.get("primary_host", "")
        if host not in self._trusted():
            return await self._refused(visit, {"primary_host": form.MESSAGES["primary_host"]})
        task = asyncio.create_task(self._core.run_sync(host, visit.cause))
        self._syncs.add(task)
        task.add_done_callback(self._ended)
        done, _ = await asyncio.wait({task}, timeout=QUICK_S)
        visit.note(*_told(task) if done else ("info", f"The sync from {host} is running. Its tasks are shown under Sync History."))
        return go(PATH)

    async def _test_mail(self, visit: Visit) -> web.StreamResponse:
        address = visit.fields.get("email", "").strip()
        if not EMAIL.fullmatch(address):
            return await self._refused(visit, {"email": form.MESSAGES["email"]})
        try:
            await self._core.notices.test(address)
            visit.note("good", f"A test e-mail was sent to {address}.")
        except (NoMail, MailFailed) as error:
            visit.note("bad", f"The test e-mail was not sent: {error}")
        return go(PATH)

    def _ended(self, task: asyncio.Task[RunRecord]) -> None:
        self._syncs.discard(task)
        if not task.cancelled():
            task.exception()  # told by the history and the log; nobody may be waiting here any more


def _told(task: asyncio.Task[RunRecord]) -> tuple[str, str]:
    try:
        run = task.result()
    except LbctlError as error:
        return "bad", f"No sync: {error}"
    if run.result is Result.SUCCESS:
        return "good", f"The sync from {run.source} completed: Success."
    return "bad", f"The sync from {run.source} failed: {run.reason}"
