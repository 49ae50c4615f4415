"""One Chromium for all tests of the page; each test has a stage and a tab of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio
from playwright.async_api import Browser

from tests.dashboard.stage import Stage, chromium, stage


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as made:
        yield made


@pytest_asyncio.fixture(loop_scope="session")
async def api() -> AsyncIterator[Stage]:
    async with stage() as made:
        yield made
