"""What the service manager is told and gives: readiness, reloads, the watchdog, sockets (sd_notify(3), sd_listen_fds(3)).

Everything here does nothing where there is no service manager: the controller runs the same in a terminal.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

from lbctl.clock import monotonic_us

FIRST_FD = 3


def notify(*lines: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Sends state lines; False where nobody listens. Never raises: a deaf manager must not stop the controller."""
    address = environ.get("NOTIFY_SOCKET", "")
    if address[:1] not in ("/", "@"):
        return False
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            sock.sendto("\n".join(lines).encode(), "\0" + address[1:] if address[0] == "@" else address)
    except OSError:
        return False
    return True


def ready(status: str, *, environ: Mapping[str, str] = os.environ) -> bool:
    """Started, or done with a reload."""
    return notify("READY=1", f"STATUS={status}", environ=environ)


def reloading(*, environ: Mapping[str, str] = os.environ) -> bool:
    """A reload begins; `READY=1` ends it. Newer managers insist on the time (systemd.service(5), `notify-reload`)."""
    return notify("RELOADING=1", f"MONOTONIC_USEC={monotonic_us()}", environ=environ)


def stopping(*, environ: Mapping[str, str] = os.environ) -> bool:
    return notify("STOPPING=1", "STATUS=stopping; what is published stays", environ=environ)


def watchdog_s(environ: Mapping[str, str] = os.environ) -> float | None:
    """How often to feed the watchdog: half of its limit, or None where there is none (or it is another process's)."""
    limit, pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
    if not limit.isdigit() or int(limit) == 0 or (pid and pid != str(os.getpid())):
        return None
    return int(limit) / 2_000_000


def passed_sockets(environ: Mapping[str, str] = os.environ) -> dict[str, list[socket.socket]]:
    """Sockets that the manager opened for us, by name (`FileDescriptorName=`): they outlive us, so a restart loses no query."""
    if environ.get("LISTEN_PID") != str(os.getpid()):
        return {}
    names = environ.get("LISTEN_FDNAMES", "").split(":")
    found: dict[str, list[socket.socket]] = {}
    for number in range(int(environ.get("LISTEN_FDS", "0"))):
        name = names[number] if number < len(names) and names[number] else "unknown"
        found.setdefault(name, []).append(socket.socket(fileno=FIRST_FD + number))
    return found
