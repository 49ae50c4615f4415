"""The other Core, as the Secondary asks it: one request at a time over the channel, each answer checked for what it must be."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import asyncssh

from lbctl.core.facts import Facts
from lbctl.core.sync import manifest, wire
from lbctl.core.sync.pairing import Refusal, facts_from_wire
from lbctl.core.sync.rows import BucketSum

IDLE_S = 120.0
"""A source that says nothing for so long is given up; the run fails and the copy stays as it was."""


class Source:
    """A channel on which `serve` answers. Every method raises WireError when the link or the peer fails."""

    def __init__(self, process: asyncssh.SSHClientProcess[bytes]) -> None:
        self._process = process
        self.received_bytes = 0

    async def greet(self, mine: Facts) -> tuple[Facts, Refusal | None]:
        """Exchanges facts; the other side's refusal, if it has one."""
        frame = await self._ask({"kind": "hello", "facts": mine.as_json()}, ("hello", "refused"))
        try:
            facts = facts_from_wire(frame.header.get("facts"))
        except ValueError as error:
            raise wire.WireError(str(error)) from error
        if frame.kind == "hello":
            return facts, None
        return facts, Refusal(str(frame.header.get("rule"))[:40], str(frame.header.get("message"))[:500])

    async def buckets(self, table: str) -> dict[int, BucketSum]:
        """The sums of every bucket that has rows there."""
        listed = (await self._ask({"kind": "buckets", "table": table}, ("buckets",))).json()
        try:
            return {int(bucket): BucketSum(int(rows), int(stamps)) for bucket, rows, stamps in listed}
        except (TypeError, ValueError) as error:
            raise wire.WireError("not a list of buckets") from error

    async def leaves(self, table: str, buckets: Sequence[int]) -> dict[int, int]:
        """Leaf -> sum of stamps, of all leaves of these buckets."""
        frame = await self._ask({"kind": "leaves", "table": table}, ("leaves",), wire.pack_keys(buckets))
        return _marks((leaf for bucket in buckets for leaf in manifest.leaves_of_bucket(bucket)), frame)

    async def stamps(self, table: str, leaves: Sequence[int]) -> dict[int, int]:
        """Key -> stamp, of all rows of these leaves."""
        frame = await self._ask({"kind": "stamps", "table": table}, ("stamps",), wire.pack_keys(leaves))
        return _marks((key for leaf in leaves for key in manifest.keys_of_leaf(leaf)), frame)

    async def rows(self, kind: str, table: str, keys: Sequence[int]) -> AsyncIterator[wire.Frame]:
        """Row frames: of whole buckets (`bucket-rows`) or of single keys (`rows`)."""
        await wire.send(self._process.stdin, wire.pack({"kind": kind, "table": table}, wire.pack_keys(keys)), IDLE_S)
        while (frame := await self._read(("rows", "end"))).kind == "rows":
            if frame.header.get("table") != table or type(frame.header.get("rows")) is not int:
                raise wire.WireError("rows that were not asked for")
            yield frame

    async def digest(self) -> str:
        """SHA-256 over all row frames as they were sent."""
        return str((await self._ask({"kind": "digest"}, ("digest",))).header.get("sha256"))

    async def report(self, failure: str) -> None:
        """The last word: how it ended here; empty for a success."""
        await wire.send(self._process.stdin, wire.pack({"kind": "report", "success": not failure, "reason": failure[:500]}), IDLE_S)

    async def _ask(self, header: dict[str, Any], expected: tuple[str, ...], raw: bytes = b"") -> wire.Frame:
        await wire.send(self._process.stdin, wire.pack(header, raw), IDLE_S)
        return await self._read(expected)

    async def _read(self, expected: tuple[str, ...]) -> wire.Frame:
        frame = await wire.read(self._process.stdout, IDLE_S)
        self.received_bytes += len(frame.packed)
        if frame.kind not in expected:
            raise wire.WireError("an answer that does not fit the question")
        return frame


def _marks(keys: Any, frame: wire.Frame) -> dict[int, int]:
    try:
        return manifest.unpack_marks(keys, frame.raw())
    except ValueError as error:
        raise wire.WireError(str(error)) from error
