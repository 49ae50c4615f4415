"""The probe engine against real servers on loopback: reasons, TLS, places, phases, deadline, kept connections."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import dataclasses
import hashlib
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from lbctl.model.looks import ProbeResult, Reason, Verdict
from lbctl.probes import PROBES
from lbctl.probes.asking import KEPT_LOOKS_MAX
from lbctl.probes.base import Aim, Tls, pin, target_at
from lbctl.probes.core import CoreProbe, Settings
from lbctl.probes.describe import aims_of, describe
from lbctl.probes.engine import Engine
from lbctl.probes.http import HttpProbe
from lbctl.probes.http import Settings as HttpSettings
from lbctl.probes.tcp import Settings as TcpSettings
from lbctl.probes.tcp import TcpProbe
from tests.probes.servers import Authority, reply, server_context, serving

OK = reply(b"MOBILEIRON-STATUS: OK\n")
STANDBY = reply(b"MOBILEIRON-STATUS: OK (Mode: Standby)\n")
PATIENT_S = 20.0


async def seen(engine: Engine, url: str, page: str = "status", **more: object) -> ProbeResult:
    timeout_s = more.pop("timeout_s", PATIENT_S)
    return await CoreProbe(Settings(), engine).look(target_at(url, member="m", page=page, timeout_s=timeout_s, **more))  # type: ignore[arg-type]


async def started(aim: Aim) -> ProbeResult:
    told: asyncio.Future[ProbeResult] = asyncio.get_running_loop().create_future()
    aim.start(told.set_result)
    return await told


def closed_port(host: str = "127.0.0.1") -> int:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as sock:
        sock.bind((host, 0))
        return int(sock.getsockname()[1])


async def test_the_pages_of_a_standby_are_told_apart(engine: Engine) -> None:
    """G-LB2: the right text on the wrong page is a failure."""
    async with serving(STANDBY) as server:
        url = f"http://127.0.0.1:{server.port}"
        assert (await seen(engine, url, "hastatus")).verdict is Verdict.STANDBY
        assert (await seen(engine, url, "status")).reason is Reason.MISMATCH
        assert server.requests[0].startswith(b"GET /hastatus.html HTTP/1.1\r\n")
        assert server.requests[1].startswith(b"GET /status/status.html HTTP/1.1\r\n")


async def test_the_request_is_for_an_uncompressed_fresh_page_of_the_urls_host(engine: Engine) -> None:
    """H15, H17, H19: `Host` is the url's, wherever the connection goes."""
    async with serving(OK) as server:
        result = await seen(engine, "http://core-a.example.com/base/", connect=f"127.0.0.1:{server.port}")
        assert result.good
        line, *fields = server.requests[0].decode().split("\r\n")
        assert line == "GET /base/status/status.html HTTP/1.1"
        assert {"Host: core-a.example.com", "Accept-Encoding: identity", "Connection: close", "Cache-Control: no-cache"} <= set(fields)


async def test_proxy_variables_are_not_read(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """H18."""
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{closed_port()}")
    async with serving(OK) as server:
        assert (await seen(engine, f"http://127.0.0.1:{server.port}")).good


async def test_ipv6_and_names_are_reached(engine: Engine) -> None:
    """H22: each family by itself, and a name by whichever answers."""
    async with serving(OK, host="::1") as server:
        assert (await seen(engine, f"http://[::1]:{server.port}")).good
        assert b"\r\nHost: [::1]:" in server.requests[0]
        assert (await seen(engine, "http://core.example.com", connect=f"[::1]:{server.port}", family=6)).good
        assert (await seen(engine, "http://core.example.com", connect=f"[::1]:{server.port}", family=4)).reason is Reason.DNS
    async with serving(OK) as server:
        assert (await seen(engine, f"http://localhost:{server.port}")).good


async def test_a_name_that_does_not_resolve_is_dns(engine: Engine) -> None:
    """H21."""
    result = await seen(engine, "http://nowhere.invalid")
    assert (result.verdict, result.reason) == (Verdict.FAILED, Reason.DNS) and "nowhere.invalid" in result.detail


async def test_the_last_good_resolution_outlives_the_resolver(engine: Engine) -> None:
    """H21: the name is asked in vain again, and the member is still looked at."""
    async with serving(OK) as server:
        name = engine.names.name("core.invalid", server.port)
        name.places = ((socket.AF_INET, ("127.0.0.1", server.port)),)
        assert (await seen(engine, f"http://core.invalid:{server.port}")).good
        while not name.problem:
            await asyncio.sleep(0.01)
        assert (await seen(engine, f"http://core.invalid:{server.port}")).good


async def test_a_name_of_many_addresses_is_reached_by_whichever_answers(engine: Engine) -> None:
    """H22: the first refuses, the second swallows every packet, the third serves; all within one deadline."""
    async with serving(OK, host="127.0.0.3") as server:
        with socket.socket() as full, socket.socket() as last:
            full.bind(("127.0.0.2", server.port))
            full.listen(0)
            last.connect(("127.0.0.2", server.port))  # its queue is full now: no more SYN is answered
            name = engine.names.name("many.invalid", server.port)
            name.places = tuple((socket.AF_INET, (f"127.0.0.{n}", server.port)) for n in (1, 2, 3))
            result = await seen(engine, f"http://many.invalid:{server.port}", timeout_s=4.0)
    assert result.good, result.detail


async def test_the_last_address_has_all_the_time_that_is_left(engine: Engine) -> None:
    """H22: the share of one that has refused is over with it. The second takes one of the SYNs that the kernel repeats, after seven seconds."""
    with socket.socket() as slow, socket.socket() as first:
        slow.bind(("127.0.0.2", 0))
        slow.listen(0)
        first.connect(slow.getsockname())  # its queue is full now
        name = engine.names.name("two.invalid", 80)
        name.places = (socket.AF_INET, ("127.0.0.1", closed_port())), (socket.AF_INET, slow.getsockname())
        look = asyncio.create_task(seen(engine, "http://two.invalid", timeout_s=9.0))
        await asyncio.sleep(5.0)  # past its half of the time, and before the SYN of the seventh second
        server = await asyncio.start_server(_answer_ok, sock=slow)
        result = await look
        server.close()
    assert result.good, result.detail


async def _answer_ok(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await writer.drain()
    writer.close()


async def test_nobody_there_is_refused(engine: Engine) -> None:
    result = await seen(engine, f"http://127.0.0.1:{closed_port()}")
    assert (result.verdict, result.reason, result.void) == (Verdict.FAILED, Reason.REFUSED, "")


async def test_no_way_there_is_unreachable(engine: Engine) -> None:
    """No TCP connection leads to the broadcast address: the kernel says so without a packet."""
    assert (await seen(engine, "http://255.255.255.255")).reason is Reason.UNREACHABLE


async def test_want_of_a_local_address_says_nothing_about_the_member(engine: Engine) -> None:
    """A fault of our own is void, so that it moves nothing."""
    result = await seen(engine, "http://127.0.0.1:1", source="192.0.2.77")
    assert result.void == "local"


async def test_looks_leave_from_the_source_address(engine: Engine) -> None:
    peers: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peers.append(writer.get_extra_info("peername")[0])
        writer.write(OK)

    async with serving(answer) as server:
        await seen(engine, f"http://127.0.0.1:{server.port}", source="127.0.0.9")
    assert peers == ["127.0.0.9"]


async def test_one_deadline_ends_a_slow_drip(engine: Engine) -> None:
    """H15: a byte now and then resets nothing."""
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for byte in OK * 100:
            writer.write(bytes([byte]))
            await asyncio.sleep(0.02)

    async with serving(drip) as server:
        result = await seen(engine, f"http://127.0.0.1:{server.port}", timeout_s=0.5)
    assert result.reason is Reason.TIMEOUT and result.ended - result.started >= 0.45
    assert set(result.phases) == {"resolve", "connect", "firstbyte"}


async def test_a_handshake_that_never_ends_is_a_timeout(engine: Engine) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with serving(silent) as server:
        result = await seen(engine, f"https://127.0.0.1:{server.port}", timeout_s=0.3)
    assert result.reason is Reason.TIMEOUT and "tls" in result.detail


async def test_tls_is_judged_by_the_given_authority_and_name(engine: Engine, authority: Authority) -> None:
    """G-LB1: a bad certificate is a failure with a reason of its own; its end is known all the same (H20)."""
    file, certificate = authority.issue("core-a.pem", "core-a.example.com")
    ends = certificate.not_valid_after_utc.timestamp()
    known = Tls(ca_file=authority.file)
    async with serving(OK, tls=server_context(file)) as server:
        at = f"127.0.0.1:{server.port}"
        good = await seen(engine, "https://core-a.example.com", connect=at, tls=known)
        assert good.good and good.not_after == ends and {"resolve", "connect", "tls", "firstbyte", "body"} == set(good.phases)
        other_name = await seen(engine, "https://core-b.example.com", connect=at, tls=known)
        stranger = await seen(engine, "https://core-a.example.com", connect=at)
        for bad in (other_name, stranger):
            assert (bad.verdict, bad.reason, bad.not_after) == (Verdict.FAILED, Reason.TLS, ends) and bad.detail.startswith("certificate: ")
        assert (await seen(engine, "https://10.0.0.1", connect=at, tls=Tls(ca_file=authority.file, server_name="core-a.example.com"))).good
        assert (await seen(engine, "https://core-b.example.com", connect=at, tls=Tls(verify=False))).good


async def test_an_expired_certificate_fails_and_tells_when_it_ended(engine: Engine, authority: Authority) -> None:
    """H20."""
    file, certificate = authority.issue("expired.pem", "127.0.0.1", valid=timedelta(days=-1))
    async with serving(OK, tls=server_context(file)) as server:
        result = await seen(engine, f"https://127.0.0.1:{server.port}", tls=Tls(ca_file=authority.file))
        assert result.reason is Reason.TLS and "expired" in result.detail
        assert result.not_after == certificate.not_valid_after_utc.timestamp()
        aim = CoreProbe(Settings(), engine).aim(
            target_at(f"https://127.0.0.1:{server.port}", member="m", page="status", timeout_s=PATIENT_S, tls=Tls(ca_file=authority.file))
        )
        before = server.connections
        assert [(await started(aim)).not_after for _ in range(3)] == [result.not_after] * 3
        assert server.connections <= before + 4, "the second handshake is made once a minute, not each time"


async def test_a_pin_is_the_digest_of_the_public_key(engine: Engine, authority: Authority) -> None:
    """H17, with and without verification; hex and base64."""
    file, certificate = authority.issue("pinned.pem", "127.0.0.1")
    digest = hashlib.sha256(certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()
    assert pin(digest.hex()) == pin(base64.b64encode(digest).decode()) == pin("sha256//" + base64.b64encode(digest).decode()) == digest
    async with serving(OK, tls=server_context(file)) as server:
        for verify in (True, False):
            tls = Tls(verify=verify, ca_file=authority.file, pin_sha256=digest)
            assert (await seen(engine, f"https://127.0.0.1:{server.port}", tls=tls)).good
            bad = await seen(engine, f"https://127.0.0.1:{server.port}", tls=Tls(verify=verify, ca_file=authority.file, pin_sha256=bytes(32)))
            assert bad.reason is Reason.TLS and digest.hex() in bad.detail


@contextlib.asynccontextmanager
async def showing(host: str, engine: Engine, authority: Authority) -> AsyncIterator[tuple[Aim, str]]:
    """A look at a server on 127.0.0.1 whose certificate is `host`'s, and the digest of its key."""
    file, certificate = authority.issue("shown.pem", host)
    digest = hashlib.sha256(certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()
    async with serving(OK, tls=server_context(file)) as server:
        target = target_at(f"https://127.0.0.1:{server.port}", member="m", page="status", timeout_s=PATIENT_S, tls=Tls(ca_file=authority.file))
        yield CoreProbe(Settings(), engine).aim(target), digest


async def test_a_look_tells_the_key_that_it_was_shown_and_none_where_nobody_showed_one(engine: Engine, authority: Authority) -> None:
    """H17: by this the policy knows that two members are one server; a refused look shows nothing, whatever an earlier one had learned."""
    async with showing("127.0.0.1", engine, authority) as (aim, digest):
        assert (await started(aim)).key == digest
    refused = await started(aim)
    assert refused.reason is Reason.REFUSED and refused.key == ""


async def test_a_look_that_finds_another_servers_certificate_tells_whose_key_it_was(engine: Engine, authority: Authority) -> None:
    """H17: where names are checked a look that went to the wrong member ends in `tls`; without the key it would count against the right one."""
    async with showing("127.0.0.2", engine, authority) as (aim, digest):
        looks = [await started(aim), await started(aim)]
    assert [(look.reason, look.key) for look in looks] == [(Reason.TLS, digest)] * 2, "also where the certificate was read by the look before"
    assert (await started(aim)).key == ""


async def test_a_server_that_asks_for_a_client_certificate_gets_it(engine: Engine, authority: Authority) -> None:
    file, _ = authority.issue("mutual.pem", "127.0.0.1")
    client, _ = authority.issue("client.pem", "lbctl")
    async with serving(OK, tls=server_context(file, client_ca=authority.file)) as server:
        url = f"https://127.0.0.1:{server.port}"
        assert (await seen(engine, url, tls=Tls(ca_file=authority.file, client_cert_file=client))).good
        assert (await seen(engine, url, tls=Tls(ca_file=authority.file))).reason in (Reason.TLS, Reason.RESET)


async def test_missing_files_of_our_own_say_nothing_about_the_member(engine: Engine, authority: Authority) -> None:
    file, _ = authority.issue("own.pem", "127.0.0.1")
    async with serving(OK, tls=server_context(file)) as server:
        result = await seen(engine, f"https://127.0.0.1:{server.port}", tls=Tls(ca_file="/nowhere/ca.pem"))
    assert (result.reason, result.void) == (Reason.TLS, "local")


async def test_a_renewed_authority_file_is_read_after_a_failure(engine: Engine, authority: Authority, tmp_path: Path) -> None:
    """H20: `CA removed` heals without a restart."""
    ours = tmp_path / "ca.pem"
    ours.write_bytes(Path(Authority(tmp_path, "somebody else").file).read_bytes())
    file, _ = authority.issue("renewed.pem", "127.0.0.1")
    async with serving(OK, tls=server_context(file)) as server:
        aim = CoreProbe(Settings(), engine).aim(
            target_at(f"https://127.0.0.1:{server.port}", member="m", page="status", timeout_s=PATIENT_S, tls=Tls(ca_file=str(ours)))
        )
        assert (await started(aim)).reason is Reason.TLS
        ours.write_bytes(Path(authority.file).read_bytes())
        assert (await started(aim)).good


@pytest.mark.parametrize("sent", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x15\x03\x01\x00\x02\x02\x28"], ids=["plain http", "alert"])
async def test_no_tls_on_the_other_side_is_tls(engine: Engine, sent: bytes) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(sent)

    async with serving(answer) as server:
        assert (await seen(engine, f"https://127.0.0.1:{server.port}")).reason is Reason.TLS


async def test_a_server_that_speaks_before_it_is_asked_is_still_judged(engine: Engine) -> None:
    async def eager(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail ESMTP\r\n")
        await reader.read()

    async with serving(eager) as server:
        assert (await seen(engine, f"http://127.0.0.1:{server.port}")).reason is Reason.MALFORMED


async def test_skew_and_signs_of_a_cache_are_told(engine: Engine) -> None:
    """H19; the clock's difference to within a second."""
    date = format_datetime(datetime.now(UTC) + timedelta(minutes=5), usegmt=True)
    async with serving(reply(b"MOBILEIRON-STATUS: OK", fields=f"Date: {date}\r\nAge: 7\r\n")) as server:
        result = await seen(engine, f"http://127.0.0.1:{server.port}")
    assert result.skew_s is not None and abs(result.skew_s - 300) < 10
    assert result.good and result.suspicious == "Age: 7"
    lines = "\n".join(describe(result))
    assert "status: ok" in lines and "firstbyte" in lines and "ahead" in lines and "cache" in lines


async def test_a_kept_connection_carries_so_many_looks_and_no_failure(engine: Engine) -> None:
    """H19: at most `KEPT_LOOKS_MAX` looks, and a bad reply is judged on a fresh connection only."""
    answers = {"text": OK}

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answers["text"])

    async with serving(answer) as server:
        aim = CoreProbe(Settings(), engine).aim(
            target_at(f"http://127.0.0.1:{server.port}", member="m", page="status", timeout_s=PATIENT_S, connection="keep")
        )
        for _ in range(2 * KEPT_LOOKS_MAX + 1):
            assert (await started(aim)).good
        assert server.connections == 3
        answers["text"] = reply(b"no", status="503 Service Unavailable")
        assert (await started(aim)).reason is Reason.STATUS
        assert server.connections == 4, "what the kept connection showed was asked again on a fresh one"
        assert (await started(aim)).reason is Reason.STATUS
        assert server.connections == 5
        aim.close()


async def test_a_kept_connection_that_the_server_closed_is_no_failure(engine: Engine) -> None:
    async with serving(OK) as server:
        aim = CoreProbe(Settings(), engine).aim(
            target_at(f"http://127.0.0.1:{server.port}", member="m", page="status", timeout_s=PATIENT_S, connection="keep")
        )
        assert [(await started(aim)).good for _ in range(10)] == [True] * 10
        aim.close()


async def test_a_kept_tls_connection_is_shaken_once(engine: Engine, authority: Authority) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(OK)

    file, _ = authority.issue("kept.pem", "127.0.0.1")
    async with serving(answer, tls=server_context(file)) as server:
        aim = CoreProbe(Settings(), engine).aim(target_at(
            f"https://127.0.0.1:{server.port}", member="m", page="status", timeout_s=PATIENT_S, connection="keep", tls=Tls(ca_file=authority.file)
        ))
        results = [await started(aim) for _ in range(5)]
        assert all(result.good for result in results) and "tls" not in results[4].phases
        assert server.connections == 1
        aim.close()


async def test_a_cancelled_look_is_never_told(engine: Engine) -> None:
    told: list[ProbeResult] = []
    async with serving(OK) as server:
        cancel = CoreProbe(Settings(), engine).aim(target_at(f"http://127.0.0.1:{server.port}", member="m", page="status")).start(told.append)
        cancel()
        assert (await seen(engine, f"http://127.0.0.1:{server.port}")).good
    assert not told


async def test_a_custom_monitor_judges_status_text_and_pattern(engine: Engine) -> None:
    """G-SC3: a Sentry has pages of its own."""
    async with serving(reply(b"all fine: 42", status="302 Found", fields="Location: /x\r\n")) as server:
        async def of(settings: HttpSettings) -> Reason:
            return (await HttpProbe(settings, engine).look(target_at(f"http://127.0.0.1:{server.port}", member="m", page="http"))).reason

        assert await of(HttpSettings("/health")) is Reason.REDIRECT
        assert await of(HttpSettings("/health", status=(200, 302))) is Reason.OK
        assert await of(HttpSettings("/health", status=(302,), text="all fine")) is Reason.OK
        assert await of(HttpSettings("/health", status=(302,), text="all well")) is Reason.MISMATCH
        assert await of(HttpSettings("/health", status=(302,), regex="fine: [0-9]+$")) is Reason.OK
        assert await of(HttpSettings("/health", status=(302,), regex="fine: [a-z]+$")) is Reason.MISMATCH
        assert server.requests[0].startswith(b"GET /health HTTP/1.1\r\n")


async def test_the_plainest_monitor_asks_for_a_connection_only(engine: Engine) -> None:
    async with serving(b"") as server:
        probe = TcpProbe(TcpSettings(), engine)
        assert (await probe.look(target_at(f"tcp://127.0.0.1:{server.port}", member="m", page="tcp"))).verdict is Verdict.OK
        assert (await probe.look(target_at(f"tcp://127.0.0.1:{closed_port()}", member="m", page="tcp"))).reason is Reason.REFUSED


async def test_a_bare_url_is_looked_at_as_it_says(engine: Engine) -> None:
    async with serving(STANDBY) as server:
        base = f"http://127.0.0.1:{server.port}"
        assert [target.page for _, target in aims_of(base, engine)] == ["status", "hastatus"]
        probe, target = aims_of(base + "/hastatus.html", engine)[0]
        assert (await probe.look(target)).verdict is Verdict.STANDBY
        probe, target = aims_of(base + "/other/page", engine)[0]
        assert (await probe.look(target)).verdict is Verdict.OK
        assert server.requests[-1].startswith(b"GET /other/page HTTP/1.1\r\n")


@pytest.mark.parametrize("url", ["ftp://x", "http://", "http://u:p@x", "http://x/?q", "tcp://x", "http://x y", "http://x/a b", "http://x:99999"])
def test_urls_that_mean_nothing_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        target_at(url, member="m", page="status")


@pytest.mark.parametrize("kind", PROBES.values(), ids=PROBES.keys())
def test_every_kind_says_its_pages_and_has_settings(kind: object) -> None:
    needed = {field.name: "x" for field in dataclasses.fields(kind.settings) if field.default is dataclasses.MISSING}  # type: ignore[attr-defined]
    assert kind.pages and isinstance(kind.modes, bool) and kind.settings(**needed)  # type: ignore[attr-defined]
