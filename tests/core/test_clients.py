"""Devices and the Admin Portal on port 443: who may write, and when nobody answers (G-CLI, G-TP task 3)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp
import pytest

from lbctl.core.clients import CHECK_IN_PATH, COUNT_PATH, ENROLL_PATH
from lbctl.core.node import Node
from tests.core.cores import get, running, settings

SECONDARY = {"enabled": True, "mode": "Secondary"}


async def call(node: Node, path: str, *, method: str = "POST", **more: Any) -> int:
    return (await get(node.endpoints()["https"].port, path, Path(str(node.certificates.ca)), method=method, **more))[0]


def password(node: Node) -> str:
    return (node.settings.directory / "admin-password").read_text().strip()


async def test_a_standby_takes_no_device_even_when_its_tomcat_was_started_by_hand(tmp_path: Path) -> None:
    """G-SY1: whatever were written there would be lost with the next sync."""
    async with running(settings(tmp_path, "core-b", ha=SECONDARY)) as node:
        assert await call(node, ENROLL_PATH, json={"uuid": "x"}) == 503
        node.record.set_service("test", tomcat=True)
        assert await call(node, ENROLL_PATH, json={"uuid": "x"}) == 503
        assert await call(node, CHECK_IN_PATH, json={"uuid": "x"}) == 503
        await node.promote("test")
        assert await call(node, ENROLL_PATH, json={"uuid": "x"}) == 201
        assert await call(node, ENROLL_PATH, json={"uuid": "x"}) == 409
        assert await call(node, CHECK_IN_PATH, json={"uuid": "x"}) == 200
        assert await call(node, CHECK_IN_PATH, json={"uuid": "y"}) == 404


async def test_the_device_count_is_for_local_users_and_needs_tomcat(tmp_path: Path) -> None:
    async with running(settings(tmp_path, "core-a")) as node:
        good, bad = ({"Authorization": aiohttp.encode_basic_auth("admin", word)} for word in (password(node), "wrong"))
        assert await call(node, COUNT_PATH, method="GET", headers=good) == 200
        assert await call(node, COUNT_PATH, method="GET", headers=bad) == 401
        assert await call(node, COUNT_PATH, method="GET") == 401
        node.record.set_service("test", tomcat=False)
        assert await call(node, COUNT_PATH, method="GET", headers=good) == 503


@pytest.mark.parametrize("header", ["Basic", "Basic ====", "Basic YQ==", "Bearer x", "Basic \u00ff"])
async def test_a_header_that_is_no_login_is_no_error(tmp_path: Path, header: str) -> None:
    async with running(settings(tmp_path, "core-a")) as node:
        assert await call(node, COUNT_PATH, method="GET", headers={"Authorization": header}) == 401


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"uuid": 5}', b'{"uuid": ""}', b'{"uuid": "' + b"x" * 300 + b'"}', b"\xff", b"[" * 50_000],
                         ids=["nothing", "list", "no uuid", "number", "empty", "long", "no text", "deep"])
async def test_a_body_that_is_no_device_is_refused(tmp_path: Path, body: bytes) -> None:
    async with running(settings(tmp_path, "core-a")) as node:
        assert await call(node, ENROLL_PATH, data=body) == 400
        assert await node.replication.database.count("devices") == 0
