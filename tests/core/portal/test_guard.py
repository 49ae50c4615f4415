"""Nobody gets in who may not, nothing happens by a GET or from another site, and every answer is dressed (G-PO)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from lbctl.core.portal.sessions import GUESSES
from tests.core import cores
from tests.core.portal.visitor import FORM, PASSWORD, standby, visiting, with_password

PAGES = ["/ha", "/ha/last-sync", "/ha/sync-history", "/ha/trusted-hosts", "/services", "/logs"]
POSTS = {
    "/ha": {**FORM, "action": "apply"},
    "/ha/trusted-hosts": {"action": "remove", "host": "core-a"},
    "/services": {"atlas": "yes"},
    "/logout": {"action": "logout"},
}


async def test_who_is_not_logged_in_is_sent_to_the_login_from_everywhere(tmp_path: Path) -> None:
    async with cores.running(cores.settings(tmp_path, "core-b", **with_password(tmp_path))) as node, visiting(node) as visitor:
        before = node.record.saved
        for path in ["", "/"]:
            assert (await visitor.get(path)).location == "/mics/ha"
        for answer in [*[await visitor.get(path) for path in PAGES], *[await visitor.post(path, fields) for path, fields in POSTS.items()]]:
            assert (answer.status, answer.location) == (303, "/mics/login")
        assert node.record.saved == before
        assert (await visitor.get("/login")).status == 200
        assert "core-b" in (await visitor.get("/login")).text


async def test_the_right_password_opens_and_signing_out_closes(tmp_path: Path) -> None:
    async with standby(tmp_path) as (_, visitor):
        assert [(await visitor.get(path)).status for path in PAGES] == [200] * len(PAGES)
        assert (await visitor.post("/logout", {})).location == "/mics/login"
        assert (await visitor.get("/ha")).location == "/mics/login"


async def test_the_cookie_is_for_this_core_alone_and_out_of_reach_of_scripts(tmp_path: Path) -> None:
    async with cores.running(cores.settings(tmp_path, "core-b", **with_password(tmp_path))) as node, visiting(node) as visitor:
        cookie = (await visitor.login()).headers["Set-Cookie"]
        assert cookie.startswith("__Host-mics-core-b=")
        assert {"Secure", "HttpOnly", "SameSite=Strict", "Path=/"} <= {part.strip() for part in cookie.split(";")}


async def test_a_wrong_password_and_an_unknown_user_look_the_same_and_are_logged(tmp_path: Path) -> None:
    async with cores.running(cores.settings(tmp_path, "core-b", **with_password(tmp_path))) as node, visiting(node) as visitor:
        answers = [await visitor.login(user, "open sesame") for user in ("admin", "nobody")]
        assert [answer.status for answer in answers] == [403, 403]
        assert answers[0].text.replace("admin", "nobody") == answers[1].text
        assert "sesame" not in "".join(node.log.tail("System"))
        assert any("login refused: admin from 127.0.0.1" in line for line in node.log.tail("System"))


async def test_guessing_is_slowed_down_even_when_all_guesses_come_at_once(tmp_path: Path) -> None:
    async with cores.running(cores.settings(tmp_path, "core-b", **with_password(tmp_path))) as node, visiting(node) as visitor:
        answers = await asyncio.gather(*(visitor.login("admin", f"guess {number}") for number in range(GUESSES + 4)))
        statuses = sorted(answer.status for answer in answers)
        assert statuses == [403] * GUESSES + [429] * 4
        late = await visitor.login("admin", PASSWORD)
        assert late.status == 429 and int(late.headers["Retry-After"]) >= 1


@pytest.mark.parametrize(("path", "fields"), POSTS.items(), ids=POSTS)
@pytest.mark.parametrize("how", ["no token", "a wrong token", "another origin", "another site"])
async def test_a_form_from_elsewhere_does_nothing(tmp_path: Path, path: str, fields: dict[str, str], how: str) -> None:
    """H39: CSRF."""
    async with standby(tmp_path) as (node, visitor):
        before = node.record.saved
        headers = {"another origin": {"Origin": "https://evil.example.com"}, "another site": {"Sec_Fetch_Site": "cross-site"}}.get(how, {})
        if how == "no token":
            visitor.csrf = ""
        elif how == "a wrong token":
            visitor.csrf = visitor.csrf[::-1]
        assert (await visitor.post(path, fields, **headers)).status == 403
        assert node.record.saved == before
        assert (await visitor.get("/ha")).status == 200


async def test_a_login_from_another_site_is_refused(tmp_path: Path) -> None:
    async with cores.running(cores.settings(tmp_path, "core-b", **with_password(tmp_path))) as node, visiting(node) as visitor:
        answer = await visitor.post("/login", {"user": "admin", "password": PASSWORD}, Origin="https://evil.example.com")
        assert answer.status == 403 and "Set-Cookie" not in answer.headers


async def test_no_get_has_an_effect(tmp_path: Path) -> None:
    """H39."""
    async with standby(tmp_path) as (node, visitor):
        before = node.record.saved, node.trust.hosts()
        for path, fields in POSTS.items():
            query = "&".join(f"{name}={value}" for name, value in {**fields, "csrf": visitor.csrf}.items())
            await visitor.get(f"{path}?{query}")
        assert (node.record.saved, node.trust.hosts()) == before
        assert (await visitor.get("/ha")).status == 200


async def test_every_answer_forbids_what_comes_from_elsewhere(tmp_path: Path) -> None:
    async with standby(tmp_path) as (_, visitor):
        answers = [await visitor.get(path) for path in [*PAGES, "/login", "/static/portal.css", "/static/portal.js", "/static/icon.svg", "/nothing"]]
        answers.append(await visitor.post("/ha", {"action": "no such button"}))
        for answer in answers:
            policy = answer.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy and "http" not in policy
            assert answer.headers["X-Content-Type-Options"] == "nosniff" and answer.headers["Cache-Control"] == "no-store"
        assert answers[-2].status == 404 and answers[-1].status == 400
        pages = "".join(answer.text for answer in answers[:6])
        assert "style=" not in pages and "onclick" not in pages and "<script>" not in pages


async def test_a_user_who_is_no_user_any_more_is_out(tmp_path: Path) -> None:
    """Local users are replicated: a sync can take one away."""
    async with standby(tmp_path) as (node, visitor):
        await node.replication.database.file.write(lambda connection: connection.execute("DELETE FROM local_users"))
        assert (await visitor.get("/ha")).location == "/mics/login"


BODIES = {
    "bytes that are no text": (b"user=\xff\xfe&password=%ff", "application/x-www-form-urlencoded"),
    "an unknown character set": (b"user=a", "application/x-www-form-urlencoded; charset=klingon"),
    "a multipart without an end": (b'--x\r\nContent-Disposition: form-data; name="user"\r\n\r\nadmin', "multipart/form-data; boundary=x"),
    "a multipart without a boundary": (b"user", "multipart/form-data"),
    "a file for a field": (
        b'--x\r\nContent-Disposition: form-data; name="user"; filename="a"\r\n\r\nadmin\r\n--x--\r\n', "multipart/form-data; boundary=x"),
    "json": (b'{"user": "admin"}', "application/json"),
    "nothing": (b"", "application/x-www-form-urlencoded"),
}


@pytest.mark.parametrize(("body", "kind"), BODIES.values(), ids=BODIES)
async def test_what_is_no_form_is_refused_and_never_an_error_of_ours(tmp_path: Path, body: bytes, kind: str) -> None:
    async with standby(tmp_path) as (_, visitor):
        for path in ("/login", "/ha"):
            answer = await visitor.send(path, body, kind)
            assert answer.status in (400, 403), (path, answer.status)
        assert (await visitor.get("/logs?module=%ff%00&log=%F0")).status == 200


async def test_a_form_without_end_is_cut_off(tmp_path: Path) -> None:
    async with standby(tmp_path) as (_, visitor):
        assert (await visitor.send("/ha", b"a=" + b"x" * (2 << 20), "application/x-www-form-urlencoded")).status == 413
