"""The saved state as text and back, and the two sums that tell whether it was touched.

Text, because a person with `sqlite3` at 3 a.m. must be able to read it. A state's checksum covers service and revision too: a row copied
from elsewhere, or a text torn in the middle, does not pass (H26). A journal line's hash covers the line before it, so that a line changed,
taken out or put in later breaks the chain at that place (`audit verify`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from lbctl.model.decision import Step
from lbctl.model.state import Saved

_SAVED: TypeAdapter[Saved] = TypeAdapter(Saved)

GENESIS = "0" * 64
"""The hash before the first line."""


def encode(saved: Saved) -> str:
    """The state as JSON."""
    return _SAVED.dump_json(saved).decode()


def decode(text: str) -> Saved:
    """The state from JSON; ValueError where the text is none. Fields that a newer version added are left aside."""
    # Checked like foreign data: a text that passes its checksum may still be of another version.
    return _SAVED.validate_json(text)


def checksum(service: str, revision: int, text: str) -> str:
    """Covers all that makes the row this row."""
    return hashlib.sha256(f"{service}\n{revision}\n{text}".encode()).hexdigest()


def data_text(data: Mapping[str, Any]) -> str:
    """A step's data as JSON; what JSON cannot say becomes text rather than losing the line."""
    # One spelling for equal data: the hash is over this text.
    return json.dumps(dict(data), separators=(",", ":"), sort_keys=True, default=str)


def chain(previous: str, step: Step, data: str) -> str:
    """The hash of one journal line, given the hash of the line before it and its data as text."""
    # As a list of values: fields glued together could be cut elsewhere and give the same text.
    line = json.dumps([step.seq, step.at, step.service, step.kind, step.text, step.by, step.epoch, step.revision, data], separators=(",", ":"))
    return hashlib.sha256(f"{previous}\n{line}".encode()).hexdigest()
