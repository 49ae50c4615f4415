"""Two status pages on loopback that say what a test wants: a Core as the controller sees it."""

from __future__ import annotations

import asyncio

from lbctl.statuspage import HASTATUS_PATH, STATUS_PATH


class Pages:
    """One member. `mode` is Primary or Standby; a standby's status page answers 503. `stop()` refuses connections, `start()` serves again there."""

    def __init__(self, mode: str) -> None:
        self.mode = mode
        self.host = "127.0.0.1"
        self.port = 0
        self.looks = 0
        self._server: asyncio.Server | None = None

    async def start(self) -> Pages:
        self._server = await asyncio.start_server(self._serve, self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        if self._server is not None:
            for _ in range(5):  # a connection that was just made is taken in first: accepted after the close, nobody would ever end it
                await asyncio.sleep(0)
            self._server.close()
            self._server = None

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await reader.readuntil(b"\r\n\r\n")
            self.looks += 1
            status, body = self._answer(request.split(b" ", 2)[1].decode())
            writer.write(b"HTTP/1.1 %d X\r\nContent-Type: text/html\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (status, len(body), body))
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def _answer(self, path: str) -> tuple[int, bytes]:
        if path == STATUS_PATH:
            return (200, b"MOBILEIRON-STATUS: OK") if self.mode == "Primary" else (503, b"")
        if path == HASTATUS_PATH:
            return 200, f"MOBILEIRON-STATUS: OK (Mode: {self.mode})".encode()
        return 404, b""
