"""Notices as signed requests, against a real web server."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbctl.clock import SystemClock
from lbctl.notifiers.base import DeliveryFailed
from lbctl.notifiers.webhook import Settings, Webhook, sign, verify
from tests.notifiers.sinks import certificate, notice, web_server


async def test_a_receiver_with_the_secret_can_tell_that_it_is_ours_and_fresh(tmp_path: Path) -> None:
    """H52: signed over timestamp and body; changed, old or unsigned is refused."""
    (tmp_path / "secret").write_bytes(b"canary-secret\n")
    clock = SystemClock()
    async with web_server() as sink:
        await Webhook(Settings(url=sink.url, secret_file=str(tmp_path / "secret")), clock).send(notice())
    headers, content = sink.requests[0]
    stamp, signature, now = headers["Lbctl-Timestamp"], headers["Lbctl-Signature"], clock.now()
    assert verify(b"canary-secret", stamp, content, signature, now=now)
    assert not verify(b"canary-secret", stamp, content + b" ", signature, now=now)
    assert not verify(b"canary-secret", str(int(stamp) + 1), content, signature, now=now)
    assert not verify(b"another", stamp, content, signature, now=now)
    assert not verify(b"canary-secret", stamp, content, signature, now=now + 301)
    assert b"canary-secret" not in content + str(headers).encode()


async def test_the_body_is_the_whole_notice_as_json() -> None:
    async with web_server() as sink:
        await Webhook(Settings(url=sink.url), SystemClock()).send(notice())
    headers, content = sink.requests[0]
    told = json.loads(content)
    assert headers["Content-Type"] == "application/json" and "Lbctl-Signature" not in headers
    assert told["what"] == "traffic moved from core-a to core-b" and told["evidence"] == {"core-a": "timeout", "epoch": 8}
    assert {"key", "service", "kind", "severity", "at", "what", "why", "evidence", "do", "undo", "text", "ends", "runbook"} == set(told)


async def test_a_secret_can_be_changed_without_a_restart(tmp_path: Path) -> None:
    file, clock = tmp_path / "secret", SystemClock()
    async with web_server() as sink:
        way = Webhook(Settings(url=sink.url, secret_file=str(file)), clock)
        for secret in (b"first", b"second"):
            file.write_bytes(secret)
            await way.send(notice())
    for secret, (headers, content) in zip((b"first", b"second"), sink.requests, strict=True):
        assert verify(secret, headers["Lbctl-Timestamp"], content, headers["Lbctl-Signature"], now=clock.now())


async def test_retries_carry_the_same_idempotency_key_and_the_next_outage_another() -> None:
    """A receiver that keeps keys for a day would else throw away the second page about the same member."""
    async with web_server() as sink:
        way = Webhook(Settings(url=sink.url), SystemClock())
        await way.send(notice())
        await way.send(notice())
        await way.send(notice(key="another"))
        await way.send(notice(at=notice().at + 3600))
    first, again, another, later = (headers["Idempotency-Key"] for headers, _ in sink.requests)
    assert first == again and len({first, another, later}) == 3


@pytest.mark.parametrize(("status", "temporary"), [(500, True), (503, True), (429, True), (400, False), (401, False), (302, False)], ids=str)
async def test_the_status_says_whether_another_try_can_help(status: int, temporary: bool) -> None:
    async with web_server() as sink:
        sink.answers.append((status, {"Location": sink.url, "Retry-After": "7"}))
        with pytest.raises(DeliveryFailed, match=str(status)) as failed:
            await Webhook(Settings(url=sink.url), SystemClock()).send(notice())
    assert failed.value.temporary is temporary and failed.value.retry_after_s == 7
    assert len(sink.requests) == 1, "a redirect is not followed"


async def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """H18."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    async with web_server() as sink:
        await Webhook(Settings(url=sink.url), SystemClock()).send(notice())
    assert len(sink.requests) == 1


async def test_tls_is_verified(tmp_path: Path) -> None:
    made = certificate(tmp_path)
    async with web_server(tls=made) as sink:
        with pytest.raises(DeliveryFailed, match="certificate is not believed"):
            await Webhook(Settings(url=sink.url), SystemClock()).send(notice())
        await Webhook(Settings(url=sink.url, ca_file=str(made.cert)), SystemClock()).send(notice())
    assert len(sink.requests) == 1


async def test_a_token_in_the_address_stays_out_of_errors_and_ids() -> None:
    """H54."""
    way = Webhook(Settings(url="http://user:canary-1@127.0.0.1:9/canary-2?t=canary-3"), SystemClock())
    with pytest.raises(DeliveryFailed) as failed:
        await way.send(notice())
    assert "canary" not in str(failed.value) + way.id


@given(st.text(max_size=20), st.binary(max_size=50), st.text(max_size=80))
def test_verify_never_raises_and_never_says_yes_to_noise(stamp: str, content: bytes, signature: str) -> None:
    assert not verify(b"secret", stamp, content, signature, now=1_800_000_000)


@given(st.binary(max_size=200), st.integers(0, 2**33))
def test_verify_says_yes_to_what_was_signed(content: bytes, stamp: int) -> None:
    assert verify(b"s", str(stamp), content, sign(b"s", stamp, content), now=float(stamp))


@pytest.mark.parametrize("url", ["ftp://x/", "https:///path", "example.com"])
def test_a_wrong_address_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="url"):
        Settings(url=url)


@pytest.mark.parametrize(("url", "words"), [
    ("http://127.0.0.1:{port}/t0ken", "Connection refused"), ("https://127.0.0.1:{hook}/t0ken", "its certificate is not believed"),
    ("http://nowhere.invalid/t0ken", "webhook:nowhere.invalid: "),
], ids=["refused", "certificate", "name"])
async def test_why_a_receiver_is_not_reached_is_told_in_words_and_without_the_path(url: str, words: str, tmp_path: Path) -> None:
    """H54: whoever reads the delivery log at night must see what to mend, and a path is a secret with some receivers."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        async with web_server(tls=certificate(tmp_path)) as sink:
            way = Webhook(Settings(url=url.format(port=closed.getsockname()[1], hook=urlsplit(sink.url).port)), SystemClock())
            with pytest.raises(DeliveryFailed, match=words) as failed:
                await way.send(notice())
    assert "t0ken" not in str(failed.value) and "ClientConnector" not in str(failed.value)
