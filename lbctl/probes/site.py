"""A member that is a site: another lbctl is asked over its API how its own service does (G-SC4). The guide's GTM above a local load balancer.

    OK        the site's active member is up (of a pool: one that answers is): it serves, or it is a Standby that may take over
    failed    it is not, with the site's own state and the member's reason in the detail; or its lbctl cannot be asked (reasons as of any page)
    unknown   the site does not know itself: just started, cut off from its members, or its news are old

Unknown is neither good nor bad for the site that has the traffic, so a restart of its lbctl moves nobody; for a site that might take over it is bad.
That a new active is promoted in time is watched by the site itself. A site has its own failover, which takes its time: `min_outage` here must be
longer than that (`inner_failover`, H12).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from lbctl.errors import ConfigError, Problem
from lbctl.model.looks import ProbeResult, Reason, Verdict
from lbctl.probes.asking import CONNECTED, Asking, http_request, look
from lbctl.probes.base import Target
from lbctl.probes.engine import Engine
from lbctl.probes.reply import Reply
from lbctl.statuspage import Parsed, escaped

OLD_S = 60.0
"""A look of the site's at its own member that is older than this says nothing about now."""
# Any other status tells nothing of the members: its lbctl cannot be asked, which fails like any page that is not there.
_ANSWERS = frozenset({200, 401, 403})
# Restarted or cut off, it does not know: its members may be well, and a restart of lbctl must move no site.
_IGNORANT = frozenset({"uninitialised", "blind"})


@dataclass(frozen=True, slots=True)
class Settings:
    """`service`: its name there; `token_file` holds a viewer's token, which is needed beyond loopback."""

    service: str
    token_file: str | None = None


@dataclass(frozen=True)
class SiteProbe:
    """One page, named `site`."""

    settings: Settings
    engine: Engine
    token: str = field(default="", repr=False)
    pages: ClassVar[tuple[str, ...]] = ("site",)
    modes: ClassVar[bool] = False

    def aim(self, target: Target) -> Asking:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        request = http_request(target, f"/api/v1/services/{self.settings.service}", headers)
        return Asking(self.engine, target, request=request, expected=_ANSWERS, judge=_judge)

    async def look(self, target: Target) -> ProbeResult:
        return await look(self.aim(target))


def make(settings: Settings, engine: Engine) -> SiteProbe:
    """The probe with its token, read now. ConfigError where the file cannot be read or holds no token."""
    if settings.token_file is None:
        return SiteProbe(settings, engine)
    try:
        # At the start, so that a missing token is an error of the configuration and not an outage.
        token = Path(settings.token_file).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([Problem(settings.token_file, "token_file", f"{type(error).__name__}: no token can be read")]) from error
    # It goes into a header as it is: a line end in it would be a header of its own.
    if not token or not token.isprintable() or " " in token:
        raise ConfigError([Problem(settings.token_file, "token_file", "holds no token")])
    return SiteProbe(settings, engine, token)


def _judge(reply: Reply) -> Parsed:
    """The service object of the contract, section 4; anything else is malformed."""
    # A token that has ended is our own want of words, and no outage of the site.
    if reply.status in (401, 403):
        return _unknown(f"the site refuses our token (status {reply.status})")
    try:
        return _verdict(json.loads(reply.body))
    # The body is another machine's: whatever shape it has must end as a verdict, deep nesting included.
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return Parsed(Verdict.FAILED, Reason.MALFORMED, escaped("no service object: " + reply.body[:100].decode("latin-1")))


def _verdict(shown: dict[str, Any]) -> Parsed:
    # An older lbctl there knows only the active.
    answering = shown.get("answering") or [shown["active"]]
    members = [member for member in shown["members"] if member["name"] in answering]
    state = str(shown["state"])
    if state in _IGNORANT or not members:
        return _unknown(f"the site is {state}")
    # Before health: a site that has stopped looking repeats what it saw last, for ever.
    if all(_old(member) for member in members):
        return _unknown(f"the site has not looked at {members[0]['name']} for {OLD_S:.0f} s")
    up = [member for member in members if member["health"] == "up"]
    if not up:
        told = ", ".join(f"{member['name']} {member['health']} ({member['reason']})" for member in members)
        # Not known is not down: only where all are proven down has the site failed (H29).
        if any(member["health"] == "unknown" for member in members):
            return _unknown(f"the site is {state}: {told}")
        return Parsed(Verdict.FAILED, Reason.MISMATCH, escaped(f"the site is {state}: {told}"))
    return CONNECTED


def _old(member: dict[str, Any]) -> bool:
    ages = [page["age_s"] for page in member["monitors"].values() if page.get("age_s") is not None]
    # The freshest page: one that is looked at seldom is no sign that nobody looks.
    return bool(ages) and min(ages) > OLD_S


def _unknown(detail: str) -> Parsed:
    return Parsed(Verdict.UNKNOWN, Reason.UNKNOWN_MODE, escaped(detail))
