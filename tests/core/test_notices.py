"""E-mail of a Core (G-NT) through a real SMTP server with STARTTLS."""

from __future__ import annotations

from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from lbctl.core.faults import Fault
from lbctl.core.notices import NoMail
from lbctl.mail import MailFailed
from tests.core.cores import FAST, pair, running, settings, until
from tests.notifiers.sinks import certificate, mail_server

ALL = {"email": "ops@example.com", "notify_sync_completion": True, "notify_failure": True}


def mail(port: int, ca: Path) -> dict[str, Any]:
    return {"host": "127.0.0.1", "port": port, "security": "starttls", "ca_file": str(ca), "sender": "core@example.com"}


def subjects(messages: list[EmailMessage]) -> list[str]:
    return [message["Subject"] for message in messages]


async def test_the_test_mail_is_sent_over_starttls(tmp_path: Path) -> None:
    """G-NT, G-TP task 4."""
    tls = certificate(tmp_path)
    async with mail_server(tls=tls) as sink:
        config = settings(tmp_path, "core-b", ha={"email": "ops@example.com"}, mail=mail(sink.port, tls.cert))
        async with running(config) as b:
            assert await b.notices.test() == "ops@example.com"
        (message,) = sink.messages
        assert (message["To"], message["Subject"]) == ("ops@example.com", "[core-b] High Availability: test")


async def test_completion_failure_and_becoming_primary_are_told_with_what_and_why(tmp_path: Path) -> None:
    """G-NT: sync completion, failure, this server becomes primary."""
    tls = certificate(tmp_path)
    async with mail_server(tls=tls) as sink, pair(tmp_path, ha_b=ALL, mail=mail(sink.port, tls.cert)) as (_, b):
        await b.run_sync("127.0.0.1", "test")
        await until(lambda: len(sink.messages) == 1, "the completion mail")
        await b.run_sync("192.0.2.1", "test")
        await until(lambda: len(sink.messages) == 2, "the failure mail")
        await b.promote("heartbeat: nobody there")
        await until(lambda: len(sink.messages) == 3, "the promotion mail")
        completed, failed, promoted = (message.get_content() for message in sink.messages)
        assert [text.split(": ", 1)[1] for text in subjects(sink.messages)] == [
            "sync from 127.0.0.1 completed", "sync from 192.0.2.1 failed", "this server becomes primary"]
        assert "Result: Success" in completed
        assert "not a trusted host" in failed
        assert "heartbeat: nobody there" in promoted


async def test_what_is_not_selected_is_not_sent(tmp_path: Path) -> None:
    """G-NT: both selections are optional; a repeated `mode primary` tells nothing new."""
    tls = certificate(tmp_path)
    async with mail_server(tls=tls) as sink:
        async with pair(tmp_path, ha_b={**ALL, "notify_sync_completion": False}, mail=mail(sink.port, tls.cert)) as (_, b):
            await b.run_sync("127.0.0.1", "test")
            await b.promote("test")
            await b.promote("test")
            await until(lambda: sink.messages, "the promotion mail")
            await b.notices.test()
        assert len(sink.messages) == 2


async def test_a_primary_that_dies_is_told_by_a_secondary_that_stays(tmp_path: Path) -> None:
    """G-HB: Keep in Standby: notifications are completed, but the Secondary stays in standby mode."""
    tls = certificate(tmp_path)
    async with mail_server(tls=tls) as sink, pair(tmp_path, ha_b={**FAST, **ALL}, mail=mail(sink.port, tls.cert)) as (a, b):
        await a.set_fault(Fault.STOPPED)
        await until(lambda: sink.messages, "the failure mail")
        assert b.role.standby
        assert "Keep in Standby" in sink.messages[0].get_content()


@pytest.mark.parametrize("broken", ["no server", "no STARTTLS", "no address"])
async def test_a_test_mail_that_cannot_be_sent_says_why(tmp_path: Path, broken: str) -> None:
    tls = certificate(tmp_path)
    async with mail_server(tls=None if broken == "no STARTTLS" else tls) as sink:
        ha = {} if broken == "no address" else {"email": "ops@example.com"}
        server = {} if broken == "no server" else {"mail": mail(sink.port, tls.cert)}
        async with running(settings(tmp_path, "core-b", ha=ha, **server)) as b:
            with pytest.raises((NoMail, MailFailed)):
                await b.notices.test()
        assert sink.messages == []


async def test_a_mail_server_that_does_not_answer_does_not_hold_up_a_promotion(tmp_path: Path) -> None:
    """H52 for the Core: notices are off the path; the log says what was not sent."""
    async with pair(tmp_path, ha_b=ALL, mail={**mail(1, Path()), "ca_file": "", "security": "none"}) as (_, b):
        await b.promote("test")
        assert not b.role.standby
        await until(lambda: any("e-mail not sent, tried again" in line for line in b.log.tail("HighAvailability")), "the line in the log")
