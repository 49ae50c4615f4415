"""OpenAPI 3.1, generated from the table of routes and its models; there is no second description that could disagree."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from lbctl import __version__
from lbctl.api import problems
from lbctl.api.call import Route
from lbctl.api.models import Problem

_REF = "#/components/schemas/{model}"
_HEADERS: list[dict[str, Any]] = [
    {"name": "If-Match", "in": "header", "required": False, "description": "the revision that was seen, as ETag gave it; a stale one is 412",
     "schema": {"type": "string", "pattern": r'^("[0-9]{1,15}"|[0-9]{1,15})$'}},
    {"name": "Idempotency-Key", "in": "header", "required": False,
     "description": "the same key, the same answer for a day, also after a restart; it acts once",
     "schema": {"type": "string", "minLength": 1, "maxLength": 128, "pattern": r"^[!-~]+$"}},
]


def document(routes: Sequence[Route]) -> dict[str, Any]:
    """The whole document, ready for JSON."""
    used = {model for route in routes for model in (route.answer, route.body) if model is not None} | {Problem}
    _, schemas = models_json_schema([(model, "validation") for model in sorted(used, key=lambda m: m.__name__)], ref_template=_REF)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    paths |= {path: {"get": _free_form(name, media, summary)} for path, name, media, summary in _OTHERS}
    return {
        "openapi": "3.1.0",
        "info": {"title": "lbctl", "version": __version__, "description": "Health checks and failover of active/standby pairs.",
                 "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"}},
        "paths": paths,
        "components": {"schemas": schemas["$defs"], "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
    }


_OTHERS = (
    ("/api/v1/events/stream", "stream", "text/event-stream", "The journal as it grows; resumes from Last-Event-ID or since"),
    ("/metrics", "metrics", "text/plain", "Prometheus"),
    ("/openapi.json", "openapi", "application/json", "This document"),
)


def _free_form(name: str, media: str, summary: str) -> dict[str, Any]:
    """A route whose answer is no JSON model."""
    problem = {problems.CONTENT_TYPE: {"schema": _ref(Problem)}}
    wrong = {str(status): {"description": problems.TITLES[status], "content": problem} for status in (400, 401, 421, 429, 503)}
    good = {"200": {"description": "done", "content": {media: {"schema": {} if media == "application/json" else {"type": "string"}}}}}
    return {"operationId": name, "summary": summary, "responses": good | wrong, "security": [{}, {"token": []}]}


def _operation(route: Route) -> dict[str, Any]:
    found: dict[str, Any] = {"operationId": route.name, "summary": route.summary, "responses": _responses(route)}
    parameters = _path_parameters(route.path) + (_query_parameters(route.query) if route.query else []) + (_HEADERS if route.body else [])
    if parameters:
        found["parameters"] = parameters
    if route.body is not None:
        found["requestBody"] = {"required": True, "content": {"application/json": {"schema": _ref(route.body)}}}
    if route.role is not None:
        found["security"] = [{"token": []}] if route.body else [{}, {"token": []}]
        found["description"] = f"Needs the role {route.role.name.lower()}."
    return found


def _responses(route: Route) -> dict[str, Any]:
    schema = _ref(route.answer) if route.answer is not None else {"type": "string"}
    good = {str(status): {"description": "accepted, not verified yet" if status == 202 else "done", "content": {route.media: {"schema": schema}}}
            for status in route.statuses}
    media = problems.CONTENT_TYPE if route.role is not None else route.media
    wrong = _ref(Problem) if route.role is not None else {"type": "string"}
    return good | {str(s): {"description": problems.TITLES[s], "content": {media: {"schema": wrong}}} for s in sorted(set(route.errors))}


def _ref(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": _REF.format(model=model.__name__)}


def _path_parameters(path: str) -> list[dict[str, Any]]:
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}} for name in re.findall(r"\{(\w+)\}", path)]


def _query_parameters(model: type[BaseModel]) -> list[dict[str, Any]]:
    schema = model.model_json_schema()
    return [{"name": name, "in": "query", "required": name in schema.get("required", ()), "schema": _plain(shape)}
            for name, shape in schema["properties"].items()]


def _plain(shape: dict[str, Any]) -> dict[str, Any]:
    """A query has no null: an optional parameter is one that is left out."""
    options = [option for option in shape.get("anyOf", ()) if option.get("type") != "null"]
    return {**{k: v for k, v in shape.items() if k not in ("anyOf", "default", "title")}, **(options[0] if options else {})}
