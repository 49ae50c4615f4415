"""Trust between Cores by exchanged SSH keys: *Manage Trusted Hosts* (G-SSH).

A Core has one key pair, its *Local Server SSH Key*: it shows it as host key and logs in with it. One paste in each direction is therefore
enough for both sides to prove themselves to each other: we connect only to a host that shows the key we were given for it, before we send
anything; and we let in only a key that we were given, for replication and for nothing else (`ssh`).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import asyncssh

from lbctl import durable
from lbctl.core.settings import CoreSettings
from lbctl.errors import LbctlError

USER = "replicate"
CONNECT_S = 10.0
KEEPALIVE_S = 10.0
HOSTS_MAX = 32
KEY_CHARS_MAX = 8192


class NotTrusted(LbctlError):
    """No key was exchanged with that host: add it under Manage Trusted Hosts."""


@dataclass(frozen=True, slots=True)
class Trusted:
    """A host whose key we were given. `key` is its public key as OpenSSH writes it; ports are None where they are the same as ours."""

    host: str
    key: str
    https: int | None = None
    portal: int | None = None
    ssh: int | None = None

    @property
    def fingerprint(self) -> str:
        return asyncssh.import_public_key(self.key).get_fingerprint()


class Trust:
    """The local key and the trusted hosts, in `DIR/ssh`."""

    def __init__(self, settings: CoreSettings) -> None:
        """Makes the local key on the first start. Raises OSError, or asyncssh.KeyImportError for a damaged one."""
        self._directory = settings.directory / "ssh"
        self._directory.mkdir(exist_ok=True, mode=0o700)
        self._settings = settings
        self._file = self._directory / "trusted_hosts.json"
        local = self._directory / "local_key"
        self.key = asyncssh.read_private_key(str(local)) if local.exists() else make_key(local, settings.name)

    @property
    def local_key(self) -> str:
        """*Local Server SSH Key*: what the other side's administrator pastes."""
        return f"{_openssh(self.key)} {self._settings.name}"

    def hosts(self) -> list[Trusted]:
        """All trusted hosts by name; one that was added here wins over the same one of the Core's file."""
        found = {one.host: one for one in (*self._from_settings(), *self._saved())}
        return [found[host] for host in sorted(found)]

    def find(self, host: str) -> Trusted | None:
        return next((one for one in self.hosts() if one.host == host), None)

    def identify(self, key: asyncssh.SSHKey) -> Trusted | None:
        """Whose key that is."""
        shown = _openssh(key)
        return next((one for one in self.hosts() if one.key == shown), None)

    def add(self, host: str, key: str, *, https: int | None = None, portal: int | None = None, ssh: int | None = None) -> Trusted:
        """*Add SSH Key*. Raises ValueError with what is wrong."""
        added = Trusted(_host(host), self._checked(key), https, portal, ssh)
        others = [one for one in self._saved() if one.host != added.host]
        if len(others) >= HOSTS_MAX:
            raise ValueError(f"there are {HOSTS_MAX} trusted hosts already")
        self._save([*others, added])
        return added

    def remove(self, host: str) -> None:
        """Takes the trust back; what the Core's file says stays. No error where there was none."""
        self._save([one for one in self._saved() if one.host != host])

    async def connect(self, host: str, default_port: int) -> asyncssh.SSHClientConnection:
        """An SSH connection to a trusted host. Raises `NotTrusted`, asyncssh.Error (HostKeyNotVerifiable for a wrong key), OSError."""
        trusted = self.find(host)
        if trusted is None:
            raise NotTrusted(f"{host} is not a trusted host")
        return await asyncssh.connect(
            host, trusted.ssh if trusted.ssh is not None else default_port, username=USER, client_keys=[self.key], preferred_auth="publickey",
            known_hosts=([asyncssh.import_public_key(trusted.key)], [], []), config=[], agent_path=None, x509_trusted_certs=None,
            connect_timeout=CONNECT_S, login_timeout=CONNECT_S, keepalive_interval=KEEPALIVE_S, keepalive_count_max=3,
        )

    def _checked(self, key: str) -> str:
        if "PRIVATE KEY" in key:  # the library would find the public half in it
            raise ValueError("that is not a public SSH key but a private one: it never leaves its own server")
        try:
            public = asyncssh.import_public_key(key.strip()[:KEY_CHARS_MAX])
        except asyncssh.KeyImportError:
            raise ValueError("that is not a public SSH key: paste the whole line of the other server's Local Server SSH Key") from None
        if public == self.key.convert_to_public():
            raise ValueError("that is this server's own key: paste the other server's")
        return _openssh(public)

    def _from_settings(self) -> list[Trusted]:
        """Keys by file are read when they are needed: the other Core may make its key later."""
        found = []
        for host in self._settings.trusted_hosts:
            try:
                key = self._checked(host.key_file.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                continue
            found.append(Trusted(host.host, key, host.https, host.portal, host.ssh))
        return found

    def _saved(self) -> list[Trusted]:
        try:
            return [Trusted(**one) for one in json.loads(self._file.read_bytes())]
        except FileNotFoundError:
            return []

    def _save(self, hosts: list[Trusted]) -> None:
        durable.replace(self._file, json.dumps([asdict(one) for one in hosts], indent=1).encode(), 0o644)


def make_key(path: Path, name: str) -> asyncssh.SSHKey:
    """A new key pair: private for its owner alone, and `.pub` beside it. Raises OSError."""
    key = asyncssh.generate_private_key("ssh-ed25519", comment=name)
    durable.replace(path.with_suffix(".pub"), f"{_openssh(key)} {name}\n".encode(), 0o644)
    durable.replace(path, key.export_private_key("openssh"), 0o600)
    return key


def _openssh(key: asyncssh.SSHKey) -> str:
    """Kind and key, without a comment."""
    return " ".join(key.export_public_key("openssh").decode().split()[:2])


def _host(text: str) -> str:
    host = text.strip()
    if not host or len(host) > 253 or not all(c.isalnum() or c in ".-_:" for c in host):
        raise ValueError("expected a host name or an IP address")
    return host
