"""What an agent answers a controller, and what may be believed of it.

The other end has proved who it is, not that it is of our make: an answer with a word of another kind counts as no answer at all. Then the host may
have the address still, which is the careful side.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Passed(BaseModel):
    """Where the host's rules send connections, and by which decision."""

    model_config = ConfigDict(frozen=True)
    target: str
    epoch: int | None = None


class Said(BaseModel):
    """`stamp`: the host's own steady time; what it was lent is counted from one. `held` and `mac` by its kernel; `trouble`: why it could not hold it.

    `epoch`, `turn`, `members`, `addresses`: the decision that it knows; `obeys`: the controller whose word counts there; `promised_s`: how long it
    still stays away. `happened` (number, kind, words) and `tally` since `boot`. `error`: a refusal, `text` in words, `found` by which epoch.
    """

    model_config = ConfigDict(frozen=True)
    stamp: Seconds
    held: bool = False
    mac: str = ""
    trouble: str = ""
    epoch: int | None = None
    turn: int = 0
    members: list[str] = []
    addresses: list[str] = []
    obeys: str = ""
    promised_s: Seconds = 0.0
    passed: Passed | None = None
    boot: str = ""
    tally: Mapping[str, int] = {}
    happened: list[tuple[int, str, str]] = []
    error: str = ""
    text: str = ""
    found: int | None = None


def believed(answer: Mapping[str, Any]) -> Said:
    """ValueError, with the words that are wrong."""
    try:
        return Said.model_validate(answer)
    except ValidationError as error:
        raise ValueError(", ".join(".".join(map(str, one["loc"])) for one in error.errors(include_input=False))) from None
