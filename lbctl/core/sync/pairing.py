"""Who may copy from whom: the refusals, one row each. Pure.

The guide's rules: replication only between Cores with the same software version (G-SY5); a Core in Primary mode does not replicate with any
other, and a Secondary that was promoted to Active does not sync (G-SY1); host names are unique (table 3), so a Core that meets its own name is
talking to itself; an Atlas-only server and a full Core have nothing to give each other (G-SY4). Both sides ask, so that neither depends on
the other's honesty or age.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import get_type_hints

from lbctl.core.facts import Facts
from lbctl.core.state import Mode, State

TEXT_MAX = 253


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a sync may not be: a short rule name and a sentence for people."""

    rule: str
    message: str


def facts_from_wire(fields: object) -> Facts:
    """What the other side says of itself. Raises ValueError for anything but the object that `Facts.as_json` makes."""
    kinds = get_type_hints(Facts)
    if not isinstance(fields, dict) or fields.keys() != kinds.keys():
        raise ValueError("the other side does not say what it is")
    if any(not isinstance(fields[name], (int, float) if kind is float else kind) for name, kind in kinds.items()):
        raise ValueError("the other side says of itself what cannot be")
    if any(isinstance(value, str) and len(value) > TEXT_MAX for value in fields.values()):
        raise ValueError("the other side has a name that is too long")
    return Facts(**fields)


def refuse_alone(copy: Facts) -> Refusal | None:
    """What the Secondary knows before it connects."""
    if copy.state != State.ACTIVE:
        return None
    if copy.mode == Mode.PRIMARY:
        return Refusal("primary-mode", f"{copy.name} is in Primary mode: a system in Primary mode does not replicate with any other Core")
    return Refusal("active-state", f"{copy.name} is Active: a Secondary that was promoted does not sync until it is in Standby again")


def refuse_pair(copy: Facts, source: Facts) -> Refusal | None:
    """What the two know of each other."""
    return refuse_alone(copy) or next((refusal for row in _PAIR_RULES if (refusal := row(copy, source))), None)


def _two_hosts(copy: Facts, source: Facts) -> Refusal | None:
    if copy.name != source.name:
        return None
    return Refusal("same-host", f"both sides are called {copy.name}: a Core cannot sync from itself, and host names must be unique")


def _same_version(copy: Facts, source: Facts) -> Refusal | None:
    if copy.version == source.version:
        return None
    message = f"{copy.name} runs {copy.version}, {source.name} runs {source.version}: "
    return Refusal("version", message + "replication can only occur between Cores with the same software version")


def _same_kind(copy: Facts, source: Facts) -> Refusal | None:
    if copy.serves_core == source.serves_core:
        return None
    full, lone = (copy, source) if copy.serves_core else (source, copy)
    return Refusal("kind", f"{lone.name} is an Atlas-only server, {full.name} is not: they have nothing to replicate")


_PAIR_RULES: tuple[Callable[[Facts, Facts], Refusal | None], ...] = (_two_hosts, _same_version, _same_kind)
