"""`lbctl token create|list|revoke`: edits the tokens file of the configuration. A running controller sees the change at once."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import click

from lbctl.api import tokens
from lbctl.api.times import iso
from lbctl.api.tokens import Role, Tokens
from lbctl.cli.client import api_block
from lbctl.cli.failure import CONFIG_INVALID, ERROR, NOT_ALLOWED, USAGE, Failure
from lbctl.cli.options import Globals, global_options
from lbctl.cli.show import columns, emit
from lbctl.clock import SystemClock
from lbctl.config.quantities import seconds
from lbctl.errors import ConfigError

file_option = click.option("--file", type=click.Path(path_type=Path), help="The tokens file; the configuration's api.tokens_file by default.")


@click.group("token")
@global_options
def token(**_: Any) -> None:
    """Who may call over TCP. The file holds digests only; a token is shown once, when it is made."""


def _path(options: Globals, file: Path | None) -> Path:
    said = file or api_block(options).get("tokens_file")
    if not said:
        raise Failure(USAGE, "no tokens file: set api.tokens_file in the configuration, or say --file")
    return options.config_path.parent / said


def _load(path: Path) -> Tokens:
    try:
        return tokens.load(path)
    except ConfigError as error:
        raise Failure(CONFIG_INVALID, str(error)) from None
    except PermissionError:
        raise Failure(NOT_ALLOWED, f"you may not read {path}") from None


def _save(path: Path, found: Tokens) -> None:
    try:
        tokens.save(path, found)
    except PermissionError:
        raise Failure(NOT_ALLOWED, f"you may not write {path}") from None
    except OSError as error:
        raise Failure(ERROR, f"{path}: {error.strerror}") from None


@token.command("create")
@global_options
@click.argument("name")
@click.option("--role", type=click.Choice([role.name.lower() for role in Role]), required=True, help="What it may do.")
@click.option("--for", "length", metavar="90d", help="When it expires; never by default.")
@file_option
@click.pass_obj
def create(options: Globals, name: str, role: str, length: str | None, file: Path | None) -> None:
    """A new token for a person or a program."""
    path = _path(options, file)
    found = _load(path)
    try:
        lifetime = seconds(length) if length else None
    except ValueError as error:
        raise Failure(USAGE, f"--for: {error}") from None
    made, text = tokens.create(name, Role[role.upper()], now=SystemClock().now(), lifetime_s=lifetime)
    found.tokens.append(made)
    _save(path, found)
    emit(options, {"id": made.id, "name": name, "role": role, "token": text}, [text])
    # Beside the output, so that LBCTL_TOKEN=$(lbctl token create …) takes the token and nothing else.
    click.echo(f"token {made.id} for {name} ({role}); it is shown once: keep it, and send it as `Authorization: Bearer …` or in $LBCTL_TOKEN",
               err=True)


@token.command("list")
@global_options
@file_option
@click.pass_obj
def list_(options: Globals, file: Path | None) -> None:
    """Names, roles, ends; never the tokens."""
    found = _load(_path(options, file))
    known = [{"id": t.id, "name": t.name, "role": t.role.name.lower(), "created": iso(t.created), "expires": iso(t.expires) if t.expires else None}
             for t in found.tokens]
    rows = [(str(t["id"]), str(t["name"]), str(t["role"]), str(t["created"]), t["expires"] or "never") for t in known]
    emit(options, {"tokens": known}, columns(rows, head=("ID", "NAME", "ROLE", "CREATED", "EXPIRES")) if rows else ["no tokens"])


@token.command("revoke")
@global_options
@click.argument("ident", metavar="ID")
@file_option
@click.pass_obj
def revoke(options: Globals, ident: str, file: Path | None) -> None:
    """It is worth nothing from now on."""
    path = _path(options, file)
    found = _load(path)
    left = [known for known in found.tokens if known.id != ident]
    if len(left) == len(found.tokens):
        near = difflib.get_close_matches(ident, [known.id for known in left], 1, 0.5)
        raise Failure(USAGE, f"there is no token {ident!r}" + (f"; did you mean {near[0]!r}?" if near else "; `lbctl token list` lists them"))
    found.tokens = left
    _save(path, found)
    emit(options, {"revoked": ident}, [f"revoked: {ident}"])
