"""The tokens file: who may call over TCP, as what. It holds no secret, only SHA-256 digests.

A token is `lbctl_ID_SECRET` with 32 random bytes of secret: such a secret cannot be guessed offline, so a plain digest protects it as well as a
slow password hash would, and a check costs microseconds instead of a way to keep the controller busy. Digests are compared in constant time,
an unknown ID against a digest that nothing has. The file is read again when it changes on disk; a file that does not parse keeps the last good one.

```yaml
tokens:
- {id: 3f9a0c, name: alice, role: operator, sha256: …, created: 2026-11-23T10:00:00Z, expires: 2027-02-21T10:00:00Z}
certificates:                      # client certificates by common name
- {name: prometheus.example.com, role: viewer}
```
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
import tempfile
from enum import IntEnum
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationError

from lbctl.api.times import instant, iso
from lbctl.errors import ConfigError, Problem


class Role(IntEnum):
    """What somebody may do; each includes the ones before it."""

    VIEWER = 1
    OPERATOR = 2
    ADMIN = 3


def _role(value: object) -> object:
    return Role[value.upper()] if isinstance(value, str) and value.upper() in Role.__members__ else value


RoleName = Annotated[Role, BeforeValidator(_role), PlainSerializer(lambda role: role.name.lower(), return_type=str)]
Instant = Annotated[float, BeforeValidator(lambda v: instant(v) if isinstance(v, str) else v.timestamp() if hasattr(v, "timestamp") else v),
                    PlainSerializer(iso, return_type=str)]


class Token(BaseModel):
    """One token; `expires` None: never."""

    model_config = ConfigDict(extra="forbid")

    id: Annotated[str, Field(pattern="^[0-9a-f]{6,16}$")]
    name: Annotated[str, Field(min_length=1, max_length=100)]
    role: RoleName
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$", repr=False)]
    created: Instant
    expires: Instant | None = None


class Certificate(BaseModel):
    """A client certificate, known by its subject's common name."""

    model_config = ConfigDict(extra="forbid")

    name: str
    role: RoleName


class Tokens(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid")

    tokens: list[Token] = []
    certificates: list[Certificate] = []


_NOBODY = "0" * 64


def digest(secret: str) -> str:
    """Of the whole token text; a header may hold bytes that are no text at all."""
    return hashlib.sha256(secret.encode(errors="surrogateescape")).hexdigest()


def create(name: str, role: Role, *, now: float, lifetime_s: float | None = None) -> tuple[Token, str]:
    """A new token and its text, which is shown once and kept nowhere."""
    ident = secrets.token_hex(4)
    text = f"lbctl_{ident}_{secrets.token_urlsafe(32)}"
    expires = None if lifetime_s is None else now + lifetime_s
    return Token(id=ident, name=name, role=role, sha256=digest(text), created=now, expires=expires), text


def find(tokens: Tokens, text: str, *, now: float) -> Token | None:
    """The token whose text this is, unless it has expired. Takes as long for an unknown as for a known ID."""
    parts = text.split("_", 2)
    ident = parts[1] if len(parts) == 3 and parts[0] == "lbctl" else ""
    known = next((token for token in tokens.tokens if token.id == ident), None)
    same = hmac.compare_digest(digest(text), known.sha256 if known else _NOBODY)
    if not same or known is None or (known.expires is not None and now >= known.expires):
        return None
    return known


def load(path: Path) -> Tokens:
    """Reads the file; absent means no tokens. `ConfigError` names the place of a mistake and never its content."""
    try:
        return Tokens.model_validate(yaml.safe_load(path.read_text()) or {})
    except FileNotFoundError:
        return Tokens()
    except ValidationError as error:
        raise ConfigError([Problem(str(path), ".".join(map(str, e["loc"])), e["msg"]) for e in error.errors(include_input=False)]) from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise ConfigError([Problem(str(path), "", "this is not YAML")]) from None


def save(path: Path, tokens: Tokens) -> None:
    """Replaces the file in one step, keeping its owner and mode; a new one is 0600, or 0640 in a directory for its group alone."""
    text = yaml.safe_dump(tokens.model_dump(mode="json", exclude_none=True), sort_keys=False)
    before = path.stat() if path.exists() else None
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    with os.fdopen(handle, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
        if before is not None:
            os.fchmod(file.fileno(), before.st_mode & 0o777)
            os.fchown(file.fileno(), before.st_uid, before.st_gid)
        elif (folder := path.parent.stat()).st_mode & 0o057 == 0o050:
            # /etc/lbctl belongs to root and opens to the service's group alone: what root makes there, the service must be able to read.
            with contextlib.suppress(PermissionError):
                os.fchown(file.fileno(), -1, folder.st_gid)
                os.fchmod(file.fileno(), 0o640)
    Path(temporary).replace(path)


class TokenFile:
    """The file as the server sees it: read again whenever it has changed on disk; `problem` tells why the last good one is still used."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._tokens = Tokens()
        self.problem = ""

    def current(self) -> Tokens:
        """What holds now."""
        if self._path is None:
            return self._tokens
        try:
            stat = self._path.stat()
            mark = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        except OSError:
            self._seen, self._tokens = None, Tokens()
            return self._tokens
        if mark != self._seen:
            self._seen = mark
            self._read(self._path)
        return self._tokens

    def _read(self, path: Path) -> None:
        try:
            self._tokens, self.problem = load(path), ""
        except (ConfigError, OSError) as error:
            self.problem = str(error)
