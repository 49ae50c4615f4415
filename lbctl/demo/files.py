"""The demo's own directory: one file for each Core, one for the controller, on addresses and ports that nobody has.

Two Cores on 127.0.0.11 and 127.0.0.12, the embedded DNS server on 127.0.0.1:5300, the page on 127.0.0.1:9653: the same as in `configs/`. What is
taken is replaced by something free, so that a second demo does not disturb the first.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

NAME = "core.gtm.example.com"
MEMBERS = ("core-a", "core-b")
HTTPS, PORTAL, SSH = 4443, 8443, 2222
DNS_PORT, PAGE_PORT = 5300, 9653

CORE = """\
name: {name}
directory: {name}
listen: {{https: "{address}:{https}", portal: "{address}:{portal}", ssh: "{address}:{ssh}"}}
tls: {{ca_directory: ca, names: [{name}.example.com]}}
trusted_hosts:
  - {{host: {other_address}, key_file: {other}/ssh/local_key.pub}}
ha:
  enabled: true
  mode: {mode}
  primary_host: {other_address}
  heartbeat_interval: 2s                # the guide's default is 60s, 5 failures, 30s: too long to watch
  heartbeat_failures: 3
  recheck_interval: 2s
  if_failure_detected: promote
"""

CONTROLLER = """\
controller: {{name: demo, state: state.db}}
api:
  socket: lbctl.sock
  listen: 127.0.0.1:{page}
  tokens_file: tokens.yaml
authoritative:
  listen: [127.0.0.1:{dns}]
  zones:
    gtm.example.com:
      ns: {{ns1.gtm.example.com: 127.0.0.1}}
services:
  core:
    probe: {{profile: standard}}          # fast enough to watch; `careful` is the default
    members:
      - name: core-a
        role: primary
        address: {a}
        url: https://core-a.example.com:{portal}
        connect: {a}:{portal}
        tls: {{ca_file: ca/ca.pem}}
      - name: core-b
        role: secondary
        address: {b}
        url: https://core-b.example.com:{portal}
        connect: {b}:{portal}
        tls: {{ca_file: ca/ca.pem}}
        syncs_from: core-a
    actuators:
      - authoritative: {{name: core.gtm.example.com, ttl: 5}}
"""


@dataclass(frozen=True, slots=True)
class Stage:
    """Where everything of one demo stands. `addresses` are the members' in order."""

    directory: Path
    addresses: tuple[str, str]
    dns_port: int
    page_port: int

    @property
    def socket(self) -> Path:
        return self.directory / "lbctl.sock"

    @property
    def config(self) -> Path:
        return self.directory / "lbctl.yaml"

    def core(self, name: str) -> Path:
        """A Core's own file."""
        return self.directory / f"{name}.yaml"

    def member(self, address: str) -> str:
        """Who has this address; the address itself where nobody has it."""
        return dict(zip(self.addresses, MEMBERS, strict=True)).get(address, address)


def prepare(directory: Path) -> Stage:
    """Writes all files. Keeps what an earlier demo left there: state survives, as it would."""
    stage = Stage(directory.absolute(), _pair(), free_port("127.0.0.1", DNS_PORT, _both), free_port("127.0.0.1", PAGE_PORT, tcp_free))
    a, b = stage.addresses
    for name, other, address, other_address, mode in ((*MEMBERS, a, b, "Primary"), (*MEMBERS[::-1], b, a, "Secondary")):
        text = CORE.format(name=name, other=other, address=address, other_address=other_address, mode=mode, https=HTTPS, portal=PORTAL, ssh=SSH)
        stage.core(name).write_text(text)
    stage.config.write_text(CONTROLLER.format(a=a, b=b, portal=PORTAL, dns=stage.dns_port, page=stage.page_port))
    return stage


def _pair() -> tuple[str, str]:
    """Two loopback addresses whose ports are all free: every demo has a network of its own."""
    for third in range(256):
        pair = f"127.0.{third}.11", f"127.0.{third}.12"
        if all(tcp_free(address, port) for address in pair for port in (HTTPS, PORTAL, SSH)) and _claimed(pair[0]):
            return pair
    raise OSError("no loopback address with free ports is left")


def free_port(host: str, wished: int, free: Callable[[str, int], bool]) -> int:
    """The wished one, or another that is free."""
    return next(port for port in _candidates(wished) if free(host, port) and _claimed(f"{host}:{port}"))


def _claimed(name: str) -> bool:
    """Ours until this process ends. Of two demos that begin at once both would else find the same place free, and one would fall over the other."""
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        claim.bind(f"\0lbctl-demo/{name}")
    except OSError:
        claim.close()
        return False
    claim.detach()
    return True


def _candidates(wished: int) -> Iterable[int]:
    yield wished
    yield from range(wished + 10, 65000, 7)


def tcp_free(host: str, port: int) -> bool:
    """Nobody listens there."""
    return _bindable(host, port, socket.SOCK_STREAM)


def _both(host: str, port: int) -> bool:
    return tcp_free(host, port) and _bindable(host, port, socket.SOCK_DGRAM)


def _bindable(host: str, port: int, kind: socket.SocketKind) -> bool:
    with socket.socket(socket.AF_INET, kind) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((host, port))
        except OSError:
            return False
    return True
