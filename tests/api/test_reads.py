"""Reading over HTTP: shapes, problems, pages of the journal, lbctl's own health."""

from __future__ import annotations

import getpass

import pytest

from lbctl.api.models import Looks, Services
from tests.api.conftest import Running


async def test_services_have_the_contract_s_shape(running: Running) -> None:
    async with running.local.get("/api/v1/services") as answer:
        found = Services.model_validate_json(await answer.read())
    assert [service.name for service in found.services] == ["core", "sentry"]


async def test_a_service_s_etag_is_its_revision(running: Running) -> None:
    async with running.local.get("/api/v1/services/core") as answer:
        assert answer.headers["ETag"] == '"41"' and (await answer.json())["revision"] == 41


async def test_an_unknown_service_is_a_problem_with_the_nearest_name(running: Running) -> None:
    async with running.local.get("/api/v1/services/cor") as answer:
        problem = await answer.json(content_type="application/problem+json")
    assert (answer.status, problem["status"], problem["code"], problem["nearest"]) == (404, 404, 2, "core")


@pytest.mark.parametrize(("method", "path", "status"), [
    ("GET", "/nothing/here", 404), ("POST", "/api/v1/services", 405), ("DELETE", "/api/v1/services/core", 405),
    ("GET", "/api/v1/services/core/resume", 405),
    ("GET", "/api/v1/events?limit=0", 422), ("GET", "/api/v1/events?limit=1&limit=2", 422), ("GET", "/api/v1/events?newest=1", 422),
    ("GET", "/api/v1/events?typo=1", 422), ("GET", "/api/v1/services/core/explain?to=nobody", 404), ("GET", "/api/v1/events/stream?since=x", 400),
])
async def test_every_error_is_a_problem_document(running: Running, method: str, path: str, status: int) -> None:
    async with running.local.request(method, path) as answer:
        problem = await answer.json(content_type="application/problem+json")
    assert answer.status == problem["status"] == status
    assert {"type", "title", "detail", "code"} <= set(problem)


async def test_no_get_changes_anything(running: Running) -> None:
    """H39: a link or an image in a foreign page can do nothing."""
    for path in ("failover", "resume", "maintenance", "swap-roles", "hold"):
        async with running.local.get(f"/api/v1/services/core/{path}?to=core-b&reason=x") as answer:
            assert answer.status == 405
    assert running.controller.commands == []


@pytest.mark.parametrize("path", ["/api/v1/services", "/api/v1/services/core", "/livez", "/metrics", "/openapi.json", "/api/v1/events/stream"])
async def test_head_answers_like_get_without_a_body(running: Running, path: str) -> None:
    async with running.local.head(path) as answer:
        assert answer.status == 200 and await answer.read() == b""


async def test_the_journal_comes_in_pages(running: Running) -> None:
    for number in range(5):
        running.controller.write("note", f"line {number}")
    async with running.local.get("/api/v1/events?limit=3") as answer:
        first = await answer.json()
    async with running.local.get(f"/api/v1/events?limit=3&since={first['next']}") as answer:
        second = await answer.json()
    assert [e["text"] for e in first["events"] + second["events"]] == [f"line {n}" for n in range(5)] and second["next"] is None
    assert first["events"][0]["at"] == "2027-01-15T08:00:00Z"


async def test_newest_gives_the_last_lines_oldest_first(running: Running) -> None:
    for number in range(5):
        running.controller.write("note", f"line {number}", service="core" if number % 2 else "sentry")
    async with running.local.get("/api/v1/events?limit=2&newest=true&service=sentry") as answer:
        assert [e["text"] for e in (await answer.json())["events"]] == ["line 2", "line 4"]


@pytest.mark.parametrize(("path", "key"), [("/livez", "live"), ("/readyz", "ready"), ("/leader", "leader")])
async def test_its_own_health_needs_no_token_and_says_why_not(running: Running, path: str, key: str) -> None:
    """H55: a stopped loop is visible from outside."""
    async with running.tcp.get(path, headers={"X-Forwarded-For": "192.0.2.1"}) as answer:
        assert answer.status == 200
    running.controller.state |= {key: False, "why": "monitor:core has not ticked for 12 s"}
    async with running.tcp.get(path) as answer:
        assert answer.status == 503 and "monitor:core" in await answer.text()


async def test_the_unix_socket_knows_its_user(running: Running) -> None:
    await running.post("/services/core/hold", {"reason": "audit"})
    assert running.controller.commands[-1].by == getpass.getuser()


async def test_answers_are_ascii_and_carry_no_foreign_script(running: Running) -> None:
    running.controller.services["core"]["members"][0]["detail"] = "h\u00e9 \u202e"
    async with running.local.get("/api/v1/services/core") as answer:
        raw = await answer.read()
    assert raw.isascii() and answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_recent_looks_come_by_member_and_page_with_the_time_of_their_cells(running: Running) -> None:
    async with running.local.get("/api/v1/services/core/looks") as answer:
        found = Looks.model_validate_json(await answer.read())
    assert set(found.members) == {"core-a", "core-b"} and found.members["core-a"]["status"].reason == [None, "timeout"]
    assert found.cell_s == 20 and found.until == "2027-01-15T08:00:20Z"
    async with running.local.get("/api/v1/services/cor/looks") as answer:
        assert answer.status == 404


@pytest.mark.parametrize(("who", "role"), [("vera", "viewer"), ("otto", "operator"), ("anna", "admin")])
async def test_whoami_names_the_reader_and_the_role(running: Running, who: str, role: str) -> None:
    """So that a page offers only what its reader may do."""
    async with running.tcp.get("/api/v1/whoami", headers=running.bearer(who)) as answer:
        assert await answer.json() == {"by": who, "role": role}
    async with running.tcp.get("/api/v1/whoami") as answer:
        assert await answer.json() == {"by": "local", "role": "viewer"}
