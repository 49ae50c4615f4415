"""OpenAPI describes what is really served: schemathesis drives the application over a controller that says yes (`test_real`: over the real one)."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case
from schemathesis.specs.openapi import checks

from lbctl.api import application, openapi
from lbctl.api.call import World
from lbctl.api.routes import ROUTES
from lbctl.api.server import Server
from lbctl.config.quantities import Endpoint
from lbctl.config.tree import ApiConfig
from tests.api.conftest import make_tokens, scrape
from tests.api.fake import FakeAdministration, FakeController, HandClock

DOCUMENT = openapi.document(ROUTES)
EXCLUDED = [checks.ignored_auth, checks.positive_data_acceptance]
"""Loopback reads need no token; and some rules (an end for maintenance, a key for one request only) are beyond what JSON Schema can say."""
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT).exclude(path="/api/v1/events/stream")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The real server in a thread: (url, an admin's token)."""
    directory = tmp_path_factory.mktemp("api")
    loop = asyncio.new_event_loop()
    texts = make_tokens(directory / "tokens.yaml")
    server = loop.run_until_complete(_start(directory))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield "http://{}:{}".format(*server.addresses[0]), texts["anna"]
    asyncio.run_coroutine_threadsafe(server.stop(), loop).result(20)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


async def _start(directory: Path) -> Server:
    api = ApiConfig(socket=None, listen=(Endpoint("127.0.0.1", 0),), tls=None, tokens_file=directory / "tokens.yaml")
    world = World(FakeController(), HandClock(), FakeAdministration())
    server = Server(application.build(world, api, scrape), api, world.clock)
    await server.start()
    return server


@SCHEMA.parametrize()
@settings(max_examples=5, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_answers_are_as_described(case: Case, served: tuple[str, str]) -> None:
    url, token = served
    if len(str(case.body)) % 2 and "name" in (case.path_parameters or {}):
        case.path_parameters["name"] = "core"  # else nearly all of them end at 404
    case.call_and_validate(base_url=url, headers={"Authorization": f"Bearer {token}"}, excluded_checks=EXCLUDED)


def test_every_verb_of_the_contract_is_described() -> None:
    """Contract section 4."""
    verbs = ["maintenance", "switchover", "failover", "resume", "swap-roles", "adopt", "ack", "hold", "release"]
    paths = {f"/api/v1/services/{{name}}/{verb}" for verb in verbs}
    reads = ["services", "services/{name}", "services/{name}/explain", "events", "events/stream", "approvals"]
    paths |= {f"/api/v1/{read}" for read in reads} | {
        "/metrics", "/livez", "/readyz", "/leader", "/api/v1/approvals/{id}/approve", "/api/v1/approvals/{id}/deny",
    }
    assert paths <= set(DOCUMENT["paths"])
    assert DOCUMENT["openapi"] == "3.1.0" and "$defs" not in json.dumps(DOCUMENT)


def test_every_reference_leads_somewhere() -> None:
    text = json.dumps(DOCUMENT)
    named = {part.split('"')[0] for part in text.split('"#/components/schemas/')[1:]}
    assert named <= set(DOCUMENT["components"]["schemas"])
