"""A service as it is written: its members, its monitor, its rules."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from lbctl.config.blocks import PAGE, URL, Model, OneKind, none_is_empty, optional_block
from lbctl.config.kinds import Actuator, Notify
from lbctl.config.models import Api, Authoritative, Controller, Probe, Rules, Safety, Site
from lbctl.config.quantities import Address, Count, Name, OneOrMore, Port, PositiveDuration, Share, SshServer, Text, one_or_more


class ClientTls(Model):
    """How the member's certificate is judged, and what lbctl shows of itself."""

    verify: bool = True
    """False: any certificate is taken (the pin still counts)."""
    ca_file: Text | None = None
    """Trust this authority instead of the system's."""
    server_name: Text | None = None
    """The name the certificate must have, and the SNI; the url's host by default."""
    client_cert_file: Text | None = None
    """A certificate (and key, or `client_key_file`) that lbctl shows, PEM."""
    client_key_file: Text | None = None
    """The key of `client_cert_file`, where it is not in the same file."""
    pin_sha256: Text | None = None
    """Digest of the certificate's public key (SPKI), base64 or hex: the member's identity (H17)."""
    own_key: bool = False
    """True: no other member has this one's key; a look that shows another member's key went to the wrong server and counts for nothing (H17)."""


class ClientPath(Model):
    """The same pages by the path that clients take, through their gateway or proxy (H5)."""

    url: Annotated[str, Field(pattern=URL)]
    """Where clients reach this member."""
    connect: Text | None = None
    """Connect to this address (and port), with the url's Host and SNI."""
    alone: bool = False
    """True: a failure over this path alone counts as the member's. Else the two must agree, and a disagreement is an alert and never a move."""


class Freshness(Model):
    """How old the member's copy may be, and who tells (H1)."""

    source: Literal["ssh", "file", "url"]
    """`ssh`: Last Sync Status over `drive`; `file`: a file's time; `url`: a JSON document."""
    max_staleness: PositiveDuration
    """Older: no automatic failover to it."""
    unknown: Literal["allow", "block"] = "allow"
    """What an unknown age does."""
    file: Text | None = None
    """For `source: file`: a file whose time is that of the last good sync."""
    url: Annotated[str, Field(pattern=URL)] | None = None
    """For `source: url`: a JSON object `{"source": NAME, "started": SECONDS, "completed": SECONDS}`, UTC."""
    every: PositiveDuration = 60.0
    """How often it is read."""


class Drive(Model):
    """The controller's hand on a Core: the guide's command line over SSH."""

    ssh: SshServer
    """Where its SSH is."""
    user: Text
    """The user who may enter `enable`."""
    key_file: Text
    """The private key."""
    known_hosts_file: Text
    """The Core's host key; an unknown one is refused."""


class Heartbeat(Model):
    """The Core's own Fail Over Controls (G-HB), so that the promotion race can be computed. lbctl does not set them."""

    interval: PositiveDuration
    """Heartbeat interval."""
    failures: Count
    """Consecutive heartbeat failures before failover."""
    recheck: PositiveDuration
    """Re-check interval, after a failed heartbeat."""
    on_failure: Literal["promote", "standby"] = "promote"
    """If failure detected: Promote to Primary, or Keep in Standby."""


def _views(value: Any) -> Any:
    """One address, a list, or a map of views -> a map of views; the plain form is the view ""."""
    return value if isinstance(value, dict) else {"": value}


Addresses = Annotated[
    dict[str, OneOrMore[Address]], Field(min_length=1),
    BeforeValidator(_views, json_schema_input_type=str | list[str] | dict[str, str | list[str]]),
]


class Member(Model):
    """One server (or site) of a service, in its place in the order."""

    name: Name
    """Unique within the service."""
    role: Literal["primary", "secondary"] = "secondary"
    """Exactly one member of a failover service is primary."""
    site: Name | None = None
    """Where it stands; one of `sites`."""
    address: Addresses
    """What clients are sent to; a list gives A and AAAA; a map gives views."""
    url: Annotated[str, Field(pattern=URL)] | None = None
    """Where it is probed; default https://ADDRESS."""
    connect: Annotated[tuple[Text, ...], BeforeValidator(one_or_more, json_schema_input_type=str | list[str])] = ()
    """Probe this address (and port), with the url's Host and SNI; with `probe.families` one for each family."""
    client_path: ClientPath | None = None
    """Looked at as well: the path that clients take."""
    tls: Annotated[ClientTls, optional_block(ClientTls)] = ClientTls()
    """Certificates."""
    probe: Annotated[Probe, optional_block(Probe)] = Probe()
    """Overrides for this member alone."""
    syncs_from: Name | None = None
    """The member whose data it copies."""
    approval: Literal["auto", "manual"] = "auto"
    """`manual`: never taken automatically."""
    freshness: Freshness | None = None
    """How old its copy may be."""
    drive: Drive | None = None
    """How lbctl may command it."""
    heartbeat: Heartbeat | None = None
    """Its own Fail Over Controls, for the promotion race."""


class CoreMonitor(Model):
    """The guide's two pages (G-LB1, G-LB2)."""


class TcpMonitor(Model):
    """Up when a connection opens."""

    port: Port | None = None
    """The port that must answer; a member's own `url: tcp://HOST:PORT` wins."""


class Expect(Model):
    """What an answer must be."""

    status: OneOrMore[Annotated[int, Field(ge=100, le=599)]] = (200,)
    """HTTP status codes that are good."""
    text: Text | None = None
    """Text that must stand in the body."""
    regex: Text | None = None
    """Pattern that must be found in the body."""


class HttpMonitor(Model):
    """Up when one page answers as expected."""

    path: Annotated[str, Field(pattern=PAGE)] = "/"
    """The page."""
    expect: Expect = Expect()
    """What it must answer."""


class SiteMonitor(Model):
    """Up when another lbctl says that its service serves (G-SC4)."""

    service: Name
    """The service's name there."""
    token_file: Text | None = None
    """A viewer's token for its API."""
    inner_failover: PositiveDuration | None = None
    """The longest time the site needs for its own failover; this layer waits longer (H12)."""


class Monitor(OneKind):
    """What is watched of each member."""

    core: CoreMonitor | None = None
    """The guide's two pages."""
    tcp: TcpMonitor | None = None
    """A port."""
    http: HttpMonitor | None = None
    """A page."""
    site: SiteMonitor | None = None
    """Another lbctl."""


def _monitor(value: Any) -> Any:
    return {value: {}} if isinstance(value, str) else value


class OnFailover(Model):
    """What happens to the new active after an automatic move."""

    promote: Literal["wait", "drive"] = "wait"
    """`wait` for the Core's own promotion, or `drive` it over SSH."""


def _automation(value: Any) -> Any:
    # Tools that write YAML 1.1 (Ansible, PyYAML) turn the word `on` into `true`. There is no `off` that they could mean by `false`.
    return "on" if value == "true" else value


class Service(Rules):
    """What clients reach by one name or address."""

    kind: Literal["failover", "pool"] = "failover"
    """`failover`: one active member; `pool`: every healthy member answers."""
    minimum_share: Share = 0.5
    """Pool: where fewer are healthy, those that answered last fill up to this share; the answer is never empty."""
    monitor: Annotated[Monitor, BeforeValidator(_monitor, json_schema_input_type=Literal["core"] | Monitor)] = Monitor(core=CoreMonitor())
    """`core`, or a monitor of its own."""
    automation: Annotated[Literal["on", "observe"], BeforeValidator(_automation, json_schema_input_type=Literal["on", "observe"])] = "on"
    """`observe`: decide and record, move nothing."""
    on_self_promoted: Literal["hold", "ask", "adopt"] = "ask"
    """What a promotion that lbctl did not decide does (the promotion race)."""
    on_failover: Annotated[OnFailover, optional_block(OnFailover)] = OnFailover()
    """After an automatic move."""
    site_cut: Literal["ask", "move"] = "ask"
    """What a cut site does."""
    follows: Name | None = None
    """Share the fate of this service: the member on the same site."""
    members: Annotated[tuple[Member, ...], Field(min_length=1, max_length=64)]
    """In order of preference."""
    actuators: tuple[Actuator, ...] = ()
    """What is written when traffic moves."""


class File(Model):
    """One configuration file. Only `services` is required."""

    controller: Annotated[Controller, optional_block(Controller)] = Controller()
    """This controller and its memory."""
    api: Annotated[Api, optional_block(Api)] = Api()
    """Where lbctl itself is reached."""
    authoritative: Authoritative | None = None
    """The embedded DNS server; absent = off."""
    notify: Annotated[tuple[Notify, ...], BeforeValidator(lambda value: () if value is None else value, json_schema_input_type=list[Notify])] = ()
    """Ways to tell people; never on the decision path."""
    safety: Annotated[Safety, optional_block(Safety)] = Safety()
    """Rules across services."""
    sites: Annotated[dict[Name, Annotated[Site, optional_block(Site)]], BeforeValidator(none_is_empty)] = Field(default_factory=dict)
    """Places that can be cut off as a whole."""
    defaults: Annotated[Rules, optional_block(Rules)] = Rules()
    """For every service that does not say otherwise."""
    services: Annotated[dict[Name, Service], Field(min_length=1)]
    """What clients reach, by name."""
