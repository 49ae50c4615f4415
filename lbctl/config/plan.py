"""What changing from one configuration to another would do (H28, H37). Pure.

The question that matters is one: *would a client get another answer?* It is put to every actuator by name: what it publishes for the member
that is active now, under the old file and under the new one. Any other change is told in words and moves nothing. Saved roles win over the
file's until the file's roles change; where they differ, the edit that ends the drift is said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from lbctl.config.tree import BuiltActuator, BuiltService, Config
from lbctl.model.settings import ServiceSettings
from lbctl.model.state import Saved


@dataclass(frozen=True, slots=True)
class Change:
    """One difference. `moves`: clients would get another answer; `restart`: it takes effect at the next start only."""

    service: str
    what: str
    text: str
    moves: bool = False
    restart: bool = False

    def __str__(self) -> str:
        return f"{self.service}: {self.text}" if self.service else self.text


@dataclass(frozen=True, slots=True)
class Plan:
    """All differences, and what each actuator would publish afterwards (None: cannot be told, because nobody known would be active)."""

    changes: tuple[Change, ...]
    published: Mapping[str, tuple[str, ...] | None]

    @property
    def moves_traffic(self) -> bool:
        return any(change.moves for change in self.changes)

    @property
    def needs_restart(self) -> bool:
        return any(change.restart for change in self.changes)

    def object(self) -> dict[str, Any]:
        """What the API gives: sentences (`changes`; those that move traffic again in `moves`; `publishes`), and the same in parts (`details`)."""
        return {
            "changes": [str(change) for change in self.changes],
            "moves": [str(change) for change in self.changes if change.moves],
            "publishes": [f"{name}: {_listed(addresses)}" for name, addresses in self.published.items()],
            "moves_traffic": self.moves_traffic, "needs_restart": self.needs_restart,
            "details": [asdict(change) for change in self.changes],
            "published": {name: list(addresses) if addresses is not None else None for name, addresses in self.published.items()},
        }


def plan(old: Config, new: Config, saved: Mapping[str, Saved]) -> Plan:
    """The way from `old` to `new`. `saved` has what is believed of each service now; a service without it is taken as not yet known."""
    changes = [*_surroundings(old, new)]
    for name in [*old.services, *(name for name in new.services if name not in old.services)]:
        believed = saved.get(name, Saved(name))
        before, after = old.services.get(name), new.services.get(name)
        if before and after:
            changes += _service(name, before, after, believed)
        elif before:
            changes += _removed(name, before)
        elif after:
            ids = ", ".join(after.settings.actuators) or "nothing"
            changes.append(Change(name, "added", f"new service; it adopts what is published and writes {ids}"))
    published = {
        actuator.id: _published(service, actuator, saved.get(name, Saved(name)))
        for name, service in new.services.items() for actuator in service.actuators
    }
    return Plan(tuple(changes), published)


def _surroundings(old: Config, new: Config) -> Iterator[Change]:
    """What is bound once, when lbctl starts, and what applies at once."""
    for what, before, after in (
        ("controller", old.controller, new.controller), ("api", old.api, new.api),
        ("authoritative.listen", old.authoritative and old.authoritative.listen, new.authoritative and new.authoritative.listen),
    ):
        if before != after:
            yield Change("", what, f"{what} changes: at the next start", restart=True)
    if old.authoritative and new.authoritative:
        yield from _zones(old.authoritative.zones, new.authoritative.zones)
    for what in ("notify", "safety", "canaries"):
        if getattr(old, what) != getattr(new, what):
            yield Change("", what, f"{what} changes")


def _zones(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    for name in [*old, *(name for name in new if name not in old)]:
        if name not in new:
            yield Change("", "zone", f"the zone {name} is no longer answered for", moves=True)
        elif name not in old:
            yield Change("", "zone", f"the zone {name} is answered for")
        elif old[name] != new[name]:
            yield Change("", "zone", f"the zone {name} changes")


def _removed(name: str, service: BuiltService) -> Iterator[Change]:
    """A service that goes: a name of the embedded server would no longer be answered, other places keep what they show."""
    gone = [actuator.id for actuator in service.actuators if actuator.kind in ("authoritative", "vip")]
    effect = f"{', '.join(gone)} goes" if gone else "what is published elsewhere stays as it is"
    yield Change(name, "removed", f"removed; {effect}", moves=bool(gone))


def _service(name: str, old: BuiltService, new: BuiltService, saved: Saved) -> Iterator[Change]:
    yield from _answers(name, old, new, saved)
    yield from _members(name, old, new, saved)
    yield from _roles(name, old.settings, new.settings, saved)
    skipped = {"members", "actuators", "name", "ttl_s"}
    for field in fields(ServiceSettings):
        before, after = getattr(old.settings, field.name), getattr(new.settings, field.name)
        if field.name not in skipped and before != after:
            yield Change(name, field.name, f"{field.name}: {_plain(before)} -> {_plain(after)}", moves=field.name == "kind")


def _answers(name: str, old: BuiltService, new: BuiltService, saved: Saved) -> Iterator[Change]:
    """What each actuator publishes, before and after."""
    after = {actuator.id: actuator for actuator in new.actuators}
    known = {actuator.id for actuator in old.actuators}
    for actuator in old.actuators:
        # The view is part of an id: another one on the same place is the same answer to clients, with other addresses in it.
        again = (one.id for one in new.actuators if one.id not in known and one.id in after and _place(one) == _place(actuator))
        successor = after.pop(actuator.id if actuator.id in after else next(again, ""), None)
        if successor is None:
            gone = actuator.kind in ("authoritative", "vip")
            text = "is no longer answered" if gone else "keeps what it shows; nobody maintains it any more"
            yield Change(name, "actuator", f"{actuator.id} {text}", moves=gone)
            continue
        before, then = _published(old, actuator, saved), _published(new, successor, saved)
        if before != then and (saved.active or new.settings.kind == "pool"):
            yield Change(name, "answer", f"{actuator.id}: {_listed(before)} -> {_listed(then)}", moves=True)
        if actuator.settings != successor.settings:
            yield Change(name, "actuator", f"{actuator.id}: {_difference(actuator.settings, successor.settings)}")
    for actuator in after.values():
        yield Change(name, "actuator", f"{actuator.id} is written too: {_listed(_published(new, actuator, saved))}")


def _place(actuator: BuiltActuator) -> str:
    return actuator.id.removesuffix(f"/{actuator.view}") if actuator.view else actuator.id


def _published(service: BuiltService, actuator: BuiltActuator, saved: Saved) -> tuple[str, ...] | None:
    """What an actuator shows for the member that is active now; for a pool, for all that answer now."""
    answering = (saved.answering or service.settings.names) if service.settings.kind == "pool" else (saved.active,)
    members = [member for member in service.settings.members if member.name in answering]
    views = [member.address.get(actuator.view) or member.address.get("") or () for member in members]
    return tuple(sorted(address for view in views for address in view)) or None


def _members(name: str, old: BuiltService, new: BuiltService, saved: Saved) -> Iterator[Change]:
    """Members that come, go, or are looked at elsewhere. A changed address voids the looks so far, never the latch (H28)."""
    for member in old.settings.names:
        if member not in new.settings.names:
            text = "is active and goes: who serves then?" if member == saved.active else "goes"
            yield Change(name, "member", f"{member} {text}", moves=member == saved.active)
    for member in new.settings.names:
        if member not in old.settings.names:
            yield Change(name, "member", f"{member} comes; nothing is known of it until it was looked at")
            continue
        before, after = old.settings.member(member), new.settings.member(member)
        if old.targets.get(member) != new.targets.get(member) or before.address != after.address:
            yield Change(name, "member", f"{member} is looked at elsewhere: its looks begin anew, its latch stays")
        for field in fields(before):
            if field.name not in ("address", "role", "place") and getattr(before, field.name) != getattr(after, field.name):
                yield Change(name, "member", f"{member}: {field.name} changes")
    kept = [member for member in new.settings.names if member in old.settings.names]
    if kept != [member for member in old.settings.names if member in new.settings.names]:
        yield Change(name, "member", "the order of preference changes: " + ", ".join(new.settings.names))


def _roles(name: str, old: ServiceSettings, new: ServiceSettings, saved: Saved) -> Iterator[Change]:
    """A change of the file's roles passes the refusal of `swap-roles`; a drift between saved roles and file is said with the edit that ends it."""
    if old.primary != new.primary and new.kind == "failover":
        if saved.primary == new.primary:
            yield Change(name, "roles", f"the file follows the saved roles: {new.primary} is primary")
        else:
            yield Change(name, "roles", f"primary: {old.primary} -> {new.primary}, where `swap-roles` would not be refused; traffic stays")
    elif saved.primary and saved.primary != new.primary and saved.primary in new.names:
        yield Change(name, "drift", f"the saved roles have {saved.primary} as primary, the file {new.primary}: "
                                    f"write `role: primary` at {saved.primary} and `role: secondary` at {new.primary}")


def _difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    keys = [key for key in {**old, **new} if old.get(key) != new.get(key)]
    return ", ".join(f"{key} {_plain(old.get(key))} -> {_plain(new.get(key))}" for key in keys)


def _plain(value: Any) -> str:
    if isinstance(value, (tuple, frozenset, list)):
        return ", ".join(sorted(str(one) for one in value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(getattr(value, "name", value))


def _listed(addresses: tuple[str, ...] | None) -> str:
    return ", ".join(addresses) if addresses else "not known"
