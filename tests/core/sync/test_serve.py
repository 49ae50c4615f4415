"""What each side of a sync endures of the other: nonsense ends the run, and nothing else."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from lbctl.core.database import Database
from lbctl.core.fill import fill
from lbctl.core.sync import COMMAND, rows, wire
from lbctl.core.sync.history import Result
from lbctl.core.tables import TABLES
from tests.core.sync.pair import PRIMARY, STANDBY, Server, connecting, serving, standby

HELLO = wire.pack({"kind": "hello", "facts": STANDBY.as_json()})
USERS = wire.pack({"kind": "buckets", "table": "users"})

DIGEST = wire.pack({"kind": "digest"})

REQUESTS = {
    "noise": b"GET / HTTP/1.1\r\n\r\n" * 9,
    "no facts": wire.pack({"kind": "hello"}),
    "silence, then the end": b"",
    "an unknown request": HELLO + wire.pack({"kind": "shutdown"}),
    "a table that is no table": HELLO + wire.pack({"kind": "buckets", "table": "sqlite_master"}),
    "a table that is not theirs": HELLO + wire.pack({"kind": "buckets", "table": "atlas_reports"}),
    "a table that is a list": HELLO + wire.pack({"kind": "buckets", "table": ["users"]}),
    "keys that are none": HELLO + wire.pack({"kind": "rows", "table": "users"}, b'["1"]'),
    "a frame cut short": HELLO + USERS[:-1],
    "an end before the end": HELLO + USERS + wire.pack({"kind": "report", "success": True}),
    "more after the end": HELLO + USERS + DIGEST + USERS,
}


async def answers(server: Server, sent: bytes) -> tuple[bytes, int | None]:
    """All that the source says to these bytes, and its exit status."""
    async with await connecting(server.port)() as connection:
        process = await connection.create_process(COMMAND, encoding=None)
        process.stdin.write(sent)
        process.stdin.write_eof()
        said = await process.stdout.read()
        await process.wait()
        return said, process.exit_status


@pytest.mark.parametrize("sent", REQUESTS.values(), ids=REQUESTS)
async def test_a_source_ends_the_session_at_nonsense_and_serves_the_next_one(tmp_path: Path, sent: bytes) -> None:
    database = Database(tmp_path / "source.db")
    await fill(database, devices=10)
    async with serving(database) as server:
        said, status = await answers(server, sent)
        assert status == 1
        assert b"example.com" not in said
        _, status = await answers(server, HELLO + USERS + DIGEST + wire.pack({"kind": "report", "success": True}))
        assert status == 0 and server.served[-1] is not None and server.served[-1].result == "Success"
    database.close()


async def test_a_source_itself_refuses_a_copy_that_must_not_sync(tmp_path: Path) -> None:
    """G-SY1: whatever the other side's software would let it do."""
    database = Database(tmp_path / "source.db")
    async with serving(database) as server:
        said, status = await answers(server, wire.pack({"kind": "hello", "facts": replace(STANDBY, state="Active").as_json()}) + USERS)
        assert status == 0 and b'"refused"' in said and b'"active-state"' in said and b"buckets" not in said
        assert server.served[0] is not None and "was promoted" in server.served[0].result
    database.close()


async def test_a_source_hears_why_a_copy_gave_up(tmp_path: Path) -> None:
    """HA Status on the Primary shows it."""
    database = Database(tmp_path / "source.db")
    async with serving(database) as server:
        for before in (HELLO, HELLO + DIGEST):
            await answers(server, before + wire.pack({"kind": "report", "success": False, "reason": "disk full"}))
    assert [served.result for served in server.served if served] == ["disk full", "disk full"]
    database.close()


Answer = Callable[[dict[str, Any]], bytes]


def scripted(**answers_by_kind: bytes) -> Answer:
    """A source that answers some requests as told, and the others like an empty Core."""
    usual = {
        "hello": wire.pack({"kind": "hello", "facts": PRIMARY.as_json()}),
        "buckets": wire.pack({"kind": "buckets"}, b"[]"),
        "digest": wire.pack({"kind": "digest", "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}),
        "bucket-rows": wire.pack({"kind": "end"}),
        "report": b"",
    }
    return lambda header: (usual | {kind.replace("_", "-"): answer for kind, answer in answers_by_kind.items()})[header["kind"]]


ONE_BUCKET = wire.pack({"kind": "buckets"}, b"[[0,1,5]]")

LIES = {
    "not a greeting": (scripted(hello=wire.pack({"kind": "hello"})), "does not say what it is"),
    "another answer": (scripted(buckets=wire.pack({"kind": "digest"})), "does not fit the question"),
    "buckets that are none": (scripted(buckets=wire.pack({"kind": "buckets"}, b"[[1,2]]")), "not a list of buckets"),
    "noise": (scripted(buckets=b"\xff" * 64), "larger than allowed"),
    "a wrong checksum": (scripted(digest=wire.pack({"kind": "digest", "sha256": "0"})), "checksum"),
    "rows nobody asked for": (
        scripted(buckets=ONE_BUCKET, bucket_rows=wire.pack({"kind": "rows", "table": "local_users", "rows": 1}, b"[[]]")), "not asked for"),
}


@pytest.mark.parametrize(("answer", "reason"), LIES.values(), ids=LIES)
async def test_a_source_that_lies_changes_nothing(tmp_path: Path, answer: Answer, reason: str) -> None:
    async def lie(process: asyncssh.SSHServerProcess[bytes]) -> None:
        try:
            while True:
                process.stdout.write(answer((await wire.read(process.stdin, 60)).header))
        except wire.WireError:
            process.exit(0)

    await _fails(tmp_path, lie, reason)


ROWS = {
    "too narrow": ([[1, "a"]], "do not fit"),
    "not rows": (["a"], "do not fit"),
    "a value that is an object": ([[1, {}, None, None, None, None, None, 5]], "do not fit"),
    "a number beyond 64 bits": ([[1 << 70, "a", None, None, None, None, None, 5]], "do not fit"),
    "a missing name": ([[1, None, None, None, None, None, None, 5]], "do not fit"),
    "fewer than promised": ([], "would not be the source's"),
    "not what the sums said": ([[1, "a", None, None, None, None, None, 7]], "would not be the source's"),
}


@pytest.mark.parametrize(("content", "reason"), ROWS.values(), ids=ROWS)
async def test_rows_that_cannot_be_are_not_applied(tmp_path: Path, content: list[object], reason: str) -> None:
    """Even where the checksum is right."""
    frame = wire.pack({"kind": "rows", "table": "users", "rows": 1}, json.dumps(content).encode())
    sums = iter([ONE_BUCKET])
    checksum = wire.pack({"kind": "digest", "sha256": hashlib.sha256(frame).hexdigest()})
    answer = scripted(bucket_rows=frame + wire.pack({"kind": "end"}), digest=checksum)

    async def lie(process: asyncssh.SSHServerProcess[bytes]) -> None:
        try:
            while True:
                header = (await wire.read(process.stdin, 60)).header
                process.stdout.write(next(sums, answer(header)) if header["kind"] == "buckets" else answer(header))
        except wire.WireError:
            process.exit(0)

    await _fails(tmp_path, lie, reason)


async def _fails(directory: Path, lie: Callable[[asyncssh.SSHServerProcess[bytes]], Awaitable[None]], reason: str) -> None:
    class Liar(Server):
        async def exec(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
            await lie(process)

    copy = await standby(directory)
    await fill(copy.database, devices=5)
    await copy.database.file.write(lambda connection: connection.execute("DELETE FROM users"))
    database = Database(directory / "source.db")
    async with serving(database, server=Liar(database, PRIMARY)) as server:
        async with asyncio.timeout(60):
            record = await copy.sync(server.port)
    assert record.result is Result.FAILED and reason in record.reason, record.reason
    assert (await copy.database.count("devices"), await copy.database.count("users")) == (5, 0)
    copy.close()
    database.close()


def test_rows_of_any_size_travel_in_bounded_frames() -> None:
    """Memory is bounded by the frame, not by the table."""
    sizes = [10, 10, 3_000_000, 10, 200_000, 200_000, 200_000, 10] * 20
    frames = list(rows.row_frames(TABLES["files"], ((key, "p", "x" * size, 1) for key, size in enumerate(sizes))))
    raws = [frame for frame in map(wire.read_file, map(io.BytesIO, frames)) if frame is not None]
    assert [len(row[2]) for frame in raws for row in frame.json()] == sizes
    assert max(len(frame.raw()) for frame in raws if int(frame.header["rows"]) > 1) <= rows.FRAME_BYTES + 16
