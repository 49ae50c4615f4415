"""What the cross checks are given: the models, and the places, files and names they may ask about."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lbctl.config.load import Document, ValuePath, dotted
from lbctl.config.quantities import endpoint
from lbctl.config.remains import Remains
from lbctl.config.services import File, Service
from lbctl.config.tree import Canary
from lbctl.errors import Problem
from lbctl.probes.base import url_parts


@dataclass(frozen=True, slots=True)
class Complaint:
    """A mistake before it has a place."""

    path: ValuePath
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Context:
    """One reading of a configuration. `names` are all services of the file, those with mistakes of their own too; `remains`: what those left."""

    file: File
    document: Document
    names: frozenset[str]
    remains: Remains

    def services(self) -> Iterator[tuple[str, Service]]:
        if self.remains.served:
            yield from self.file.services.items()

    def lost(self, scope: ValuePath, *words: str) -> bool:
        """Whether something that one of `words` names has been complained of already, so that to miss it is no mistake of its own."""
        return self.remains.lost(scope, words)

    def path(self, text: str) -> Path:
        """A file's absolute path; relative ones stand beside the configuration."""
        return self.document.file.parent.absolute() / Path(text).expanduser()

    def unreadable(self, text: str) -> str:
        """Why a file cannot be used; empty where it can."""
        path = self.path(text)
        if not path.exists():
            return f"there is no file {path}"
        return "" if path.is_file() and os.access(path, os.R_OK) else f"{path} cannot be read"

    def problem(self, complaint: Complaint) -> Problem:
        """A complaint with its place: of a block its key, of a plain value the value."""
        path = self.remains.path(complaint.path)
        place = self.document.place(path, key=isinstance(self.document.value(path), (dict, list)))
        return Problem(str(place), dotted(path), complaint.message, complaint.hint)


def canary(text: str, site: str = "") -> Canary:
    """A url, or an address with a port (443 by default): any reply from it proves the path, a refusal too. Raises ValueError."""
    if "://" in text:
        _, host, port, _ = url_parts(text)
        return Canary(text, host, port, text, site)
    return Canary(text, *endpoint(text, 443), site=site)
