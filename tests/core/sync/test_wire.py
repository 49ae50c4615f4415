"""Frames: what is cut, too large, damaged or silent ends with a WireError and bounded memory."""

from __future__ import annotations

import asyncio
import io
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbctl.core.sync import wire


def fed(data: bytes, *, ended: bool = True) -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    if ended:
        reader.feed_eof()
    return reader


async def test_a_frame_comes_out_as_it_went_in() -> None:
    packed = wire.pack({"kind": "rows", "table": "users"}, b'[[1,"x"]]')
    frame = await wire.read(fed(packed), 5)
    assert (frame.kind, frame.json(), frame.packed) == ("rows", [[1, "x"]], packed)
    assert wire.read_file(io.BytesIO(packed)) == frame


async def test_a_frame_that_is_cut_at_any_byte_is_an_error() -> None:
    """G-SY6."""
    packed = wire.pack({"kind": "rows"}, b"[[1]]")
    for length in range(len(packed)):
        with pytest.raises(wire.WireError):
            await wire.read(fed(packed[:length]), 5)
        if length:
            with pytest.raises(wire.WireError):
                wire.read_file(io.BytesIO(packed[:length]))


async def test_a_silent_link_is_given_up() -> None:
    """G-SY6: a link that is lost without a word."""
    with pytest.raises(wire.WireError, match=r"nothing was heard for 0\.01 s"):
        await wire.read(fed(b"\0", ended=False), 0.01)


@given(st.binary(max_size=64))
def test_noise_is_an_error_or_a_frame_and_never_anything_else(noise: bytes) -> None:
    try:
        frame = wire.read_file(io.BytesIO(noise))
        if frame is not None:
            frame.json()
    except wire.WireError:
        pass


def test_lengths_beyond_the_bounds_are_refused_before_memory_is_taken() -> None:
    for lengths in ((wire.HEADER_BYTES_MAX + 1, 0), (2, wire.BODY_BYTES_MAX + 1), (1 << 31, 1 << 31)):
        with pytest.raises(wire.WireError, match="larger than allowed"):
            wire.read_file(io.BytesIO(struct.pack(">II", *lengths)))


def test_a_body_that_swells_beyond_the_bound_is_refused() -> None:
    bomb = zlib.compress(b"\0" * (wire.RAW_BYTES_MAX + 1), 9)
    assert len(bomb) < 100_000
    with pytest.raises(wire.WireError, match="larger than allowed"):
        wire.Frame({}, bomb, b"").raw()


def test_a_damaged_body_is_refused() -> None:
    body = bytearray(zlib.compress(b"[1,2,3]" * 20))
    body[-1] ^= 1
    with pytest.raises(wire.WireError, match="damaged"):
        wire.Frame({}, bytes(body), b"").json()


@given(st.lists(st.integers(-(1 << 61), 1 << 61), max_size=50))
def test_keys_survive_as_gaps(keys: list[int]) -> None:
    packed = wire.pack({"kind": "rows"}, wire.pack_keys(keys))
    frame = wire.read_file(io.BytesIO(packed))
    assert frame is not None and wire.unpack_keys(frame.json()) == keys


@pytest.mark.parametrize("gaps", [None, {}, "1", ["1"], [1.5], [True], [1 << 63]], ids=repr)
def test_what_is_not_a_list_of_keys_is_refused(gaps: object) -> None:
    with pytest.raises(wire.WireError, match="not a list of numbers"):
        wire.unpack_keys(gaps)
