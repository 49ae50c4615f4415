"""Frames on the sync channel: a JSON header, and a body that is compressed bytes.

`[u32 header length][u32 body length][header][body]`. Sizes are bounded on both sides before memory is taken, and decompression stops at its
own bound, so a broken or hostile peer costs a fixed amount of memory and an error. The same frames are what the spool file holds.
"""

from __future__ import annotations

import asyncio
import json
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol

import asyncssh

from lbctl.errors import LbctlError

HEADER_BYTES_MAX = 64 * 1024
BODY_BYTES_MAX = 16 * 1024 * 1024
RAW_BYTES_MAX = 64 * 1024 * 1024
COMPRESSION = 1
_LENGTHS = struct.Struct(">II")


class WireError(LbctlError):
    """The other side did not keep to the protocol, or the link ended in the middle of it."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One message: what it is, its payload as sent, and all its bytes."""

    header: dict[str, Any]
    body: bytes
    packed: bytes

    @property
    def kind(self) -> str:
        return str(self.header.get("kind", ""))

    def raw(self) -> bytes:
        """The body decompressed. Raises WireError."""
        if not self.body:
            return b""
        inflate = zlib.decompressobj()
        try:
            raw = inflate.decompress(self.body, RAW_BYTES_MAX)
        except zlib.error as error:
            raise WireError(f"damaged frame: {error}") from error
        if not inflate.eof:
            raise WireError("a frame is cut short or larger than allowed")
        return raw

    def json(self) -> Any:
        """The body as JSON. Raises WireError."""
        try:
            return json.loads(self.raw())
        except ValueError as error:
            raise WireError(f"damaged frame: {error}") from error


class Reader(Protocol):
    """What asyncssh and asyncio readers share."""

    async def readexactly(self, n: int) -> bytes: ...


class Writer(Protocol):
    """What asyncssh and asyncio writers share."""

    def write(self, data: bytes) -> None: ...

    async def drain(self) -> None: ...


def compress(raw: bytes) -> bytes:
    return zlib.compress(raw, COMPRESSION)


def pack(header: dict[str, Any], raw: bytes = b"") -> bytes:
    """One frame ready to send; the body is compressed here."""
    head = json.dumps(header, separators=(",", ":")).encode()
    body = compress(raw) if raw else b""
    if len(head) > HEADER_BYTES_MAX or len(body) > BODY_BYTES_MAX or len(raw) > RAW_BYTES_MAX:
        raise WireError("a frame larger than allowed")
    return _LENGTHS.pack(len(head), len(body)) + head + body


def pack_keys(keys: Iterable[int]) -> bytes:
    """Keys as a JSON list of gaps: runs of near keys compress to almost nothing."""
    gaps, last = [], 0
    for key in keys:
        gaps.append(key - last)
        last = key
    return json.dumps(gaps, separators=(",", ":")).encode()


def unpack_keys(gaps: object) -> list[int]:
    """The inverse. Raises WireError for anything else."""
    if not isinstance(gaps, list) or not all(type(gap) is int and abs(gap) < 1 << 63 for gap in gaps):
        raise WireError("keys are not a list of numbers")
    keys, last = [], 0
    for gap in gaps:
        last += gap
        keys.append(last)
    return keys


async def read(reader: Reader, idle_s: float) -> Frame:
    """The next frame. Raises WireError when the link ends, stays silent for `idle_s`, or speaks something else."""
    try:
        async with asyncio.timeout(idle_s):
            lengths = await reader.readexactly(_LENGTHS.size)
            sizes = _checked(lengths)
            header = await reader.readexactly(sizes[0])
            body = await reader.readexactly(sizes[1]) if sizes[1] else b""
    except asyncio.IncompleteReadError as error:
        raise WireError("the link was closed in the middle of the sync") from error
    except TimeoutError as error:
        raise WireError(f"nothing was heard for {idle_s:g} s") from error
    except (asyncssh.Error, OSError) as error:
        raise WireError(f"the link broke: {error}") from error
    return Frame(_header(header), body, lengths + header + body)


async def send(writer: Writer, packed: bytes, idle_s: float) -> None:
    """Writes one packed frame and waits until the link has room. Raises WireError."""
    try:
        writer.write(packed)
        async with asyncio.timeout(idle_s):
            await writer.drain()
    except TimeoutError as error:
        raise WireError(f"the other side took nothing for {idle_s:g} s") from error
    except (asyncssh.Error, OSError) as error:
        raise WireError(f"the link broke: {error}") from error


def read_file(file: BinaryIO) -> Frame | None:
    """The next frame of a spool file; None at the end. Raises WireError for a torn one."""
    lengths = file.read(_LENGTHS.size)
    if not lengths:
        return None
    if len(lengths) != _LENGTHS.size:
        raise WireError("the spool is torn")
    sizes = _checked(lengths)
    header, body = file.read(sizes[0]), file.read(sizes[1])
    if len(header) + len(body) != sum(sizes):
        raise WireError("the spool is torn")
    return Frame(_header(header), body, lengths + header + body)


def _checked(lengths: bytes) -> tuple[int, int]:
    head, body = _LENGTHS.unpack(lengths)
    if head > HEADER_BYTES_MAX or body > BODY_BYTES_MAX:
        raise WireError("a frame larger than allowed, or not a frame at all")
    return head, body


def _header(packed: bytes) -> dict[str, Any]:
    try:
        header = json.loads(packed)
    except ValueError as error:
        raise WireError(f"damaged frame: {error}") from error
    if not isinstance(header, dict):
        raise WireError("a frame's header is not an object")
    return header
