"""What a probe is: one look at one page of one member, by one deadline, ending in exactly one `ProbeResult` and never in an exception.

A *kind* (`Probe`) is aimed at a `Target` once; the `Aim` keeps what is worth keeping between looks (the last good resolution, a kept
connection, the certificate's facts) and starts looks by callback, because a task for each look would cost more than the look. The schedule
(`controller.monitor`) knows these protocols and no kind; a test's probe is twenty lines.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias
from urllib.parse import urlsplit

from lbctl.model.looks import ProbeResult

Done: TypeAlias = Callable[[ProbeResult], None]
Cancel: TypeAlias = Callable[[], None]

CLIENT = "client"
"""The way of a look that takes the clients' path."""

# No port is usual for a bare connection: 0 makes the url say which one.
PORTS = {"http": 80, "https": 443, "tcp": 0}


@dataclass(frozen=True, slots=True)
class Tls:
    """How the member's certificate is judged. Files are named, never held; `pin_sha256` is the digest of the public key (SPKI), 32 bytes.

    `server_name` replaces the url's host in SNI and in the name check. With `verify` false only the pin, where given, is judged.
    """

    verify: bool = True
    ca_file: str | None = None
    server_name: str | None = None
    client_cert_file: str | None = None
    client_key_file: str | None = None
    pin_sha256: bytes | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """One page of one member, and how to get there.

    `host` and `port` are the url's: they make `Host` and SNI. `connect_host` and `connect_port` replace them as the place to connect to.
    `path` is the url's path, put before the page's own. `source` is the local address to look from. `family` 4 or 6 keeps to one family (H22).
    `ways` are the same page over each address family and over the clients' path, each with its `way` ("4", "6", "direct", `CLIENT`); empty for a
    plain target. `rule` says how the looks over families make one (`any`, `all`), `alone` whether the clients' path may fail it (H5, H22).
    `connection` is `fresh` (a connection for each look, H19) or `keep`. `guarded` lets the schedule keep a connection open to notice a crash.
    """

    member: str
    page: str
    scheme: str
    host: str
    port: int
    path: str = ""
    connect_host: str | None = None
    connect_port: int | None = None
    tls: Tls = Tls()
    timeout_s: float = 3.0
    connection: str = "fresh"
    source: str | None = None
    family: int | None = None
    guarded: bool = True
    way: str = ""
    ways: tuple[Target, ...] = ()
    rule: str = "any"
    alone: bool = False

    @property
    def place(self) -> tuple[str, int]:
        """Host (name or literal) and port that the connection goes to."""
        return self.connect_host or self.host, self.connect_port or self.port


class Aim(Protocol):
    """A probe aimed at one target."""

    @property
    def target(self) -> Target: ...

    def start(self, done: Done) -> Cancel:
        """Starts a look now. `done` is called once, later or at once, within the target's timeout; not at all after the cancel was called."""
        ...

    def guard(self, tripped: Callable[[], None]) -> Cancel:
        """Keeps a connection open and calls `tripped` when the member ends it: a hint to look, never a verdict. Bounded, re-armed by itself."""
        ...

    def close(self) -> None:
        """Lets go of what was kept between looks."""
        ...


class Probe(Protocol):
    """One kind of probe; listed in `PROBES`."""

    @property
    def pages(self) -> tuple[str, ...]:
        """The pages of a member that this kind looks at."""
        ...

    @property
    def modes(self) -> bool:
        """Whether the pages can say Primary and Standby."""
        ...

    def aim(self, target: Target) -> Aim:
        """Ready to look at `target`. Reads no file and asks no name yet."""
        ...

    async def look(self, target: Target) -> ProbeResult:
        """One look, awaited: what `lbctl probe` does."""
        ...


def target_at(
    url: str, *, member: str, page: str, connect: str | None = None, tls: Tls | None = None, timeout_s: float = 3.0,
    connection: str = "fresh", source: str | None = None, family: int | None = None, guarded: bool = True,
) -> Target:
    """The target that a url and an optional place to connect to (`IP`, `name`, `IP:port`, `[IPv6]:port`) mean; ValueError says what is wrong."""
    scheme, host, port, path = url_parts(url)
    connect_host, connect_port = host_port(connect) if connect else (None, None)
    return Target(
        member, page, scheme, host, port, path, connect_host, connect_port, tls or Tls(), timeout_s, connection, source, family, guarded
    )


def url_parts(url: str) -> tuple[str, str, int, str]:
    """Scheme, host in ASCII, port and path without its last slash. User names, queries and fragments have no meaning for a status page."""
    parts = urlsplit(url)
    if parts.scheme not in PORTS:
        raise ValueError(f"expected http://, https:// or tcp:// at the beginning, found {shown(url)!r}")
    # A user name or query would be taken and never sent: refused, so that nobody believes it is used.
    if not parts.hostname or parts.username is not None or parts.query or parts.fragment:
        raise ValueError(f"expected scheme://host[:port][/path] and nothing else, found {shown(url)!r}")
    port = parts.port or PORTS[parts.scheme]
    if not port:
        raise ValueError(f"a tcp:// url needs a port, found {url!r}")
    return parts.scheme, _ascii_host(parts.hostname), port, _clean_path(parts.path)


def shown(url: str) -> str:
    """A url as it may be told: without what stands before an @ and behind a ?, where people put passwords (H54)."""
    return re.sub(r"[?#].*", lambda found: f"{found[0][0]}…", re.sub(r"[^/@]*@", "…@", url))


def host_port(text: str) -> tuple[str, int | None]:
    """`IP`, `name`, `IP:port`, `name:port`, `[IPv6]`, `[IPv6]:port` or a bare IPv6 address; ValueError where it is none of them."""
    if literal(text):
        return text, None
    parts = urlsplit(f"//{text}")
    if not parts.hostname or parts.path or parts.query or parts.fragment or parts.username is not None:
        raise ValueError(f"expected IP, IP:port or [IPv6]:port, found {shown(text)!r}")
    return _ascii_host(parts.hostname), parts.port


def pin(text: str) -> bytes:
    """A pin of 32 bytes from its base64 or hex form, with or without `sha256//`; ValueError where it is neither."""
    plain = text.strip().removeprefix("sha256//").replace(":", "")
    try:
        # 64 hex digits are valid base64, too: the length decides, since a digest has 44 characters there.
        digest = bytes.fromhex(plain) if len(plain) == 64 else base64.b64decode(plain, validate=True)
    except (ValueError, binascii.Error):
        digest = b""
    if len(digest) != 32:
        raise ValueError("expected a SHA-256 digest in base64 (44 characters) or hex (64 characters)")
    return digest


def literal(host: str) -> bool:
    """Whether the host is an IP address, so that no name needs to be asked."""
    try:
        # A scope (`fe80::1%eth0`) belongs to the address and is no name to be resolved.
        ipaddress.ip_address(host.split("%")[0])
    except ValueError:
        return False
    return True


def _ascii_host(host: str) -> str:
    try:
        # Names go into `Host` and SNI, which know ASCII alone.
        plain = host if literal(host) else host.encode("idna").decode("ascii")
    except UnicodeError as problem:
        raise ValueError(f"not a host name: {host!r}") from problem
    # A line end in a host would be another header in the request.
    if not all("!" <= c <= "~" for c in plain):
        raise ValueError(f"not a host name: {host!r}")
    return plain


def _clean_path(path: str) -> str:
    # The path goes into the request line as it is: a space or a line end would make it another one.
    if not all("!" <= c <= "~" for c in path):
        raise ValueError(f"a path holds printable ASCII without spaces, found {path!r}")
    return path.rstrip("/")
