"""The probe profiles, and how settings of the file, a service and a member come together.

The nearest word wins: member, then service, then `defaults`, then the profile. A level that names a profile begins anew from it, so that
`profile: fast` on one service is the whole of `fast` and not a mixture with what `defaults` had changed of `careful`.
"""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import Any

from lbctl.config.models import Probe, Rules
from lbctl.config.services import Member
from lbctl.model.settings import ProbeSettings

PROFILES = MappingProxyType({
    "careful": ProbeSettings(),
    "standard": ProbeSettings("standard", interval_s=1.0, fast_interval_s=0.25, timeout_s=1.0, min_outage_s=0.0),
    "fast": ProbeSettings("fast", interval_s=0.05, fast_interval_s=0.01, timeout_s=0.05, fall=2, min_outage_s=0.0),
})
"""Contract section 3; `rise` is 2 in all."""

SECONDS = ("interval", "fast_interval", "timeout", "min_outage")
WORDS = ("fall", "rise", "leak", "connection", "families")


def probe_settings(*levels: Probe) -> ProbeSettings:
    """The settings of one member; `levels` from the widest to the nearest."""
    settings = PROFILES["careful"]
    for level in levels:
        if level.profile:
            settings = PROFILES[level.profile]
        changed: dict[str, Any] = {f"{key}_s": getattr(level, key) for key in SECONDS if getattr(level, key) is not None}
        changed |= {key: getattr(level, key) for key in WORDS if getattr(level, key) is not None}
        settings = replace(settings, **changed) if changed else settings
    return settings


def families(member: Member, *levels: Probe) -> str:
    """How a member's address families are looked at (H22). Unsaid: each by itself where nothing but its addresses says where it is looked at."""
    said = next((level.families for level in reversed(levels) if level.families), None)
    both = len({":" in text for view in member.address.values() for text in view}) > 1
    return said or ("any" if both and not (member.url or member.connect) else "one")


def rule(name: str, *levels: Rules) -> Any:
    """The value of a rule, from the nearest level that has it; None where none has (the model's default then holds)."""
    for level in reversed(levels):
        if (value := getattr(level, name)) is not None:
            return value
    return None
