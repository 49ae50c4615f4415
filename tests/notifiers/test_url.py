"""`- url: …`: what is built in, and what the extra is asked for."""

from __future__ import annotations

import importlib.util

import pytest

from lbctl.clock import SystemClock
from lbctl.notifiers import NOTIFIERS, build, url
from lbctl.notifiers.email import Email
from lbctl.notifiers.webhook import Webhook
from tests.notifiers.sinks import mail_server, notice


@pytest.mark.parametrize(("text", "kind", "name"), [
    ("mailto:ops@example.com?smtp=mail.example.com", Email, "email:ops@example.com"),
    ("https://hooks.example.com/x", Webhook, "webhook:hooks.example.com"),
], ids=["mail", "web"])
def test_mail_and_webhooks_are_built_in(text: str, kind: type, name: str) -> None:
    made = url.make(url.Settings(text), SystemClock())
    assert isinstance(made, kind) and made.id == name


async def test_a_mail_by_its_address_alone_arrives() -> None:
    async with mail_server() as sink:
        way, = build([("url", NOTIFIERS["url"].settings(f"mailto:ops@example.com?smtp=127.0.0.1&port={sink.port}"))], SystemClock())
        await way.send(notice())
    assert len(sink.messages) == 1


@pytest.mark.parametrize("text", ["no-scheme", "mailto:nobody", ""])
def test_a_wrong_address_is_refused_at_once(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        url.Settings(text)


def test_what_needs_the_extra_says_which_and_how_to_get_it() -> None:
    if importlib.util.find_spec("apprise") is not None:
        assert url.make(url.Settings("json://localhost/x"), SystemClock()).id == "json:localhost"
        return
    with pytest.raises(ValueError, match=r"slack:// needs the extra: pip install 'lbctl\[notify\]'"):
        url.Settings("slack://TokenA/TokenB")


def test_an_address_is_never_shown_because_it_may_hold_a_token() -> None:
    """H54."""
    assert "canary" not in repr(url.Settings("https://example.com/canary"))
