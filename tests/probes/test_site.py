"""A site as a member: another lbctl's own service object, judged (G-SC4)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbctl.errors import ConfigError
from lbctl.model.looks import ProbeResult, Reason, Verdict
from lbctl.probes.base import target_at
from lbctl.probes.engine import Engine
from lbctl.probes.reply import Reply
from lbctl.probes.site import Settings, _judge, make
from tests.policy.stage import Stage
from tests.policy.test_pool import PoolStage, sentries
from tests.probes.servers import reply, serving


async def seen(engine: Engine, body: bytes, *, status: str = "200 OK", **settings: str) -> tuple[ProbeResult, bytes]:
    probe = make(Settings("core", **settings), engine)
    async with serving(reply(body, status=status)) as server:
        result = await probe.look(target_at(f"http://127.0.0.1:{server.port}", member="main", page="site", timeout_s=20.0))
        return result, server.requests[0]


def told(shown: Any) -> tuple[Verdict, Reason]:
    parsed = _judge(Reply(200, json.dumps(shown).encode()))
    return parsed.verdict, parsed.reason


GOOD, BAD, OPEN = (Verdict.OK, Reason.OK), (Verdict.FAILED, Reason.MISMATCH), (Verdict.UNKNOWN, Reason.UNKNOWN_MODE)


def test_what_the_policy_shows_of_a_pair_is_understood() -> None:
    """Both sides of the contract are ours: the object that is read is the one that is written."""
    assert told(Stage().view) == OPEN, "nobody has looked yet"
    stage = Stage().normal()
    assert told(stage.view) == GOOD
    stage.rounds(4, a="fail", b="fail")
    assert told(stage.view) in (BAD, OPEN)
    assert told(Stage(shown="strange").normal().view) == OPEN, "uninitialised: the site does not know itself"
    assert told(Stage().failed_over().view) == GOOD, "not promoted yet: may take over"


def test_a_site_whose_members_are_all_down_has_failed() -> None:
    stage = Stage().normal()
    stage.rounds(5, a="refused", b="refused")
    parsed = _judge(Reply(200, json.dumps(stage.view).encode()))
    assert (parsed.verdict, parsed.reason) == BAD and "all-down" in parsed.detail and "refused" in parsed.detail


def test_a_pool_serves_while_one_who_answers_is_up() -> None:
    """G-SC4 with Sentries."""
    stage = PoolStage(sentries()).all_up().see(3, a=True, b=False, c=False)
    assert told(stage.view) == GOOD
    assert told(stage.see(3, a=False, b=False, c=False).view) == BAD


def test_old_news_say_nothing_about_now() -> None:
    stage = Stage().normal()
    stage.wait(61.0)
    assert told(stage.view) == OPEN


async def test_it_is_asked_over_http_with_the_token(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("lb_abc_secret\n")
    result, request = await seen(engine, json.dumps(Stage().normal().view).encode(), token_file=str(tmp_path / "token"))
    assert (result.verdict, result.reason, result.page) == (Verdict.OK, Reason.OK, "site")
    assert request.startswith(b"GET /api/v1/services/core HTTP/1.1\r\n") and b"\r\nAuthorization: Bearer lb_abc_secret\r\n" in request
    assert "secret" not in repr(make(Settings("core", str(tmp_path / "token")), engine))


@pytest.mark.parametrize(("body", "status", "reason"), [
    (b'{"status": 404}', "404 Not Found", Reason.STATUS), (b"<html>", "200 OK", Reason.MALFORMED),
    (b"[]", "200 OK", Reason.MALFORMED), (b'{"state": "normal"}', "200 OK", Reason.MALFORMED), (b"[" * 50000, "200 OK", Reason.MALFORMED),
], ids=["no-such-service", "a-page", "a-list", "half", "deep"])
async def test_anything_else_is_a_failure_with_its_reason(engine: Engine, body: bytes, status: str, reason: Reason) -> None:
    result, _ = await seen(engine, body, status=status)
    assert (result.verdict, result.reason) == (Verdict.FAILED, reason)


async def test_a_token_that_has_ended_is_no_outage_of_the_site(engine: Engine) -> None:
    """H29: we are not told, which says nothing about whether it serves."""
    result, _ = await seen(engine, b"", status="401 Unauthorized")
    assert result.verdict is Verdict.UNKNOWN and "token" in result.detail


@pytest.mark.parametrize("content", [None, b"", b"two words", b"\xff"], ids=["missing", "empty", "words", "bytes"])
def test_a_token_file_without_a_token_is_said_when_the_probe_is_made(engine: Engine, tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "token").write_bytes(content)
    with pytest.raises(ConfigError, match="token"):
        make(Settings("core", str(tmp_path / "token")), engine)


documents = st.recursive(st.none() | st.booleans() | st.floats() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
    st.sampled_from(["state", "active", "answering", "members", "name", "health", "reason", "monitors", "age_s"]), inner, max_size=6), max_leaves=20)


@given(documents)
def test_no_document_raises_or_is_taken_for_a_site_that_serves(document: Any) -> None:
    """H15."""
    verdict, _ = told(document)
    assert verdict is not Verdict.OK or (isinstance(document, dict) and any(m.get("health") == "up" for m in document["members"]))
