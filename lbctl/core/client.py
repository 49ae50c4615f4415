"""A person's way to a Core's command line from a shell: one line of commands over SSH, as OpenSSH would carry it.

A Core of this machine is named by its file: address, host key and key for its owner are then read from its own directory. Any other host must
show a key from a known-hosts file; a host that is not known there is refused before anything is sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh

from lbctl.core.settings import CoreSettings
from lbctl.core.users import ADMIN_KEY
from lbctl.errors import LbctlError

CONNECT_S = 10.0
RUN_S = 3600.0


class Unreachable(LbctlError):
    """The Core's SSH did not let us in; the message says why."""


@dataclass(frozen=True, slots=True)
class Login:
    """Where, as whom, and how the two prove themselves. `host_key` is one public key; without it `known_hosts` is a file."""

    host: str
    port: int
    user: str
    password: str | None = None
    key_file: Path | None = None
    known_hosts: Path | None = None
    host_key: str = ""


def local(settings: CoreSettings) -> Login:
    """To a Core of this machine, with the key that it keeps for the owner of its directory. Raises OSError where it was never started."""
    key = (settings.directory / "ssh" / "local_key.pub").read_text(encoding="utf-8")
    endpoint = settings.listen.ssh
    return Login(endpoint.host, endpoint.port, settings.admin.user, key_file=settings.directory / ADMIN_KEY, host_key=key)


async def run(login: Login, line: str, show: Callable[[str], None], *, secret: str = "", timeout_s: float = RUN_S) -> int:
    """Runs one line, gives its output away as it comes, returns its exit code. `secret` answers `enable`. Raises `Unreachable`."""
    try:
        async with asyncio.timeout(timeout_s), await _connect(login) as connection:
            process = await connection.create_process(line)
            if secret:
                process.stdin.write(secret + "\n")
            async for text in process.stdout:
                if text:  # the stream ends with an empty one
                    show(text.rstrip("\n"))
            done = await process.wait()
    except asyncssh.HostKeyNotVerifiable:
        raise Unreachable(f"{login.host}: its host key is not the one that is known") from None
    except asyncssh.PermissionDenied:
        raise Unreachable(f"{login.host}: {login.user} was not let in") from None
    except TimeoutError:
        raise Unreachable(f"{login.host}:{login.port}: no answer within {timeout_s:g} s") from None
    except (asyncssh.Error, OSError) as error:
        raise Unreachable(f"{login.host}:{login.port}: {error}") from None
    return done.exit_status if done.exit_status is not None else 1


async def _connect(login: Login) -> asyncssh.SSHClientConnection:
    known: Any = str(login.known_hosts) if login.known_hosts else ()
    if login.host_key:
        known = ([asyncssh.import_public_key(login.host_key)], [], [])
    keys = [str(login.key_file)] if login.key_file else []
    return await asyncssh.connect(
        login.host, login.port, username=login.user, password=login.password, client_keys=keys or None, known_hosts=known, config=[],
        agent_path=None, connect_timeout=CONNECT_S, login_timeout=CONNECT_S, keepalive_interval=10, keepalive_count_max=3, x509_trusted_certs=None,
    )
