"""A custom monitor over HTTP or HTTPS (Sentry, say): a path, the statuses that are good, and what the body must hold."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lbctl.model.looks import ProbeResult, Reason, Verdict
from lbctl.probes.asking import CONNECTED, Asking, http_request, look
from lbctl.probes.base import Target
from lbctl.probes.engine import Engine
from lbctl.probes.reply import Reply
from lbctl.statuspage import Parsed, escaped


@dataclass(frozen=True, slots=True)
class Settings:
    """`status`: the good ones; a redirect is good only where it is named. `text` must be contained in the body, `regex` found in it (UTF-8).

    A pattern runs on at most 64 KiB that the member chose: nested repetitions would let it hold up every other look.
    """

    path: str = "/"
    status: tuple[int, ...] = (200,)
    text: str | None = None
    regex: str | None = None


class HttpProbe:
    """One page, named `http`; up is `ok`."""

    pages: tuple[str, ...] = ("http",)
    modes = False

    def __init__(self, settings: Settings, engine: Engine) -> None:
        self._engine = engine
        self._settings = settings
        self._text = settings.text.encode() if settings.text is not None else None
        self._regex = re.compile(settings.regex.encode()) if settings.regex is not None else None

    def aim(self, target: Target) -> Asking:
        request = http_request(target, self._settings.path)
        return Asking(self._engine, target, request=request, expected=frozenset(self._settings.status), judge=self._judge)

    async def look(self, target: Target) -> ProbeResult:
        return await look(self.aim(target))

    def _judge(self, reply: Reply) -> Parsed:
        if self._text is not None and self._text not in reply.body:
            return _mismatch("the text is not in ", reply)
        if self._regex is not None and not self._regex.search(reply.body):
            return _mismatch("the pattern is not in ", reply)
        return CONNECTED


def _mismatch(note: str, reply: Reply) -> Parsed:
    return Parsed(Verdict.FAILED, Reason.MISMATCH, escaped(note + reply.body[:100].decode("latin-1")))
