"""A TCP proxy on loopback that counts the bytes of both directions and, when told to, resets both sides after so many of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Proxy:
    """`counted` is all bytes that passed; after `cut_at` of them every connection is reset."""

    def __init__(self, target: int, cut_at: int | None) -> None:
        self._target = target
        self._writers: list[asyncio.StreamWriter] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self.cut_at = cut_at
        self.counted = 0
        self.port = 0

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._target)
        self._writers += [writer, back]
        for source, sink in ((reader, back), (there, writer)):
            task = asyncio.create_task(self._pump(source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                if self.cut_at is not None and self.counted + len(data) > self.cut_at:
                    writer.write(data[: max(self.cut_at - self.counted, 0)])
                    await writer.drain()
                    break
                self.counted += len(data)
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        if self.cut_at is not None:
            self.reset()
        else:
            writer.close()

    def reset(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def close(self) -> None:
        self.reset()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def proxied(target: int, cut_at: int | None = None) -> AsyncIterator[Proxy]:
    proxy = Proxy(target, cut_at)
    server = await asyncio.start_server(proxy.accept, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        await proxy.close()
        await server.wait_closed()
