"""Who is asking, and may they?

* Unix socket: whoever may open it may do everything; file permission decides. `by` is the user behind the peer's credentials.
* TCP: a bearer token, or a client certificate that the tokens file names. Without either: reading, and that on loopback only.

Forgery from a browser (CSRF, DNS rebinding) has nothing to hold on to: there are no cookies, no GET has an effect, a body must be
`application/json`, and the tokenless loopback read answers only to loopback's own names. A proxy on this host makes strangers look local, so a
forwarded request is never tokenless. Wrong tokens are counted for each address and token ID; too many and both wait.
"""

from __future__ import annotations

import ipaddress
import os
import pwd
import socket
import struct
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web

from lbctl.api.problems import Refusal
from lbctl.api.tokens import Role, TokenFile, find
from lbctl.clock import Clock


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody with a role; `by` is written into the journal."""

    by: str
    role: Role


LOCAL_READER = Principal("local", Role.VIEWER)
"""A tokenless reader on loopback."""

TRIES = 5
PAUSE_S = 30.0
REMEMBERED = 4096
_PROXIED = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "Via")


class Throttle:
    """At most `TRIES` wrong tokens in `PAUSE_S` for one key; remembers at most `REMEMBERED` keys, the oldest go first."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._wrong: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def wait(self, key: str) -> float:
        """Seconds that this key must wait before its next attempt counts."""
        tries, until = self._wrong.get(key, (0, 0.0))
        return max(until - self._clock.now(), 0.0) if tries >= TRIES else 0.0

    def failed(self, key: str) -> None:
        """One more wrong token."""
        now = self._clock.now()
        tries, until = self._wrong.pop(key, (0, 0.0))
        self._wrong[key] = (tries + 1 if now < until else 1, now + PAUSE_S)
        if len(self._wrong) > REMEMBERED:
            self._wrong.popitem(last=False)


class Doorkeeper:
    """Names the principal of a request or raises a `Refusal`."""

    def __init__(self, tokens: TokenFile, clock: Clock, *, host_names: frozenset[str] = frozenset()) -> None:
        self._tokens = tokens
        self._clock = clock
        self._throttle = Throttle(clock)
        self._host_names = host_names | {"localhost"}

    def principal(self, request: web.Request) -> Principal:
        """Who is asking. 401 for nobody, 421 for a foreign name on loopback, 429 after too many wrong tokens."""
        peer = _peer_user(request)
        if peer is not None:
            return Principal(peer, Role.ADMIN)
        if "Authorization" in request.headers:
            return self._bearer(request)
        return self._certificate(request) or self._loopback(request)

    def _bearer(self, request: web.Request) -> Principal:
        scheme, _, text = request.headers["Authorization"].partition(" ")
        text = text.strip()
        key = f"{request.remote}/{'_'.join(text.split('_')[:2])[:40]}"
        wait = self._throttle.wait(key)
        if wait:
            raise Refusal(429, "too many wrong tokens; wait", headers={"Retry-After": str(int(wait) + 1)})
        token = find(self._tokens.current(), text, now=self._clock.now()) if scheme.lower() == "bearer" else None
        if token is None:
            self._throttle.failed(key)
            raise _nobody("this token is not known, or has expired")
        return Principal(token.name, token.role)

    def _certificate(self, request: web.Request) -> Principal | None:
        name = _common_name(request)
        known = next((c for c in self._tokens.current().certificates if c.name == name), None) if name else None
        return Principal(known.name, known.role) if known else None

    def _loopback(self, request: web.Request) -> Principal:
        if not _is_loopback(request.remote) or any(header in request.headers for header in _PROXIED):
            raise _nobody("send a token: Authorization: Bearer …")
        if not self._own_name(request.host):
            raise Refusal(421, "without a token this port answers to its address or localhost only")
        return LOCAL_READER

    def _own_name(self, host: str) -> bool:
        name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
        return name.lower() in self._host_names or _is_address(name.strip("[]"))


def require(principal: Principal, role: Role) -> None:
    """403 for too small a role; a tokenless reader is told to bring a token (401)."""
    if principal.role >= role:
        return
    if principal is LOCAL_READER:
        raise _nobody("writing needs a token: Authorization: Bearer …")
    raise Refusal(403, f"{principal.by} has the role {principal.role.name.lower()}; this needs {role.name.lower()}")


def _nobody(detail: str) -> Refusal:
    return Refusal(401, detail, headers={"WWW-Authenticate": 'Bearer realm="lbctl"'})


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_loopback(remote: str | None) -> bool:
    try:
        address = ipaddress.ip_address((remote or "").split("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def _peer_user(request: web.Request) -> str | None:
    """The user at the other end of a Unix socket; None for any other transport."""
    transport = request.transport
    sock = transport.get_extra_info("socket") if transport is not None else None
    if sock is None or sock.family != socket.AF_UNIX:
        return None
    with socket.socket(fileno=os.dup(sock.fileno())) as own:
        credentials = own.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    uid = struct.unpack("3i", credentials)[1]
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid:{uid}"


def _common_name(request: web.Request) -> str:
    """Of the verified client certificate; "" where there is none."""
    transport = request.transport
    certificate: Mapping[str, object] | None = transport.get_extra_info("peercert") if transport is not None else None
    subject = certificate.get("subject", ()) if certificate else ()
    pairs = [pair for row in subject for pair in row] if isinstance(subject, tuple) else []
    return next((value for key, value in pairs if key == "commonName"), "")
