"""The configuration as it is written: one model a block, every key with a sentence (it becomes the JSON Schema's description).

Unknown keys are errors. The models check what one value must be; what must agree between values is in `checks`, what it comes to in `build`.
`config.services` has the models of a service and its members, `config.kinds` those of the kinds of actuators.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from lbctl.config.blocks import Model, optional_block
from lbctl.config.kinds import Tsig
from lbctl.config.quantities import (
    Address,
    Count,
    DnsName,
    DnsServer,
    Duration,
    Endpoint,
    Listen,
    Name,
    Network,
    OneOrMore,
    PositiveDuration,
    Share,
    Size,
    Text,
    Ttl,
    one_or_more,
)


class Journal(Model):
    """How much history is kept."""

    keep: PositiveDuration = 400 * 86400.0
    """Age after which steps are dropped."""
    size_max: Size = 1 << 30
    """Bytes after which the oldest steps are dropped."""


class Controller(Model):
    """This controller and its memory."""

    name: Name | None = None
    """Unique among replicas; the host's name by default."""
    state: Text = "/var/lib/lbctl/state.db"
    """A file (SQLite), or `etcd://HOST:PORT,…/PREFIX` for several controllers."""
    journal: Annotated[Journal, optional_block(Journal)] = Journal()
    """How much history is kept."""
    quorum: Count = 1
    """Observers that must agree that a member failed."""


class ServerTls(Model):
    """The API's own certificate."""

    cert_file: Text
    """Certificate chain, PEM."""
    key_file: Text
    """Its private key, PEM."""
    client_ca_file: Text | None = None
    """Clients with a certificate of this authority are known by it."""


class Api(Model):
    """Where lbctl itself is reached."""

    socket: Text | None = "/run/lbctl/lbctl.sock"
    """Unix socket of the local verbs; file permission decides who may."""
    listen: Annotated[tuple[Listen, ...], BeforeValidator(one_or_more, json_schema_input_type=str | list[str])] = (Endpoint("127.0.0.1", 9653),)
    """Page, API and metrics over TCP."""
    tls: ServerTls | None = None
    """Required when listening beyond loopback."""
    tokens_file: Text | None = None
    """Tokens (hashed) with their roles: viewer, operator, admin."""


class Zone(Model):
    """One zone of the embedded DNS server."""

    ns: dict[DnsName, OneOrMore[Address]]
    """The zone's name servers and their addresses."""
    allow_transfer: tuple[Network, ...] = ()
    """Who may copy the zone (AXFR, IXFR); nobody by default."""
    also_notify: tuple[DnsServer, ...] = ()
    """Secondaries that are told of changes (RFC 1996)."""
    tsig: Tsig | None = None
    """The key that transfers must be signed with."""
    negative_ttl: Ttl = 30
    """Seconds that resolvers may keep "there is no such name"."""
    verify: tuple[DnsServer, ...] = ()
    """Servers that are asked whether a change arrived; by default those of `ns` where the zone has secondaries."""
    dnssec: Literal["off", "secondaries"] = "off"
    """`secondaries`: they sign, and this server hides behind them."""


def _rate_limit(value: Any) -> Any:
    # Tools that write YAML 1.1 (Ansible, PyYAML) turn the word `off` into `false`.
    return 0 if value in ("off", "false") else value


class Authoritative(Model):
    """The embedded DNS server; absent = off."""

    listen: OneOrMore[Listen]
    """Addresses for UDP and TCP."""
    rate_limit: Annotated[int, BeforeValidator(_rate_limit, json_schema_input_type=int | Literal["off"]), Field(ge=0)] = 200
    """Responses a second for each client prefix (/24, /56); every second one beyond is truncated instead of dropped; `off`."""
    zones: Annotated[dict[DnsName, Zone], Field(min_length=1)]
    """The zones it answers for; nothing outside them."""


class MassMove(Model):
    """Many services wanting to move at once is one event, not many (H53)."""

    share: Share = 0.25
    """Part of all services that may move within the window."""
    at_least: Count = 4
    """Judged only when at least so many want to move."""
    window: PositiveDuration = 10.0
    """The time over which they are counted."""
    then: Literal["hold", "stagger"] = "hold"
    """`hold` pages and waits for `release`; `stagger` moves ten a second."""


class Safety(Model):
    """Rules across services."""

    mass_move: Annotated[MassMove, optional_block(MassMove)] = MassMove()
    """Many moves at once."""
    canaries: tuple[Text, ...] = ()
    """URLs or addresses that must answer, or the controller considers itself cut off."""
    stall_limit: PositiveDuration = 2.0
    """Event-loop or clock gap that voids the looks it overlaps; at most half of a probe's timeout."""


class Site(Model):
    """A place that can be cut off as a whole."""

    canaries: tuple[Text, ...] = ()
    """URLs or addresses inside the site; all silent: the site is cut, not dead."""


class Probe(Model):
    """How a member is looked at; each key overrides the profile."""

    profile: Literal["careful", "standard", "fast"] | None = None
    """careful (20 s of silence before a move), standard (seconds), fast (milliseconds)."""
    interval: PositiveDuration | None = None
    """From one look to the next while all is well."""
    fast_interval: PositiveDuration | None = None
    """From one look to the next after a bad one."""
    timeout: PositiveDuration | None = None
    """One hard deadline over connect, TLS, headers and body."""
    fall: Count | None = None
    """Bad looks in a row that make a page down."""
    rise: Count | None = None
    """Good looks in a row that make a page up."""
    leak: Count | None = None
    """Bad looks in all, minus good ones, that make a flapping page down."""
    min_outage: Duration | None = None
    """Time without one good look before traffic may move."""
    connection: Literal["fresh", "keep"] | None = None
    """`fresh`: a new connection for each look; `keep`: kept open, a failure confirmed by a fresh one."""
    families: Literal["one", "any", "all"] | None = None
    """Members with IPv4 and IPv6: `one` look for both, or one over each, of which `any` or `all` must be good; a dead family is withheld."""


TwoPersons = Literal["failover", "failover --force", "approve", "switchover", "resume", "swap-roles", "adopt", "ack", "release"]


class Rules(Model):
    """What may stand in `defaults` and be overridden by a service."""

    probe: Annotated[Probe, optional_block(Probe)] = Probe()
    """How members are looked at."""
    lockout: Duration | None = None
    """After an automatic failover no other one for so long (30m)."""
    promote_timeout: PositiveDuration | None = None
    """The new active must act as Primary within this, or `TrafficOnUnpromoted` is raised (15m)."""
    seen_window: PositiveDuration | None = None
    """`adopt`: the candidate must have been seen Standby so recently (10m)."""
    maintenance_max: PositiveDuration | None = None
    """The longest maintenance (8h)."""
    approval_expires: PositiveDuration | None = None
    """A proposed move waits so long for a yes (30m)."""
    second_person: tuple[TwoPersons, ...] | None = None
    """Moves that need another operator's yes."""
    rearm_rounds: Count | None = None
    """Clean rounds before automatic moves are allowed again after maintenance (3)."""
