"""The built-in monitor `core`: the guide's two pages (G-LB1, G-LB2) over HTTP or HTTPS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lbctl.model.looks import ProbeResult
from lbctl.probes.asking import Asking, http_request, look
from lbctl.probes.base import Target
from lbctl.probes.engine import Engine
from lbctl.probes.reply import Reply
from lbctl.statuspage import HASTATUS_PATH, STATUS_PATH, Parsed, parse_hastatus, parse_status

# A 503 with the right text is a failure (G-LB1), and so is a 201: the guide's page is answered with 200 or not at all.
_OK_ONLY = frozenset({200})


@dataclass(frozen=True, slots=True)
class Settings:
    """Nothing to set: paths and messages are the guide's."""


@dataclass(frozen=True)
class CoreProbe:
    """Page `status`: `ok` or failed. Page `hastatus`: `standby`, `primary`, `unknown` or failed."""

    settings: Settings
    engine: Engine
    pages: ClassVar[tuple[str, ...]] = ("status", "hastatus")
    modes: ClassVar[bool] = True

    def aim(self, target: Target) -> Asking:
        path, judge = (STATUS_PATH, _judge_status) if target.page == "status" else (HASTATUS_PATH, _judge_hastatus)
        return Asking(self.engine, target, request=http_request(target, path), expected=_OK_ONLY, judge=judge)

    async def look(self, target: Target) -> ProbeResult:
        return await look(self.aim(target))


def _judge_status(reply: Reply) -> Parsed:
    return parse_status(reply.body)


def _judge_hastatus(reply: Reply) -> Parsed:
    return parse_hastatus(reply.body)
