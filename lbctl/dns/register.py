"""What is published: which names belong to services, what each answers, at which epoch, and the copy of it on disk.

Disk first, then answer: `remember` writes the copy (`dns.copyfile`) before `publish` serves what it says. Were it the other way round, a client could
be told of a move that a process killed at that instant would take back at its next start (H25). An older epoch is refused, also one older
than what the copy says, so that a controller with an old memory cannot turn clients back (H27, H41). Beside each name stands
`_lbctl.NAME TXT "epoch=N"`, so that whoever asks over the wire, here or at a secondary, reads which decision he sees.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from lbctl.clock import Clock
from lbctl.dns import copyfile, wire
from lbctl.dns.answers import Responder
from lbctl.dns.copyfile import CopyWriter, LastAnswer, LastAnswers
from lbctl.dns.readback import epoch_name, mark_text
from lbctl.dns.settings import ServerSettings, ZoneSettings
from lbctl.dns.zone import UNKNOWN, Node, RRset, Zone, address_node, next_serial
from lbctl.errors import Superseded


class Register:
    """The published names of one server. `problem`: why the copy could not be read at the start, "" if it was or never existed."""

    def __init__(self, settings: ServerSettings, responder: Responder, clock: Clock) -> None:
        last, self.problem = copyfile.load(settings.copy_path)
        self.on_change: Callable[[Zone], None] = lambda zone: None
        self._responder = responder
        self._clock = clock
        self._names = {name: answer for name, answer in last.names.items() if answer is not None}
        self._serials = dict(last.serials)
        self._declared: dict[str, int] = {}
        self._coming: dict[str, LastAnswer] = {}
        self._copy = CopyWriter(settings.copy_path, self._last_answers)
        self.configure(settings.zones)

    def configure(self, zones: Iterable[ZoneSettings]) -> None:
        """Takes these zones; one whose settings are the same stays as it is, a changed one goes on with its next serial."""
        old = {zone.settings.name: zone for zone in self._responder.zones.values()}
        new, zones = [], tuple(zones)
        for settings in zones:
            zone, inner = old.get(settings.name), inside(settings, zones)
            if zone is None or zone.settings != settings or zone.inner != inner:
                # Made anew, not changed: names that belong to a zone inside it from now on must not stay in what its secondaries are given.
                serial = zone.serial if zone else self._serials.get(settings.name, 0)
                zone = Zone(settings, next_serial(serial, self._clock.now()), inner)
            new.append(zone)
        self._responder.zones = {zone.origin: zone for zone in new}
        for name in self._declared:
            self._show(name)
        self._responder.changed()
        for zone in new:
            if zone is not old.get(zone.settings.name):
                self.on_change(zone)

    def declare(self, name: str, ttl_s: int) -> None:
        """`name` is a service's: it answers as the copy remembers, or SERVFAIL until something is published. ValueError outside the zones."""
        zone, key = self.zone_of(name), wire.encode_name(name)
        if key in zone.apex:
            raise ValueError(f"{name} is a name of the zone itself")
        self._declared[canonical(name)] = ttl_s
        self._show(canonical(name))

    def declared(self) -> dict[str, int]:
        """Every declared name, with the TTL that it is published with."""
        return dict(self._declared)

    def ttl(self, name: str) -> int:
        """The TTL that a declared name is published with."""
        return self._declared[canonical(name)]

    async def remember(self, name: str, addresses: Iterable[str], epoch: int) -> None:
        """Writes down what is about to be published; raises as `publish`. A disk that refuses keeps no client from being told (`copy_problem`)."""
        new = self._answer(canonical(name), addresses, epoch)
        if new != self._names.get(canonical(name)):
            self._coming[canonical(name)] = new
            self._copy.soon(canonical(name))
            await self._copy.written()

    def publish(self, name: str, addresses: Iterable[str], epoch: int) -> None:
        """Serves `addresses` for a declared name from now on. `Superseded` where a newer epoch is published; ValueError for no address at all."""
        name = canonical(name)
        new = self._answer(name, addresses, epoch)
        remembered = self._coming.pop(name, None)
        if new != self._names.get(name):
            self._names[name] = new
            self._show(name)
            if remembered != new:
                self._copy.soon(name)

    def _answer(self, name: str, addresses: Iterable[str], epoch: int) -> LastAnswer:
        new, last = LastAnswer(tuple(sorted(set(addresses))), self._declared[name], epoch), self._names.get(name)
        if last and last.epoch > epoch:
            raise Superseded(f"{name} is published at epoch {last.epoch}, newer than {epoch}", found_epoch=last.epoch)
        if not new.addresses:
            raise ValueError(f"{name}: an answer without an address is never published")
        return new

    def cap_ttl(self, name: str, cap_s: float | None) -> None:
        """Shortens the TTL of direct answers for `name` (None: as configured again). No serial, no copy, no effect where secondaries answer too."""
        key, cap, caps = wire.encode_name(name), None if cap_s is None else int(cap_s), self._responder.caps
        if caps.get(key) == cap:
            return
        if cap is None:
            del caps[key]
        else:
            caps[key] = cap
        self._responder.changed()

    def forget(self, name: str) -> None:
        """`name` is no service's any more: NXDOMAIN, and out of the copy."""
        name = canonical(name)
        self.cap_ttl(name, None)
        self._declared.pop(name, None)
        self._names.pop(name, None)
        self._put(name, None, None)
        self._copy.soon(name)

    def retain(self, names: Iterable[str]) -> None:
        """These are all there are: forgets every other declared name. After a reload that took names away."""
        for name in self._declared.keys() - {canonical(name) for name in names}:
            self.forget(name)

    def published(self, name: str) -> LastAnswer | None:
        """What is served for a declared name; None: not known."""
        return self._names.get(canonical(name)) if canonical(name) in self._declared else None

    def seen(self, name: str, serial: int) -> None:
        """A secondary of the name's zone shows this serial: a later one of ours must be newer. (One that signs counts for itself.)"""
        zone = self.zone_of(name)
        if zone.settings.dnssec == "off" and zone.go_beyond(serial):
            self._responder.changed()
            self.on_change(zone)
            self._copy.soon()  # its serial may have jumped over those reserved

    def zone_of(self, name: str) -> Zone:
        """The zone that `name` is in. ValueError where there is none."""
        zone = self._responder.find(wire.encode_name(name))
        if zone is None:
            raise ValueError(f"{name} is in no zone of the embedded server")
        return zone

    async def save(self) -> None:
        """Waits until the copy on disk is as new as what is served, or could not be written (`copy_problem`)."""
        self._copy.whole()
        await self._copy.written()

    async def close(self) -> None:
        """Writes what is due."""
        await self._copy.close()

    @property
    def copy_problem(self) -> str:
        """Why the copy could not be written; "": it was."""
        return self._copy.problem

    def _show(self, name: str) -> None:
        last, ttl_s = self._names.get(name), self._declared[name]
        if last is None:
            self._put(name, UNKNOWN, UNKNOWN)
        else:
            epoch = RRset(wire.TXT, ttl_s, (wire.encode_text(mark_text(last.epoch)),))
            self._put(name, address_node(last.addresses, ttl_s), {wire.TXT: epoch})

    def _put(self, name: str, node: Node | None, epoch: Node | None) -> None:
        key = wire.encode_name(name)
        zone = self._responder.find(key)
        if zone is None or key in zone.apex:  # a service's until a moment ago; a reload has made it a zone
            return
        if zone.put({key: node, wire.encode_name(epoch_name(name)): epoch}, self._clock.now()):
            self.on_change(zone)
        self._responder.changed()

    def _last_answers(self, changed: frozenset[str] | None) -> LastAnswers:
        """What the copy is to say, of some names or of all. Serials are reserved anew long before those in the copy are used up."""
        serials = {}
        for zone in self._responder.zones.values():
            left = self._serials.get(zone.settings.name, 0) - zone.serial & 0xFFFFFFFF
            if changed is None or not copyfile.SERIALS_AHEAD // 2 < left <= copyfile.SERIALS_AHEAD:
                serials[zone.settings.name] = zone.serial + copyfile.SERIALS_AHEAD & 0xFFFFFFFF
        self._serials.update(serials)
        names = {**self._names, **self._coming}
        if changed is None:
            return LastAnswers(names, dict(self._serials))
        return LastAnswers({name: names.get(name) for name in changed}, serials)


def inside(outer: ZoneSettings, zones: Iterable[ZoneSettings]) -> tuple[ZoneSettings, ...]:
    """The zones right inside one: those inside these are their affair."""
    below = [zone for zone in zones if zone.name.endswith(f".{outer.name}")]
    return tuple(zone for zone in below if not any(zone.name.endswith(f".{between.name}") for between in below))


def canonical(name: str) -> str:
    """One spelling for each name: lower case, no final dot."""
    return name.rstrip(".").lower()
