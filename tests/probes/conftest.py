"""Certificates are made once for the folder's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lbctl.clock import SystemClock
from lbctl.probes.engine import Engine
from tests.probes.servers import Authority


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(Path(tmp_path_factory.mktemp("authority")))


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    engine = Engine(SystemClock())
    yield engine
    assert engine.sockets == 0, "a look left a socket open"
    engine.close()
