"""Saved roles against the file's: the saved ones win, and whoever runs `check` beside the state is told the edit that ends the difference (H38).

The state is read without writing to it; where it cannot be read (another host, another user) nothing is said, because nothing is known.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from lbctl.config.audit import Finding, Severity
from lbctl.config.plan import plan
from lbctl.config.tree import Config
from lbctl.model.state import Saved
from lbctl.stores.encoding import checksum, decode


def drift(config: Config) -> tuple[Finding, ...]:
    """A warning for each service whose saved roles are not the file's."""
    saved = dict(_saved(config.controller.state))
    changes = plan(config, config, saved).changes if saved else ()
    return tuple(Finding(Severity.WARNING, "drift", change.service, change.text, f"services.{change.service}.members[].role")
                 for change in changes if change.what == "drift")


def _saved(path: Path) -> Iterator[tuple[str, Saved]]:
    if not path.is_file():
        return
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=0.2)) as connection:
            rows = connection.execute("SELECT service, revision, text, sum FROM state").fetchall()
    except (sqlite3.Error, OSError):
        return
    for service, revision, text, digest in rows:
        if checksum(service, revision, text) == digest:
            yield service, decode(text)
