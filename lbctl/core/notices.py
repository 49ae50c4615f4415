"""E-mail of a Core (G-NT): sync completion, sync failure, failure detected, *this server becomes primary*, and the test mail.

Notices wait in a bounded queue for one worker, so that a mail server that hangs never holds up a failover; what cannot be delivered is tried
again a few times where that may help, and is a line in the log in any case.
"""

from __future__ import annotations

import asyncio

from lbctl.clock import Clock
from lbctl.core.logbook import HIGH_AVAILABILITY, Logbook, stamp
from lbctl.core.record import Record
from lbctl.core.settings import CoreSettings
from lbctl.core.sync.history import Result, RunRecord
from lbctl.errors import LbctlError
from lbctl.mail import MailFailed, compose, send

QUEUE_MAX = 100
TRIES = 4
RETRY_S = 30.0


class NoMail(LbctlError):
    """There is no e-mail address or no mail server: set Notification Settings, or the Core's mail server."""


class Notices:
    """`run` is the worker."""

    def __init__(self, settings: CoreSettings, record: Record, log: Logbook, clock: Clock) -> None:
        self._settings = settings
        self._record = record
        self._log = log
        self._clock = clock
        self._queue: asyncio.Queue[tuple[str, str]] = asyncio.Queue(QUEUE_MAX)

    def failure_detected(self, primary: str, detail: str, *, promoted: bool) -> None:
        """The heartbeat has given the Primary up. With a promotion `became_primary` tells the rest."""
        if not promoted:
            text = f"{primary} failed its heartbeats: {detail}.\nThis server stays in Standby (If Failure Detected: Keep in Standby)."
            self._tell(f"failure detected: {primary}", text, wanted=self._record.ha.notify_failure)

    def became_primary(self, cause: str) -> None:
        """This server becomes primary."""
        text = f"This server was promoted and is Active.\nWhy: {cause}.\nIt does not replicate from its Primary until it is returned to Standby."
        self._tell("this server becomes primary", text, wanted=self._record.ha.notify_failure)

    def sync_ended(self, run: RunRecord) -> None:
        """After every sync."""
        tasks = "\n".join(f"  {task.result:8} {task.name}: {task.detail}" for task in run.tasks)
        completed = stamp(run.completed) if run.completed is not None else "not completed"
        text = f"Source: {run.source}\nStarted: {stamp(run.started)}\nCompleted: {completed}\nResult: {run.result} {run.reason}\n{tasks}"
        if run.result is Result.SUCCESS:
            self._tell(f"sync from {run.source} completed", text, wanted=self._record.ha.notify_sync_completion)
        else:
            self._tell(f"sync from {run.source} failed", text, wanted=self._record.ha.notify_failure)

    async def test(self, to: str = "") -> str:
        """*Test*: sends a mail now, to `to` or to the saved address, and says to whom. Raises `NoMail` or `MailFailed`."""
        address = to or self._record.ha.email
        await self._send("test", "This is a test of the Notification Settings.", address)
        self._log.write(HIGH_AVAILABILITY, f"test e-mail sent to {address}")
        return address

    async def run(self) -> None:
        """Delivers what waits, for ever."""
        while True:
            subject, text = await self._queue.get()
            await self._deliver(subject, text)

    def _tell(self, subject: str, text: str, *, wanted: bool) -> None:
        self._log.write(HIGH_AVAILABILITY, subject)
        if not wanted or not self._record.ha.email:
            return
        try:
            self._queue.put_nowait((subject, text))
        except asyncio.QueueFull:
            self._log.write(HIGH_AVAILABILITY, f"too many e-mails wait: not sent: {subject}", level="ERROR")

    async def _deliver(self, subject: str, text: str) -> None:
        for attempt in range(1, TRIES + 1):
            try:
                await self._send(subject, text, self._record.ha.email)
                self._log.write(HIGH_AVAILABILITY, f"e-mail sent to {self._record.ha.email}: {subject}")
                return
            except (MailFailed, NoMail) as error:
                again = isinstance(error, MailFailed) and error.temporary and attempt < TRIES
                self._log.write(HIGH_AVAILABILITY, f"e-mail not sent{', tried again' if again else ''}: {subject}: {error}", level="WARNING")
                if not again:
                    return
            await self._clock.sleep(RETRY_S)

    async def _send(self, subject: str, text: str, to: str) -> None:
        mail = self._settings.mail
        if not to:
            raise NoMail("there is no e-mail address in the Notification Settings")
        if mail is None:
            raise NoMail("this Core has no mail server (`mail:` in its file)")
        name = self._settings.name
        message = compose(sender=mail.sender, to=(to,), subject=f"[{name}] High Availability: {subject}", text=text, now=self._clock.now())
        await send(mail.server(), message)
