"""A custom monitor over HTTP or HTTPS (Sentry, say): a path, the statuses that are good, and what the body must hold."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

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


@dataclass(frozen=True)
class HttpProbe:
    """One page, named `http`; up is `ok`."""

    settings: Settings
    engine: Engine
    pages: ClassVar[tuple[str, ...]] = ("http",)
    modes: ClassVar[bool] = False

    def aim(self, target: Target) -> Asking:
        settings = self.settings
        # Compiled once, at the aim: a pattern of the configuration must not cost at every look.
        judge = Judging(settings.text.encode() if settings.text else None, re.compile(settings.regex.encode()) if settings.regex else None)
        request = http_request(target, settings.path)
        return Asking(self.engine, target, request=request, expected=frozenset(settings.status), judge=judge)

    async def look(self, target: Target) -> ProbeResult:
        return await look(self.aim(target))


@dataclass(frozen=True, slots=True)
class Judging:
    """The settings made ready to judge bytes."""

    text: bytes | None
    regex: re.Pattern[bytes] | None

    def __call__(self, reply: Reply) -> Parsed:
        # Bytes in bytes: what encoding a page claims is its own affair and may be wrong.
        if self.text is not None and self.text not in reply.body:
            return _mismatch("the text is not in ", reply)
        if self.regex is not None and not self.regex.search(reply.body):
            return _mismatch("the pattern is not in ", reply)
        return CONNECTED


def _mismatch(note: str, reply: Reply) -> Parsed:
    # Latin-1 takes any byte: a page of another kind must not raise just where it is to be shown.
    return Parsed(Verdict.FAILED, Reason.MISMATCH, escaped(note + reply.body[:100].decode("latin-1")))
