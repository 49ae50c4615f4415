"""What a Core is told: its own file (`core-a.yaml`, read once at start) and its *HA Configuration* (kept on disk, changed in the portal).

The file holds what an appliance has from its installation: name, software version, ports, certificates, users, mail server. `ha:` in it is
what the HA Configuration window shows on the very first start; from then on the saved one holds, because an administrator's Save must not
be undone by a restart. Every mistake in a file is told at once, each with `file:line:column`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from lbctl.core import heartbeat
from lbctl.core.heartbeat import Reaction
from lbctl.core.schedule import UNIT_S, Schedule, Unit
from lbctl.core.state import Mode
from lbctl.core.yamlfile import read
from lbctl.mail import MailServer

DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)?")
DURATION_S = {None: 1.0, "s": 1.0, "ms": 0.001, "m": 60.0, "h": 3600.0, "d": 86400.0}
EMAIL = re.compile(r"[^@\s,<>\"]{1,64}@[A-Za-z0-9.-]{1,253}")
TIME_OF_DAY = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")
HOST = re.compile(r"[A-Za-z0-9._-]{1,253}|[0-9A-Fa-f:]{2,45}")


def _seconds(value: Any) -> Any:
    """`60s`, `5m` or a bare number of seconds, as the window has it."""
    found = DURATION.fullmatch(value) if isinstance(value, str) else None
    return float(found[1]) * DURATION_S[found[2]] if found else value


def _matching(pattern: re.Pattern[str], expected: str, *, empty: bool = False) -> AfterValidator:
    def checked(text: str) -> str:
        if not (pattern.fullmatch(text) or (empty and not text)):
            raise ValueError(f"expected {expected}")
        return text

    return AfterValidator(checked)


Seconds = Annotated[float, Field(ge=0.01, le=86400 * 366), BeforeValidator(_seconds)]
Offset = Annotated[float, BeforeValidator(_seconds)]
Email = Annotated[str, _matching(EMAIL, "an e-mail address", empty=True)]
Host = Annotated[str, _matching(HOST, "a host name or an IP address")]
OptionalHost = Annotated[str, _matching(HOST, "a host name or an IP address", empty=True)]
TimeOfDay = Annotated[str, _matching(TIME_OF_DAY, "a time of day in GMT such as 01:00")]
Port = Annotated[int, Field(ge=0, le=65535)]


class Model(BaseModel):
    """Unknown keys are mistakes; nothing changes after it was read."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, use_attribute_docstrings=True)


class HaSettings(Model):
    """The fields of the HA Configuration window (guide, table 2 and step 6), in its order. The Fail Over Controls' defaults stand here."""

    enabled: bool = False
    """High Availability: Enable or Disable."""
    mode: Mode = Mode.PRIMARY
    primary_host: OptionalHost = ""
    """Secondary Configuration: Hostname/IP of the Primary, one of the trusted hosts."""
    start_time: TimeOfDay = "01:00"
    """StartTime (GMT)."""
    run_every: Annotated[int, Field(ge=1, le=100_000)] = 60
    run_every_unit: Unit = Unit.MINUTES
    heartbeat_interval_s: Seconds = Field(default=60.0, alias="heartbeat_interval")
    heartbeat_failures: Annotated[int, Field(ge=1, le=1000)] = 5
    """Consecutive Heartbeat failures before failover."""
    recheck_interval_s: Seconds = Field(default=30.0, alias="recheck_interval")
    if_failure_detected: Reaction = Reaction.KEEP_STANDBY
    email: Email = ""
    notify_sync_completion: bool = False
    notify_failure: bool = False
    """Failure / This server becomes primary."""

    def heartbeat(self) -> heartbeat.Settings:
        """The Fail Over Controls for `heartbeat.step`."""
        return heartbeat.Settings(self.heartbeat_interval_s, self.heartbeat_failures, self.recheck_interval_s, self.if_failure_detected)

    def schedule(self, saved_at: float) -> Schedule:
        """StartTime and Run Every, anchored at the last save (UTC seconds)."""
        hours, minutes = self.start_time.split(":")
        return Schedule(int(hours) * 3600 + int(minutes) * 60, self.run_every * UNIT_S[self.run_every_unit], saved_at)


class Endpoint(Model):
    """Where a port is opened. Port 0 takes a free one."""

    host: str
    port: Port

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _endpoint(value: Any) -> Any:
    found = re.fullmatch(r"(?:\[(.+)\]|([^:]+)):(\d+)", value) if isinstance(value, str) else None
    if isinstance(value, str) and not found:
        raise ValueError("expected ADDRESS:PORT")
    return {"host": found[1] or found[2], "port": found[3]} if found else value


Listen = Annotated[Endpoint, BeforeValidator(_endpoint)]


class Ports(Model):
    """The three ports of the guide's table 3: 443 for clients, 8443 for the System Manager Portal, 22 for SSH."""

    https: Listen
    portal: Listen
    ssh: Listen


class Tls(Model):
    """Either a certificate of one's own, or a directory with a certificate authority: made on first start, shared by the Cores of a pair."""

    ca_directory: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    names: tuple[str, ...] = ()
    """Further names and addresses in the certificate that is made."""


class Admin(Model):
    """The first local user of the System Manager. Without a password file a random password is made and left in `DIR/admin-password`."""

    user: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$")] = "admin"
    password_file: Path | None = None
    authorized_keys_file: Path | None = None
    enable_secret_file: Path | None = None
    """What `enable` asks for on the command line; nothing where there is no such file."""


class TrustedHost(Model):
    """*Add Trusted Host* by file, for sites that install Cores by script. Ports where they differ from ours."""

    host: Host
    key_file: Path
    https: Port | None = None
    portal: Port | None = None
    ssh: Port | None = None


class Mail(Model):
    """The mail server of the appliance (its Settings, not part of the HA Configuration window)."""

    host: str
    port: Port = 25
    security: str = "starttls"
    user: str = ""
    password_file: str = ""
    ca_file: str = ""
    verify: bool = True
    sender: Annotated[str, _matching(EMAIL, "an e-mail address")]

    def server(self) -> MailServer:
        """As `lbctl.mail` wants it; ValueError where its keys contradict one another."""
        return MailServer(**self.model_dump(exclude={"sender"}))


class CoreSettings(Model):
    """`core-a.yaml`. Relative paths are taken from the file's own directory."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]{0,61}[A-Za-z0-9])?$")]
    directory: Path
    version: Annotated[str, Field(pattern=r"^\d+(\.\d+){1,3}$")] = "11.3.0.0"
    listen: Ports
    tls: Tls = Tls()
    admin: Admin = Admin()
    mail: Mail | None = None
    trusted_hosts: tuple[TrustedHost, ...] = ()
    standby_tomcat: bool = False
    """Whether tomcat keeps running on a Core that goes to standby, as it does where it was started by hand for good."""
    atlas: bool = False
    """Settings > Services > Atlas on the first start."""
    core_services: bool = True
    """False: a server for Atlas alone."""
    clock_offset_s: Offset = Field(default=0.0, alias="clock_offset")
    """This Core's clock against the machine's."""
    cpus: int | None = None
    memory_mib: int | None = None
    ha: HaSettings = HaSettings()


def load(file: Path) -> CoreSettings:
    """A Core's file. Raises `ConfigError` with every mistake and its place."""
    document = read(file)
    try:
        settings = CoreSettings.model_validate(document.values)
        if settings.mail:
            settings.mail.server()
    except ValidationError as error:
        raise document.error((tuple(one["loc"]), one["msg"]) for one in error.errors(include_url=False, include_context=False)) from None
    except ValueError as error:
        raise document.error([(("mail",), str(error))]) from None
    return _resolved(settings, file.parent)


def _resolved(settings: CoreSettings, base: Path) -> CoreSettings:
    """The same with absolute paths."""
    admin = {name: base / path for name, path in settings.admin if isinstance(path, Path)}
    tls = {name: base / path for name, path in settings.tls if isinstance(path, Path)}
    hosts = tuple(host.model_copy(update={"key_file": base / host.key_file}) for host in settings.trusted_hosts)
    return settings.model_copy(update={
        "directory": (base / settings.directory).resolve(), "admin": settings.admin.model_copy(update=admin),
        "tls": settings.tls.model_copy(update=tls), "trusted_hosts": hosts,
    })


