"""What may be written under `actuators:` and `notify:`: one model a kind, one row each in `Actuator` and `Notify`.

The kinds' own modules import what they need to act (HTTP, netlink), which a check of a file must not wait for: so the keys stand here, and the
kind's `Settings` are made from them by `app`. A test builds every kind's `Settings` from its model.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, WithJsonSchema, model_validator

from lbctl.config.blocks import ANY_URL, INTERFACE, MAILBOX, OCTETS, WEB, Model, OneKind
from lbctl.config.quantities import (
    DnsName,
    DnsServer,
    Endpoint,
    InterfaceAddress,
    Name,
    OneOrMore,
    Port,
    PositiveDuration,
    Text,
    Ttl,
    endpoint,
    one_or_more,
)
from lbctl.net import AGENT_PORT


class Tsig(Model):
    """A key that signs DNS messages (RFC 8945)."""

    name: DnsName
    """The key's name, as the DNS server knows it."""
    algorithm: Literal["hmac-sha256", "hmac-sha384", "hmac-sha512"] = "hmac-sha256"
    """The digest both sides use."""
    secret_file: Text
    """Bare base64, or a BIND `key` block."""


def _each_once(places: tuple[Endpoint, ...]) -> tuple[Endpoint, ...]:
    """One that is named twice would be asked, and counted, twice."""
    twice = next((place for number, place in enumerate(places) if place in places[:number]), None)
    if twice is not None:
        raise ValueError(f"{twice} is named twice")
    return places


Resolvers = Annotated[tuple[DnsServer, ...], AfterValidator(_each_once)]


class Authoritative(Model):
    """A name in a zone of the embedded DNS server."""

    name: DnsName
    """The name clients ask for."""
    ttl: Ttl = 30
    """Seconds that resolvers may keep an answer."""
    resolvers: Resolvers = ()
    """Resolvers (caches) that clients use: each is asked after a move until it tells the new answer. They are measured, and decide nothing."""
    view: Name | Literal[""] = ""
    """Which of the members' views of `address` is published."""


class Rfc2136(Model):
    """A name in somebody else's zone, changed by DNS UPDATE."""

    servers: OneOrMore[DnsServer]
    """Every server that is updated and read back: `IP`, `IP:port` or `[IPv6]:port`."""
    zone: DnsName
    """The zone that holds the name."""
    name: DnsName
    """The name clients ask for."""
    ttl: Ttl = 30
    """Seconds that resolvers may keep an answer."""
    tsig: Tsig | None = None
    """The key that updates are signed with."""
    verify: tuple[DnsServer, ...] = ()
    """Further servers (secondaries) that are only read back."""
    resolvers: Resolvers = ()
    """Resolvers (caches) that clients use: each is asked after a move until it tells the new answer. They are measured, and decide nothing."""
    timeout: PositiveDuration = 2.0
    """One try at one server."""
    view: Name | Literal[""] = ""
    """Which of the members' views of `address` is published."""


AGENTS_LEASE_S = 2.0
AgentAt = Annotated[
    Endpoint, PlainValidator(lambda text: endpoint(text, AGENT_PORT)), WithJsonSchema({"type": "string", "examples": [f"10.0.0.1:{AGENT_PORT}"]})]


class Vip(Model):
    """An address that moves between hosts."""

    address: InterfaceAddress
    """The address; /32 and /128 are the usual prefixes."""
    interface: Annotated[str, Field(pattern=INTERFACE)]
    """The network interface that carries it."""
    lease: Annotated[PositiveDuration, Field(ge=1.0, le=3600.0)] = 3.0
    """The kernel takes the address away so long after the last sign of life of whoever holds it; whole seconds."""
    forward: Annotated[tuple[Port, ...], BeforeValidator(one_or_more, json_schema_input_type=int | list[int])] = ()
    """TCP ports that the holder passes on to the active member (nftables)."""
    agents: dict[Name, AgentAt] = Field(default_factory=dict)
    """Member -> its host's `lbctl agent`: the active member's host holds the address. With `forward`: balancer hosts in order of preference; the
    first that lives holds it. Without: this host holds it."""
    cert_file: Text | None = None
    """With `agents`: the certificate that this controller shows them, PEM."""
    key_file: Text | None = None
    """Its private key, PEM."""
    ca_file: Text | None = None
    """The authority of all of their certificates, PEM."""
    view: Name | Literal[""] = ""
    """Which of the members' views of `address` is passed on to."""

    @model_validator(mode="after")
    def _agents_prove_themselves(self) -> Vip:
        files = (self.cert_file, self.key_file, self.ca_file)
        if self.agents and None in files:
            raise ValueError("`agents` need `cert_file`, `key_file` and `ca_file`")
        if self.agents and self.lease < AGENTS_LEASE_S:
            raise ValueError(f"with `agents` a `lease` is {AGENTS_LEASE_S:g}s at least: it has to be renewed over the network in time")
        if twice := [str(at) for at in self.agents.values() if list(self.agents.values()).count(at) > 1]:
            raise ValueError(f"two of the `agents` are one and the same: {twice[0]}")
        if not self.agents and files != (None, None, None):
            raise ValueError("certificates are for `agents`")
        return self


class Haproxy(Model):
    """The servers of a backend of an HAProxy that stays, through its runtime socket."""

    socket: Text
    """Unix socket or HOST:PORT of the runtime API."""
    backend: Text
    """The backend whose servers are the members."""
    servers: dict[Name, Text] = Field(default_factory=dict)
    """Member -> server in that backend, where the names differ."""
    view: Name | Literal[""] = ""
    """Which of the members' views of `address` HAProxy knows them by."""


class Exec(Model):
    """A command of the operator's: JSON on its standard input, never a shell."""

    name: Name
    """How status and metrics call it."""
    apply: OneOrMore[Text]
    """The command and its arguments that makes the world follow."""
    read: OneOrMore[Text]
    """The command that prints what the world shows."""
    timeout: PositiveDuration = 10.0
    """The deadline of both."""
    view: Name | Literal[""] = ""
    """Which of the members' views of `address` is handed over."""


class Actuator(OneKind):
    """One thing that is written when traffic moves."""

    authoritative: Authoritative | None = None
    """The embedded DNS server."""
    rfc2136: Rfc2136 | None = None
    """Other DNS servers, by DNS UPDATE."""
    vip: Vip | None = None
    """A virtual address."""
    haproxy: Haproxy | None = None
    """An HAProxy."""
    exec: Exec | None = None
    """A command."""


Severity = Literal["page", "ticket", "info"]


class Webhook(Model):
    """A signed HTTP request for each notice."""

    url: Annotated[str, Field(pattern=WEB)]
    """Where it is posted."""
    secret_file: Text | None = None
    """The key of its HMAC-SHA256 signature."""
    ca_file: Text | None = None
    """Trust this authority instead of the system's."""
    at_least: Severity = "info"
    """Lesser notices are not sent here."""


class Email(Model):
    """A mail for each notice."""

    to: OneOrMore[Annotated[str, Field(pattern=MAILBOX)]]
    """Its readers."""
    sender: Annotated[str, Field(pattern=MAILBOX)] | None = None
    """Whom it is from; `lbctl@` the first reader's domain by default."""
    host: Text = "localhost"
    """The mail server."""
    port: Port = 25
    """Its port."""
    security: Literal["starttls", "tls", "none"] = "starttls"
    """How the way to it is protected."""
    user: Text | None = None
    """Login there."""
    password_file: Text | None = None
    """Its password."""
    ca_file: Text | None = None
    """Trust this authority instead of the system's."""
    verify: bool = True
    """Whether the server's certificate is checked."""
    at_least: Severity = "info"
    """Lesser notices are not sent here."""


class Syslog(Model):
    """A line in a log server (RFC 5424)."""

    host: Text
    """The log server."""
    port: Port | None = None
    """514, with `tls` 6514."""
    protocol: Literal["udp", "tcp", "tls"] = "udp"
    """How it is reached."""
    facility: Literal["user", "daemon", "auth", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"] = "daemon"
    """The facility of the lines."""
    hostname: Text | None = None
    """How this host calls itself there."""
    enterprise: Annotated[int, Field(ge=1)] = 32473
    """The enterprise number in the structured data's name."""
    ca_file: Text | None = None
    """With `tls`: trust this authority instead of the system's."""
    at_least: Severity = "info"
    """Lesser notices are not sent here."""


class Snmp(Model):
    """A trap (v2c or v3) for each notice."""

    host: Text
    """The management station."""
    port: Port = 162
    """Its port."""
    version: Literal["2c", "3"] = "2c"
    """`3` needs `user` and `auth_file`."""
    community_file: Text | None = None
    """v2c: the community."""
    user: Text | None = None
    """v3: the user."""
    auth: Literal["sha", "sha256"] = "sha256"
    """v3: the digest."""
    auth_file: Text | None = None
    """v3: the pass phrase that authenticates."""
    priv_file: Text | None = None
    """v3: the pass phrase that encrypts."""
    engine_id: Annotated[str, Field(pattern=OCTETS)] | None = None
    """5 to 32 octets in hex; made from the host's name by default."""
    enterprise: Annotated[int, Field(ge=1)] = 32473
    """The enterprise number below which the traps stand."""
    at_least: Severity = "info"
    """Lesser notices are not sent here."""

    @model_validator(mode="after")
    def _user_of_version_3(self) -> Snmp:
        if self.version == "3" and not (self.user and self.auth_file):
            raise ValueError("version 3 needs `user` and `auth_file`")
        return self


def _hook(value: object) -> object:
    return {"url": value} if isinstance(value, str) else value


class Notify(OneKind):
    """One way to tell people."""

    url: Annotated[str, Field(pattern=ANY_URL)] | None = None
    """`mailto:`, or any service the notification library knows (where it is installed)."""
    webhook: Annotated[Webhook, BeforeValidator(_hook, json_schema_input_type=str | Webhook)] | None = None
    """A signed HTTP request."""
    email: Email | None = None
    """A mail."""
    syslog: Syslog | None = None
    """A line in a log server."""
    snmp: Snmp | None = None
    """A trap."""
