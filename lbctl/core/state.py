"""Mode and state of a Core, as the guide's tables 1, 2 and 5 have them (G-ST, G-HA, G-CLI). Pure.

The guide says two things of *mode*: it is what a server was set up as and does not change (table 1, where only the state swaps), and
`failover mode …` changes it (table 5). Both hold here: `set_up_as` is the Mode of the HA Configuration window and changes only there;
`mode` follows it, except that `failover mode secondary` turns a Primary into a Secondary for the time of a recovery. Whatever makes a Core
active again (its heartbeat, the *Active* button, `failover mode primary`: the guide calls them the same effect) gives it back the mode that
it was set up with. So a promoted Secondary is Secondary/Active, and a Primary that comes back from a recovery is Primary/Active.

The scheduler runs only on a Secondary in Standby with HA enabled, and only the HA Configuration window starts it: a promotion stops it, and
`failover mode secondary` does not start it again (table 5).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum


class Mode(StrEnum):
    """What a server is in the pair."""

    PRIMARY = "Primary"
    SECONDARY = "Secondary"


class State(StrEnum):
    """Whether it takes the work."""

    ACTIVE = "Active"
    STANDBY = "Standby"


SENTENCES = {
    (Mode.PRIMARY, State.ACTIVE): "This Primary is active: all traffic and work go to it, and it replicates from nobody.",
    (Mode.SECONDARY, State.STANDBY): "This Secondary is on standby: it watches its Primary, replicates from it and may take over.",
    (Mode.SECONDARY, State.ACTIVE): "This Secondary was promoted: it takes the work in the Primary's place and does not replicate from it.",
}
"""Every mode and state that exist together, and what that means."""


@dataclass(frozen=True, slots=True)
class Role:
    """Everything that decides how a Core presents itself. The default is a Core on its own: HA is disabled until somebody enables it."""

    set_up_as: Mode = Mode.PRIMARY
    mode: Mode = Mode.PRIMARY
    state: State = State.ACTIVE
    ha_enabled: bool = False
    scheduler: bool = False
    tomcat: bool = True
    clients: bool = True

    def __post_init__(self) -> None:
        if (self.mode, self.state) not in SENTENCES:
            raise ValueError(f"there is no {self.mode}/{self.state} Core")
        if self.set_up_as is Mode.SECONDARY and self.mode is Mode.PRIMARY:
            raise ValueError("a Core that was set up as Secondary keeps that mode")
        if self.scheduler and not (self.ha_enabled and self.standby):
            raise ValueError("the scheduler runs only on a standby Core with HA enabled")

    @property
    def standby(self) -> bool:
        """It replicates and may take over; false: it takes the work."""
        return self.state is State.STANDBY

    @property
    def status_ok(self) -> bool:
        """What the status page says: whether the service that clients use is running."""
        return self.tomcat

    @property
    def shown_mode(self) -> str:
        """The Mode of the hastatus page: `Standby`, or `Primary` for whatever acts as one."""
        return "Standby" if self.standby else "Primary"

    @property
    def writable(self) -> bool:
        """New devices may connect."""
        return not self.standby and self.tomcat and self.clients

    @property
    def beating(self) -> bool:
        """Its heartbeat watches the Primary."""
        return self.ha_enabled and self.standby

    @property
    def sentence(self) -> str:
        """What a person reads beside mode and state."""
        return SENTENCES[self.mode, self.state] + ("" if self.ha_enabled else " High Availability is disabled: no heartbeat, no schedule.")


def promote(role: Role) -> Role:
    """Heartbeat, *Active* button and `failover mode primary`: the same effect, from every state, as often as one likes (table 5)."""
    tomcat = True if role.standby else role.tomcat
    return replace(role, mode=role.set_up_as, state=State.ACTIVE, scheduler=False, tomcat=tomcat)


def demote(role: Role, *, standby_tomcat: bool) -> Role:
    """`failover mode secondary`: on standby, and the scheduler is left as it is (table 5)."""
    tomcat = role.tomcat if role.standby else standby_tomcat
    return replace(role, mode=Mode.SECONDARY, state=State.STANDBY, tomcat=tomcat)


def save(role: Role, *, enabled: bool, mode: Mode, active: bool, standby_tomcat: bool) -> Role:
    """Save and Apply of the HA Configuration window (G-HA): the Mode is set up anew, the scheduler starts or stops.

    `active` is the Node Status of a Secondary; a Primary has none and is always active.
    """
    base = replace(role, set_up_as=mode, mode=mode if mode is Mode.SECONDARY else role.mode, ha_enabled=enabled, scheduler=False)
    if mode is Mode.PRIMARY or active:
        return promote(base)
    return scheduled(demote(base, standby_tomcat=standby_tomcat))


def enable(role: Role, on: bool) -> Role:
    """*High Availability* Enable or Disable alone: it starts or stops the scheduler; mode and state stay as last set."""
    return scheduled(replace(role, ha_enabled=on, scheduler=False))


def scheduled(role: Role) -> Role:
    """The scheduler started, where it may run."""
    return replace(role, scheduler=role.ha_enabled and role.standby)


def with_services(role: Role, *, tomcat: bool | None = None, clients: bool | None = None) -> Role:
    """`service tomcat start|stop`, `failover client-connection enable|disable`: neither touches mode or state. None leaves one as it is."""
    return replace(role, tomcat=role.tomcat if tomcat is None else tomcat, clients=role.clients if clients is None else clients)


def may_sync(role: Role) -> str:
    """Why this Core does not replicate; empty where it does (G-SY1: only a standby replicates)."""
    if role.standby:
        return ""
    if role.mode is Mode.PRIMARY:
        return "a Core in Primary mode does not replicate with any other Core"
    return "this Secondary is Active: only a standby Core replicates from its Primary"
