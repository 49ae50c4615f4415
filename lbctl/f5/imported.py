"""The import as a whole: a file in, an lbctl.yaml and the list of what it leaves open out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

from lbctl.errors import ConfigError, Problem
from lbctl.f5.convert import convert
from lbctl.f5.leftovers import Leftover
from lbctl.f5.objects import read
from lbctl.f5.syntax import parse

FILE_BYTES_MAX = 64 << 20
HEAD = """\
# Imported from {file}: {services} service(s), {open} remark(s) on its lines (`lbctl import-f5` prints them).
# `automation: observe` decides and records, and moves nothing: compare, then set `automation: on`, service by service.
"""


@dataclass(frozen=True, slots=True)
class Imported:
    """The new file's text, and what was not mapped or means something else now."""

    text: str
    services: tuple[str, ...]
    leftovers: tuple[Leftover, ...]


def import_file(file: Path) -> Imported:
    """Raises `ConfigError` where the file cannot be read, or has no wide IP that can be mapped."""
    try:
        with file.open("rb") as stream:
            raw = stream.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise ConfigError([Problem(str(file), "", f"cannot be read: {error.strerror}")]) from None
    if len(raw) > FILE_BYTES_MAX:
        raise ConfigError([Problem(str(file), "", f"larger than {FILE_BYTES_MAX >> 20} MiB")])
    return import_text(raw.decode("utf-8-sig", "replace"), str(file))


def import_text(text: str, name: str = "bigip_gtm.conf") -> Imported:
    """The same for a text."""
    made = convert(read(parse(text, name)))
    services = tuple(made.values["services"])
    if not services:
        why = [Problem(f"{name}:{one.line}:1", "", f"{one.text}: {one.why}") for one in made.leftovers]
        raise ConfigError([Problem(name, "", "no wide IP that could be a service"), *why])
    body = yaml.safe_dump(made.values, sort_keys=False, allow_unicode=True, width=140)
    head = HEAD.format(file=Path(name).name, services=len(services), open=len(made.leftovers))
    return Imported(head + body, services, tuple(made.leftovers))
