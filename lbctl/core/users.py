"""The local users of the System Manager: who may log in to the portal and to the command line.

They stand in the database, because they are replicated (guide, page 5): after a sync the Secondary knows the Primary's users. Passwords are
kept as scrypt hashes; an unknown name costs as long as a wrong password.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import secrets
from pathlib import Path

import asyncssh

from lbctl.core.database import Database
from lbctl.core.settings import Admin
from lbctl.core.trust import make_key

COST = (1 << 14, 8, 1)
PASSWORD_MAX = 1024
ADMIN_KEY = Path("ssh") / "admin_key"
DUMMY = "scrypt:00:00"


class Users:
    """`directory`: where a password and a key that were made up are left for the owner of this machine to use."""

    def __init__(self, database: Database, admin: Admin, directory: Path) -> None:
        self._database = database
        self._admin = admin
        self._left = directory / "admin-password"
        self._key = directory / ADMIN_KEY

    async def ensure(self, now: float) -> None:
        """Makes the first user where there is none of that name. `now` in UTC seconds. Raises OSError for a password file that cannot be read."""
        if not self._key.exists():
            make_key(self._key, self._admin.user)
        if await self._row(self._admin.user):
            return
        hashed = await asyncio.to_thread(hash_password, self._first_password())
        row = {"name": self._admin.user, "password_hash": hashed, "role": "admin", "created": int(now)}
        await self._database.insert("local_users", [row])

    async def verify(self, name: str, password: str) -> bool:
        """Whether that is the user's password."""
        row = await self._row(name)
        stored = str(row["password_hash"]) if row else DUMMY
        return await asyncio.to_thread(matches, password[:PASSWORD_MAX], stored) and row is not None

    async def exists(self, name: str) -> bool:
        return await self._row(name) is not None

    def may_use(self, name: str, key: asyncssh.SSHKey) -> bool:
        """Whether that public key belongs to the first user: keys are a matter of each host, and are not replicated as passwords are."""
        files = [file for file in (self._admin.authorized_keys_file, self._key.with_suffix(".pub")) if file]
        return name == self._admin.user and any(_same_key(line, key) for file in files for line in _lines(file))

    def enable_secret(self) -> str:
        """What `enable` asks for; empty where it asks for nothing. Raises OSError."""
        file = self._admin.enable_secret_file
        return file.read_text(encoding="utf-8").strip() if file else ""

    async def _row(self, name: str) -> dict[str, object] | None:
        rows = await self._database.select("local_users", {"name": name}, limit=1)
        return rows[0] if rows else None

    def _first_password(self) -> str:
        if self._admin.password_file:
            return self._admin.password_file.read_text(encoding="utf-8").strip()
        password = secrets.token_urlsafe(12)
        with os.fdopen(os.open(self._left, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
            stream.write(password + "\n")
        return password


def hash_password(password: str) -> str:
    """`scrypt:SALT:HASH` in hex."""
    salt = secrets.token_bytes(16)
    return f"scrypt:{salt.hex()}:{_scrypt(password, salt).hex()}"


def matches(password: str, stored: str) -> bool:
    """Whether `password` is what `stored` was made from; compared in constant time."""
    kind, _, rest = stored.partition(":")
    salt, _, wanted = rest.partition(":")
    try:
        found = _scrypt(password, bytes.fromhex(salt))
        return kind == "scrypt" and hmac.compare_digest(found, bytes.fromhex(wanted))
    except ValueError:
        return False


def _scrypt(password: str, salt: bytes) -> bytes:
    n, r, p = COST
    return hashlib.scrypt(password.encode(), salt=salt, n=n, r=r, p=p, maxmem=64 << 20)


def _lines(file: Path) -> list[str]:
    try:
        return [line for line in file.read_text(encoding="utf-8").splitlines() if line.strip() and not line.startswith("#")]
    except OSError:
        return []


def _same_key(line: str, key: asyncssh.SSHKey) -> bool:
    try:
        return asyncssh.import_public_key(line) == key
    except asyncssh.KeyImportError:
        return False
