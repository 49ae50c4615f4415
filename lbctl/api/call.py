"""What a handler is given and what it gives back, so that handlers read like the table in `routes` and know nothing of sockets."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from lbctl.api.auth import Principal
from lbctl.api.base import Administration, Controller
from lbctl.api.problems import Refusal
from lbctl.api.tokens import Role
from lbctl.clock import Clock
from lbctl.config.quantities import DURATION

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class World:
    """What all handlers share."""

    controller: Controller
    clock: Clock
    administration: Administration | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """One request, already typed. `revision` is what `If-Match` named, `key` what the command is filed under (`idempotency`)."""

    world: World
    principal: Principal
    path: Mapping[str, str]
    query: BaseModel | None = None
    body: BaseModel | None = None
    revision: int | None = None
    key: str = ""

    def asked(self, model: type[M]) -> M:
        """The query or body of that type."""
        for part in (self.body, self.query):
            if isinstance(part, model):
                return part
        raise TypeError(f"{model.__name__} is not what this route takes")


@dataclass(frozen=True, slots=True)
class Answered:
    """A good answer: `body` as JSON, `raw` as JSON that is made already, or plain `text`."""

    body: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    text: str | None = None
    raw: bytes | None = None


Handler = Callable[[Call], Awaitable[Answered]]


@dataclass(frozen=True, slots=True)
class Route:
    """One row: where, what, who may, what goes in and what comes out. `statuses` are the good ones, `errors` those of its own besides the usual."""

    method: str
    path: str
    name: str
    summary: str
    role: Role | None
    handler: Handler
    answer: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    statuses: tuple[int, ...] = (200,)
    errors: tuple[int, ...] = ()
    media: str = "application/json"


_TAG = re.compile(r'("?)([0-9]{1,15})\1')


def revision(header: str | None) -> int | None:
    """Of `If-Match: "41"` (or 41, as people type it); None where absent or `*`. 400 for anything else."""
    if header is None or header.strip() == "*":
        return None
    found = _TAG.fullmatch(header.strip())
    if found is None:
        raise Refusal(400, 'If-Match takes one revision, as ETag gave it: "41"')
    return int(found[2])


def typed(model: type[M], make: Callable[[type[M]], M]) -> M:
    """Validates; 422 with every mistake, and none of what was sent."""
    try:
        return make(model)
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False)
        errors = [{"at": ".".join(map(str, e["loc"])), "message": _words(e)} for e in found]
        detail = "; ".join(f"{e['at']}: {e['message']}" if e["at"] else e["message"] for e in errors)
        syntax = any(e["type"] == "json_invalid" for e in found)
        raise Refusal(400 if syntax else 422, detail, extra={"errors": errors}) from None


def _words(error: ErrorDetails) -> str:
    """A mistake as a person would put it: a regular expression tells nobody at 3 a.m. what to type."""
    if error["type"] != "string_pattern_mismatch":
        return error["msg"]
    if DURATION.pattern in error["ctx"]["pattern"]:
        return "expected a duration with its unit, such as 90m or 2h"
    return "expected one line of text that says something"
