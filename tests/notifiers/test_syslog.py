"""Notices as RFC 5424 lines, against real log servers on UDP, TCP and TLS."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbctl.clock import SystemClock
from lbctl.notifiers.base import DeliveryFailed
from lbctl.notifiers.syslog import UDP_MAX, Settings, Syslog, render
from tests.notifiers.sinks import certificate, datagram_server, notice, stream_server, until

PARAM = r'[!#-<>-\\^-~]{1,32}="(?:[^"\\\]]|\\["\\\]])*"'
GRAMMAR = re.compile(
    r"<(\d{1,3})>1 (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) ([!-~]{1,255}) ([!-~]{1,48}) (\d{1,128}) ([!-~]{1,32})"
    rf" \[lbctl@\d+( {PARAM})*\] \ufeff([^\n]*)", re.DOTALL,
)
"""RFC 5424, section 6, for what we send."""


async def test_one_datagram_a_notice_by_the_grammar() -> None:
    async with datagram_server() as sink:
        await Syslog(Settings(host="127.0.0.1", port=sink.port, hostname="lb-1"), SystemClock()).send(notice())
        await until(lambda: sink.got, "a datagram")
    line = sink.got[0].decode()
    found = GRAMMAR.fullmatch(line)
    assert found, line
    assert found[1] == str(3 * 8 + 2) and found[2] == "2027-01-15T08:00:00.250Z" and found[3] == "lb-1" and found[6] == "failover"
    assert 'service="core"' in line and 'do="lbctl explain core"' in line and "traffic moved from core-a to core-b" in found[8]


async def test_tcp_counts_octets_not_characters() -> None:
    """RFC 6587, 3.4.1."""
    async with stream_server() as sink:
        settings = Settings(host="127.0.0.1", port=sink.port, protocol="tcp")
        await Syslog(settings, SystemClock()).send(notice(what="umgeschaltet: Zürich → Genève"))
        await until(lambda: sink.got, "a line")
    count, _, message = sink.got[0].partition(b" ")
    assert int(count) == len(message) and "Zürich → Genève" in message.decode()


async def test_tls_is_verified(tmp_path: Path) -> None:
    """RFC 5425."""
    made = certificate(tmp_path)
    async with stream_server(tls=made) as sink:
        with pytest.raises(DeliveryFailed, match="TLS"):
            await Syslog(Settings(host="127.0.0.1", port=sink.port, protocol="tls"), SystemClock()).send(notice())
        await Syslog(Settings(host="127.0.0.1", port=sink.port, protocol="tls", ca_file=str(made.cert)), SystemClock()).send(notice())
        await until(lambda: sink.got, "a line")
    assert sink.got[0].partition(b" ")[2].startswith(b"<26>1 ")


async def test_no_server_is_a_temporary_failure() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        with pytest.raises(DeliveryFailed) as failed:
            await Syslog(Settings(host="127.0.0.1", port=closed.getsockname()[1], protocol="tcp"), SystemClock()).send(notice())
    assert failed.value.temporary


async def test_a_long_line_is_cut_to_what_every_receiver_takes_over_udp() -> None:
    async with datagram_server() as sink:
        await Syslog(Settings(host="127.0.0.1", port=sink.port), SystemClock()).send(notice(why="é" * 5000))
        await until(lambda: sink.got, "a datagram")
    assert len(sink.got[0]) <= UDP_MAX and sink.got[0].decode().endswith("é")


@pytest.mark.parametrize(("severity", "level"), [("page", 2), ("ticket", 4), ("info", 5)])
def test_severity_is_the_syslog_level(severity: str, level: int) -> None:
    settings = Settings(host="x", facility="local7")
    assert render(notice(severity=severity), settings).startswith(f"<{23 * 8 + level}>1 ".encode())


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=60))
def test_no_text_breaks_the_grammar_or_the_line(service: str, kind: str, what: str) -> None:
    line = render(notice(service=service, kind=kind, what=what, do='a"b\\c]d'), Settings(host="x")).decode(errors="surrogatepass")
    assert GRAMMAR.fullmatch(line), line


@pytest.mark.parametrize("wrong", [{"protocol": "sctp"}, {"facility": "kernel"}], ids=str)
def test_wrong_settings_are_refused_at_once(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="one of"):
        Settings(host="x", **wrong)  # type: ignore[arg-type]
