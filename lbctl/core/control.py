"""The local control of a Core: a Unix socket in its directory, open to its owner alone. One JSON object in, one out, a connection a question.

It switches the faults and reads the state, and it is there when everything else of the Core is made to fail.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lbctl.errors import LbctlError

LINE_BYTES_MAX = 1 << 20
ANSWER_S = 600.0
ASK_S = 5.0
NAME = "control.sock"

Answer = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


class NotRunning(LbctlError):
    """No Core answers in that directory: start it first."""


class Control:
    """The serving side. `answer` gets a request and gives a reply; it never raises for a request that makes no sense."""

    def __init__(self, directory: Path, answer: Answer) -> None:
        self._directory = directory
        self._answer = answer
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        path = self._directory / NAME
        path.unlink(missing_ok=True)
        with _short(self._directory) as short:
            before = os.umask(0o177)
            try:
                self._server = await asyncio.start_unix_server(self._serve, short, limit=LINE_BYTES_MAX)
            finally:
                os.umask(before)

    def close(self) -> None:
        if self._server:
            self._server.close()
            (self._directory / NAME).unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(ASK_S):
                line = await reader.readline()
            request = json.loads(line)
            reply = await self._answer(request if isinstance(request, dict) else {})
            writer.write(json.dumps(reply).encode() + b"\n")
            await writer.drain()
        except (ValueError, OSError, TimeoutError):
            return
        finally:
            writer.close()


async def ask(directory: Path, request: dict[str, Any]) -> dict[str, Any]:
    """Asks the Core that runs in `directory`. Raises `NotRunning`."""
    try:
        with _short(directory) as short:
            reader, writer = await asyncio.open_unix_connection(short, limit=LINE_BYTES_MAX)
    except OSError:
        raise NotRunning(f"no Core is running in {directory}") from None
    try:
        writer.write(json.dumps(request).encode() + b"\n")
        async with asyncio.timeout(ANSWER_S):
            line = await reader.readline()
    except (OSError, TimeoutError):
        line = b""
    finally:
        writer.close()
    if not line:
        raise NotRunning(f"the Core in {directory} ended before it answered")
    reply = json.loads(line)
    assert isinstance(reply, dict)
    return reply


@contextmanager
def _short(directory: Path) -> Iterator[str]:
    """A path for the socket that fits into the kernel's 107 bytes, however deep the directory is."""
    descriptor = os.open(directory, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}/{NAME}"
    finally:
        os.close(descriptor)
