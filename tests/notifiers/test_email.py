"""Notices by e-mail, against a real mail server."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from lbctl.clock import SystemClock
from lbctl.notifiers.base import DeliveryFailed
from lbctl.notifiers.email import Email, Settings, from_url
from tests.notifiers.sinks import certificate, mail_server, notice


def settings(port: int, **changes: object) -> Settings:
    values: dict[str, object] = {"to": ("ops@example.com", "night@example.com"), "host": "127.0.0.1", "port": port, "security": "none"}
    return Settings(**{**values, **changes})  # type: ignore[arg-type]


async def test_a_mail_says_what_why_evidence_do_and_undo_in_this_order() -> None:
    async with mail_server() as sink:
        await Email(settings(sink.port), SystemClock()).send(notice())
    message = sink.messages[0]
    assert message["Subject"] == "[lbctl PAGE] core: traffic moved from core-a to core-b"
    assert message["To"] == "ops@example.com, night@example.com" and message["From"] == "lbctl@example.com"
    assert message["Auto-Submitted"] == "auto-generated" and message["Importance"] == "high"
    text = message.get_content()
    order = [text.index(word) for word in ("traffic moved", "2027-01-15T08:00:00.250Z", "Why", "Evidence", "core-a: timeout", "Do ", "Undo")]
    assert order == sorted(order)
    assert "lbctl resume core --drive" in text


async def test_the_same_notice_twice_is_one_message_to_its_reader_and_the_next_outage_another() -> None:
    """Mail systems show one message of a Message-ID: the second "core-a is down" of a month must not bear that of the first."""
    async with mail_server() as sink:
        way = Email(settings(sink.port), SystemClock())
        await way.send(notice())
        await way.send(notice())
        await way.send(notice(key="another"))
        await way.send(notice(at=notice().at + 3600))
    first, again, another, later = (message["Message-ID"] for message in sink.messages)
    assert first == again and len({first, another, later}) == 3


async def test_starttls_with_a_login_reaches_the_server(tmp_path: Path) -> None:
    made = certificate(tmp_path)
    (tmp_path / "password").write_text("right\n")
    async with mail_server(tls=made, login=True) as sink:
        way = Email(settings(
            sink.port, security="starttls", ca_file=str(made.cert), host="localhost", user="lbctl", password_file=str(tmp_path / "password"),
        ), SystemClock())
        await way.send(notice())
    assert sink.logins == [(b"lbctl", b"right")] and len(sink.messages) == 1


async def test_tls_from_the_first_byte_reaches_the_server(tmp_path: Path) -> None:
    made = certificate(tmp_path)
    async with mail_server(tls=made, implicit=True) as sink:
        await Email(settings(sink.port, security="tls", ca_file=str(made.cert), host="localhost"), SystemClock()).send(notice())
    assert len(sink.messages) == 1


async def test_a_server_without_starttls_gets_nothing_where_starttls_is_demanded() -> None:
    async with mail_server() as sink:
        with pytest.raises(DeliveryFailed):
            await Email(settings(sink.port, security="starttls"), SystemClock()).send(notice())
    assert sink.messages == []


async def test_an_unknown_certificate_gets_nothing(tmp_path: Path) -> None:
    async with mail_server(tls=certificate(tmp_path)) as sink:
        with pytest.raises(DeliveryFailed) as failed:
            await Email(settings(sink.port, security="starttls", host="localhost"), SystemClock()).send(notice())
    assert sink.messages == [] and failed.value.temporary


@pytest.mark.parametrize(("answer", "temporary"), [("451 try later", True), ("554 never", False)], ids=["4xx", "5xx"])
async def test_the_servers_word_says_whether_another_try_can_help(answer: str, temporary: bool) -> None:
    async with mail_server() as sink:
        sink.answers.append(answer)
        with pytest.raises(DeliveryFailed, match=answer[:3]) as failed:
            await Email(settings(sink.port), SystemClock()).send(notice())
    assert failed.value.temporary is temporary


async def test_a_reader_who_is_refused_is_a_failure_that_names_him() -> None:
    async with mail_server() as sink:
        sink.refuse = frozenset({"night@example.com"})
        with pytest.raises(DeliveryFailed, match=r"night@example\.com") as failed:
            await Email(settings(sink.port), SystemClock()).send(notice())
    assert not failed.value.temporary


async def test_no_server_at_all_is_a_temporary_failure() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        with pytest.raises(DeliveryFailed) as failed:
            await Email(settings(closed.getsockname()[1]), SystemClock()).send(notice())
    assert failed.value.temporary


def test_a_wrong_password_never_stands_in_an_error_or_a_repr(tmp_path: Path) -> None:
    """H54."""
    made = from_url("mailtos://lbctl:canary-7731@mail.example.com/?to=ops@example.com")
    assert "canary-7731" not in repr(made) + repr(made.server()) and made.password == "canary-7731"


@pytest.mark.parametrize(("url", "host", "port", "security", "to"), [
    ("mailto:ops@example.com?smtp=mail.example.com", "mail.example.com", 25, "starttls", ("ops@example.com",)),
    ("mailto:a@example.com,b@example.com", "localhost", 25, "none", ("a@example.com", "b@example.com")),
    ("mailtos://mail.example.com/?to=ops@example.com", "mail.example.com", 465, "tls", ("ops@example.com",)),
    ("mailto://ops@mail.example.com:587", "mail.example.com", 587, "starttls", ("ops@mail.example.com",)),
], ids=["rfc6068", "local-relay", "tls", "by-host"])
def test_a_mailto_address_says_it_all_in_one_line(url: str, host: str, port: int, security: str, to: tuple[str, ...]) -> None:
    made = from_url(url)
    assert (made.host, made.port, made.security, made.to) == (host, port, security, to)


@pytest.mark.parametrize("url", [
    "mailto:", "mailto:nobody", "mailto:ops@example.com?spam=1", "mailto://a:b@mail.example.com/?security=none", "mailto:a@b@c",
    "mailto:ops@example.com%0d%0aBcc:x@y",
], ids=["empty", "no-at", "unknown-key", "password-in-clear", "two-ats", "header-injection"])
def test_a_wrong_mailto_address_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        from_url(url)
