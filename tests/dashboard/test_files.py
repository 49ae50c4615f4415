"""The page's files: what is served, under which policy, and that nothing of it comes from elsewhere."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from lbctl import dashboard

FILES = dashboard.files()


@pytest.fixture
async def url() -> AsyncIterator[str]:
    app = web.Application()
    dashboard.register(app)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_the_page_and_each_of_its_files_come_with_the_strict_policy(url: str) -> None:
    """H39."""
    async with aiohttp.ClientSession() as session:
        for path in ("/", *(f"/static/{name}" for name in FILES)):
            async with session.get(url + path) as answer:
                assert answer.status == 200 and await answer.read(), path
                policy = answer.headers["Content-Security-Policy"]
                assert "default-src 'none'" in policy and "unsafe" not in policy and "*" not in policy and "frame-ancestors 'none'" in policy
                assert answer.headers["X-Content-Type-Options"] == "nosniff" and answer.headers["Cache-Control"] == "no-cache"
                tag = answer.headers["ETag"]
            async with session.get(url + path, headers={"If-None-Match": tag}) as again:
                assert again.status == 304


@pytest.mark.parametrize(
    "path", ["/static/", "/static/none.js", "/static/..%2f__init__.py", "/static/%2e%2e/%2e%2e/errors.py", "/static/__init__.py"]
)
async def test_nothing_but_the_page_is_served(url: str, path: str) -> None:
    async with aiohttp.ClientSession() as session, session.get(url + path) as answer:
        assert answer.status == 404


@pytest.mark.parametrize("name", sorted(FILES))
def test_no_file_names_another_host_or_needs_inline_code(name: str) -> None:
    text = FILES[name].content.decode()
    found = re.findall(r"https?://[^\s\"')]+", text)
    assert set(found) <= {"http://www.w3.org/2000/svg"}
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|javascript:|@import|url\(", text)
    if name.endswith(".html"):
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=", text)


def test_every_import_and_reference_is_a_file_of_the_page() -> None:
    text = "\n".join(file.content.decode() for file in FILES.values())
    named = set(re.findall(r'from "\./([\w.]+)"', text)) | set(re.findall(r'(?:src|href)="/static/([\w.]+)"', text))
    assert named <= set(FILES) and set(FILES) - named <= {"index.html"}


def test_a_script_stays_small_enough_to_read() -> None:
    assert all(len(file.content.decode().splitlines()) <= 300 for file in FILES.values())
