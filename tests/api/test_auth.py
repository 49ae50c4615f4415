"""Who may do what: every route by every role, wrong tokens, forgery from a browser. H39, H54."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lbctl import dashboard
from lbctl.api import application, auth, tokens
from lbctl.api.call import World
from lbctl.api.tokens import Role
from lbctl.config.tree import ApiConfig
from lbctl.errors import ConfigError
from tests.api.conftest import Running, scrape
from tests.api.fake import AT, FakeController, HandClock

NOBODY, LOCAL, VIEWER, OPERATOR, ADMIN = range(5)
"""The least that is needed: nothing, a place on this host (or a viewer's token), a token of a role."""
WHO = {"a stranger": NOBODY, "local": LOCAL, "vera": VIEWER, "otto": OPERATOR, "anna": ADMIN}

LEAST = {
    "GET /": NOBODY, "GET /static/{name}": NOBODY, "GET /livez": NOBODY, "GET /readyz": NOBODY, "GET /leader": NOBODY,
    "GET /metrics": LOCAL, "GET /openapi.json": LOCAL, "GET /api/v1/events/stream": LOCAL,
    "GET /api/v1/services": LOCAL, "GET /api/v1/services/{name}": LOCAL, "GET /api/v1/services/{name}/explain": LOCAL,
    "GET /api/v1/services/{name}/looks": LOCAL, "GET /api/v1/services/{name}/readiness": LOCAL, "GET /api/v1/services/{name}/upgrade": LOCAL,
    "GET /api/v1/cluster": LOCAL, "GET /api/v1/whoami": LOCAL, "GET /api/v1/events": LOCAL, "GET /api/v1/approvals": LOCAL,
    "GET /api/v1/notices": LOCAL, "GET /api/v1/audit": LOCAL,
    "POST /api/v1/services/{name}/maintenance": OPERATOR, "POST /api/v1/services/{name}/switchover": OPERATOR,
    "POST /api/v1/services/{name}/failover": OPERATOR, "POST /api/v1/services/{name}/resume": OPERATOR,
    "POST /api/v1/services/{name}/swap-roles": OPERATOR, "POST /api/v1/services/{name}/adopt": OPERATOR,
    "POST /api/v1/services/{name}/ack": OPERATOR, "POST /api/v1/services/{name}/hold": OPERATOR,
    "POST /api/v1/services/{name}/release": OPERATOR, "POST /api/v1/services/{name}/upgrade": OPERATOR,
    "POST /api/v1/approvals/{id}/approve": OPERATOR, "POST /api/v1/approvals/{id}/deny": OPERATOR, "POST /api/v1/notify/test": OPERATOR,
    "POST /api/v1/plan": ADMIN, "POST /api/v1/reload": ADMIN,
}
"""Every endpoint. Written by hand and compared with what is mounted: a new one needs a decision here about who may."""
BODIES = {"failover": {"to": "core-b", "reason": "x"}, "maintenance": {"action": "off"}, "plan": {"text": ""}, "reload": {}}


def test_every_endpoint_that_is_mounted_stands_in_the_table() -> None:
    """As `app` mounts them."""
    whole = application.build(World(FakeController(), HandClock()), ApiConfig(socket=None, listen=()), scrape)
    dashboard.register(whole.web)
    mounted = {f"{route.method} {route.resource.canonical}" for route in whole.web.router.routes() if route.resource}
    assert {one for one in mounted if not one.startswith("HEAD ")} == set(LEAST)
    assert {one.replace("HEAD ", "GET ") for one in mounted if one.startswith("HEAD ")} <= set(LEAST)


@pytest.mark.parametrize("endpoint", [one for one in LEAST if one not in ("GET /", "GET /static/{name}")])
async def test_every_endpoint_by_every_role(running: Running, endpoint: str) -> None:
    """A token of each role, none on this host, and none from elsewhere (a proxy on this host): each gets what the table says, and no more."""
    method, _, path = endpoint.partition(" ")
    body = {"json": BODIES.get(path.rsplit("/", 1)[1], {"reason": "x"})} if method == "POST" else {}
    seen = {}
    for who, rank in WHO.items():
        headers = running.bearer(who) if rank >= VIEWER else {"X-Forwarded-For": "203.0.113.9"} if rank == NOBODY else {}
        async with running.tcp.request(method, path.format(name="core", id="none"), headers=headers, **body) as answer:
            seen[who] = answer.status not in (401, 403)
    assert seen == {who: rank >= LEAST[endpoint] for who, rank in WHO.items()}


@pytest.mark.parametrize("path", ["/metrics", "/openapi.json", "/api/v1/events/stream", "/api/v1/services"])
async def test_a_forwarded_reader_needs_a_token(running: Running, path: str) -> None:
    """A proxy on this host makes strangers look local."""
    async with running.tcp.get(path, headers={"X-Forwarded-For": "203.0.113.9"}) as answer:
        assert answer.status == 401 and answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(("host", "status"), [("localhost", 200), ("127.0.0.1:9653", 200), ("[::1]:80", 200), ("evil.example.com", 421)])
async def test_a_rebound_name_reads_nothing(running: Running, host: str, status: int) -> None:
    """A page that points its own name at 127.0.0.1 may not read here."""
    async with running.tcp.get("/api/v1/services", headers={"Host": host}) as answer:
        assert answer.status == status


async def test_by_is_the_token_s_name(running: Running) -> None:
    async with running.tcp.post("/api/v1/services/core/hold", json={"reason": "audit"}, headers=running.bearer("otto")) as answer:
        assert answer.status == 200
    assert running.controller.commands[0].by == "otto"


@pytest.mark.parametrize("text", ["", "x", "lbctl_00000000_x", "Basic abc"])
async def test_a_wrong_token_is_nobody_even_for_reading(running: Running, text: str) -> None:
    async with running.tcp.get("/api/v1/services", headers={"Authorization": f"Bearer {text}"}) as answer:
        problem = await answer.json(content_type=None)
    assert (answer.status, problem["code"]) == (401, 8)


async def test_an_expired_token_is_nobody(running: Running) -> None:
    async with running.tcp.get("/api/v1/services", headers=running.bearer("old")) as answer:
        assert answer.status == 401


async def test_guessing_is_slowed_and_locks_out_nobody_else(running: Running) -> None:
    guess = running.texts["otto"][:-1]
    for status in (*[401] * auth.TRIES, 429):
        async with running.tcp.get("/api/v1/services", headers={"Authorization": f"Bearer {guess}"}) as answer:
            assert answer.status == status
    assert int(answer.headers["Retry-After"]) > 0
    async with running.tcp.get("/api/v1/services", headers=running.bearer("anna")) as answer:
        assert answer.status == 200
    running.clock.at += auth.PAUSE_S + 1
    async with running.tcp.get("/api/v1/services", headers=running.bearer("otto")) as answer:
        assert answer.status == 200


def test_the_throttle_forgets_the_oldest() -> None:
    throttle = auth.Throttle(HandClock())
    for number in range(auth.REMEMBERED + 10):
        for _ in range(auth.TRIES):
            throttle.failed(str(number))
    assert throttle.wait("0") == 0 and throttle.wait(str(auth.REMEMBERED)) > 0


async def test_a_revoked_token_stops_at_once(running: Running) -> None:
    """The file is read again when it changes; no restart."""
    file = tokens.load(running.tokens_file)
    file.tokens = [token for token in file.tokens if token.name != "otto"]
    tokens.save(running.tokens_file, file)
    async with running.tcp.get("/api/v1/services", headers=running.bearer("otto")) as answer:
        assert answer.status == 401


async def test_a_broken_tokens_file_keeps_the_last_good_one(running: Running) -> None:
    async with running.tcp.get("/api/v1/services", headers=running.bearer("otto")) as answer:
        assert answer.status == 200
    running.tokens_file.write_text("tokens: [")
    async with running.tcp.get("/api/v1/services", headers=running.bearer("otto")) as answer:
        assert answer.status == 200


def test_the_file_holds_no_secret_and_is_private(tmp_path: Path) -> None:
    """H54."""
    path = tmp_path / "tokens.yaml"
    token, text = tokens.create("alice", Role.OPERATOR, now=AT)
    tokens.save(path, tokens.Tokens(tokens=[token]))
    assert text.rsplit("_", 1)[1] not in path.read_text() and path.stat().st_mode & 0o777 == 0o600
    assert tokens.find(tokens.load(path), text, now=AT) == token


def test_a_mistake_in_the_file_is_placed_and_its_content_stays_out(tmp_path: Path) -> None:
    """H54: somebody pastes the token itself where its digest belongs."""
    path = tmp_path / "tokens.yaml"
    path.write_text(json.dumps({"tokens": [
        {"id": "abcdef", "name": "x", "role": "viewer", "sha256": "canary-secret", "created": "2026-11-23T10:00:00Z"},
    ]}))
    with pytest.raises(ConfigError) as error:
        tokens.load(path)
    assert "tokens.0.sha256" in str(error.value) and "canary" not in str(error.value)
