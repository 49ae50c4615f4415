"""Every reply of the hostile corpus gets its verdict and its reason, over plain TCP and TLS, in one piece and byte by byte (H13-H16)."""

from __future__ import annotations

import asyncio
import itertools
import socket
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbctl.clock import SystemClock
from lbctl.model.looks import DETAIL_MAX, ProbeResult, Reason, Verdict
from lbctl.probes.base import Aim, Tls, target_at
from lbctl.probes.core import CoreProbe, Settings
from lbctl.probes.engine import Engine
from lbctl.probes.reply import BODY_BYTES_MAX, Flaw, Reply, ReplyReader
from tests.probes.hostile import CORPUS, GOOD, Row
from tests.probes.servers import Authority, Play, server_context, serving

PATIENT_S, HASTY_S = 20.0, 0.3


def play(row: Row) -> Play:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(row.sent)
        await writer.drain()
        if row.ends == "hang":
            await reader.read()
        elif row.ends == "reset":
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    return answer


def test_the_corpus_is_as_large_as_promised() -> None:
    assert len(CORPUS) >= 60 and len({row.name for row in CORPUS}) == len(CORPUS)
    assert {row.reason for row in CORPUS} >= set(Reason) - {Reason.OK, Reason.REFUSED, Reason.UNREACHABLE, Reason.TLS, Reason.DNS}


@pytest.mark.parametrize("row", CORPUS, ids=lambda row: row.name)
async def test_a_hostile_reply_gets_its_reason(row: Row, engine: Engine) -> None:
    async with serving(play(row)) as server:
        timeout_s = HASTY_S if row.reason is Reason.TIMEOUT else PATIENT_S
        target = target_at(f"http://127.0.0.1:{server.port}", member="m", page=row.page, timeout_s=timeout_s)
        result = await CoreProbe(Settings(), engine).look(target)
    assert (result.verdict, result.reason) == (row.verdict, row.reason), result.detail
    assert 0 < len(result.detail) <= DETAIL_MAX and result.detail.isascii() and result.detail.isprintable()
    assert not result.good and not result.void


@pytest.mark.parametrize("sent", GOOD.values(), ids=GOOD.keys())
async def test_an_honest_reply_in_any_framing_is_ok(sent: bytes, engine: Engine) -> None:
    async with serving(sent) as server:
        target = target_at(f"http://127.0.0.1:{server.port}", member="m", page="status", timeout_s=PATIENT_S)
        result = await CoreProbe(Settings(), engine).look(target)
    assert (result.verdict, result.reason, result.http_status) == (Verdict.OK, Reason.OK, 200), result.detail


async def test_hostile_replies_over_tls_get_the_same_reasons(engine: Engine, authority: Authority) -> None:
    """One TLS server plays the whole corpus, row after row, save the silent ones; closing without the end of TLS changes no reason."""
    rows = [row for row in CORPUS if row.ends == "close"]
    turn = iter(rows)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await play(next(turn))(reader, writer)

    file, _ = authority.issue("hostile.pem", "127.0.0.1")
    async with serving(answer, tls=server_context(file)) as server:
        for row in rows:
            target = target_at(
                f"https://127.0.0.1:{server.port}", member="m", page=row.page, timeout_s=PATIENT_S, tls=Tls(ca_file=authority.file)
            )
            result = await CoreProbe(Settings(), engine).look(target)
            assert (result.verdict, result.reason) == (row.verdict, row.reason), (row.name, result.detail)


@pytest.mark.parametrize("row", [row for row in CORPUS if len(row.sent) < 30_000], ids=lambda row: row.name)
def test_the_reason_does_not_depend_on_how_the_bytes_were_cut(row: Row) -> None:
    """Save that bytes after a complete body are a flaw only when they came with it."""
    whole, single = (read(row.sent, size) for size in (len(row.sent) or 1, 1))
    if isinstance(whole, Flaw) and whole.detail.startswith("more bytes"):
        return
    assert type(whole) is type(single)
    assert (whole.reason == single.reason) if isinstance(whole, Flaw) and isinstance(single, Flaw) else whole == single


@pytest.mark.parametrize("sent", GOOD.values(), ids=GOOD.keys())
def test_an_honest_reply_is_read_however_it_was_cut(sent: bytes) -> None:
    for size in (1, 2, 3, 7, 1000):
        found = read(sent, size)
        assert isinstance(found, Reply) and found.body.strip() == b"MOBILEIRON-STATUS: OK"


@given(st.sampled_from([*GOOD.values(), *(row.sent for row in CORPUS if len(row.sent) < 2000)]), st.data())
def test_no_bytes_make_the_reader_raise_or_hold_more_than_its_cap(sent: bytes, data: st.DataObject) -> None:
    """Replies with a piece cut out, doubled, or replaced by any other bytes."""
    begin = data.draw(st.integers(0, len(sent)))
    end = data.draw(st.integers(begin, len(sent)))
    words = st.sampled_from([b"\r\n", b"\0", b":", b"0\r\n\r\n", b"ffffffff"])
    piece = data.draw(st.one_of(st.binary(max_size=20), st.just(sent[begin:end] * 2), words))
    found = read(sent[:begin] + piece + sent[end:], data.draw(st.integers(1, 50)))
    assert isinstance(found, Flaw) or len(found.body) <= BODY_BYTES_MAX


def read(sent: bytes, size: int) -> Reply | Flaw:
    reader = ReplyReader(frozenset({200}))
    for at in range(0, len(sent), size):
        answer = reader.feed(sent[at : at + size])
        if answer is not None:
            return answer
    return reader.end()


def resident_kib() -> int:
    fields = Path("/proc/self/status").read_text().split("VmRSS:")[1]
    return int(fields.split()[0])


async def test_ten_thousand_hostile_replies_leave_no_memory_behind() -> None:
    """H15: less than 5 MB over 10^4 replies, once the first thousand have warmed up."""
    rows = [row for row in CORPUS if row.reason is not Reason.TIMEOUT and len(row.sent) < 30_000 and row.page == "status"]
    order = itertools.cycle(rows)
    engine = Engine(SystemClock())

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await play(next(order))(reader, writer)

    async with serving(answer) as server:
        aim = CoreProbe(Settings(), engine).aim(target_at(f"http://127.0.0.1:{server.port}", member="m", page="status", timeout_s=PATIENT_S))
        await looks(aim, 1000)
        before = resident_kib()
        seen = await looks(aim, 10_000)
        assert resident_kib() - before < 5 * 1024
    assert seen == {Verdict.FAILED}
    assert engine.sockets == 0
    engine.close()


async def looks(aim: Aim, count: int) -> set[Verdict]:
    """That many looks, fifty at a time; the verdicts that were seen."""
    seen: set[Verdict] = set()
    left = count
    landed = asyncio.Semaphore(50)

    def ended(result: ProbeResult) -> None:
        seen.add(result.verdict)
        landed.release()

    while left:
        await landed.acquire()
        aim.start(ended)
        left -= 1
    for _ in range(50):
        await landed.acquire()
    return seen
