"""The durable state of a Core: one JSON file, replaced whole, on the disk before anything follows from it (G-ST).

A crash at any moment leaves the old file or the new one, never a mixture: written beside, synced, renamed, directory synced. A file that
cannot be read stops the Core with a clear word. It does not fall back to defaults: a promoted Secondary that forgets its promotion would
start replicating over the data it alone has.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from lbctl.core.settings import HaSettings
from lbctl.core.state import Role
from lbctl.errors import LbctlError


class StateUnreadable(LbctlError):
    """The state file is damaged: whoever runs this Core must say what it is (restore the file, or remove it to set the Core up anew)."""


class Served(BaseModel):
    """The last sync that a Secondary made from us: what *HA Status* shows on a Primary. Times in UTC seconds."""

    model_config = ConfigDict(frozen=True)
    host: str
    at: float
    result: str


class Saved(BaseModel):
    """All that a Core must know again after kill -9."""

    model_config = ConfigDict(frozen=True)
    role: Role = Role()
    ha: HaSettings = HaSettings()
    saved_at: float = 0.0
    """UTC seconds of the last Save of the HA Configuration: the anchor of the schedule."""
    atlas: bool = False
    served: Served | None = None


@dataclass(slots=True)
class StateFile:
    """`on_stage` is told before each stage of a save: the crash tests end the process there."""

    path: Path
    on_stage: Callable[[str], None] = lambda stage: None

    def load(self) -> Saved | None:
        """What was saved last; None on the very first start."""
        try:
            return Saved.model_validate_json(self.path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError, ValueError) as error:
            raise StateUnreadable(f"{self.path}: {' '.join(str(error).split())[:300]}") from None

    def save(self, saved: Saved) -> None:
        """On the disk when it returns. Raises OSError, and then the old state stands."""
        text = json.dumps(saved.model_dump(mode="json"), indent=1, sort_keys=True).encode()
        beside = self.path.with_suffix(".new")
        self.on_stage("before")
        with beside.open("wb") as stream:
            stream.write(text[: len(text) // 2])
            stream.flush()
            self.on_stage("half-written")
            stream.write(text[len(text) // 2 :])
            stream.flush()
            os.fsync(stream.fileno())
        self.on_stage("written")
        beside.replace(self.path)
        self.on_stage("renamed")
        directory = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
        self.on_stage("saved")
