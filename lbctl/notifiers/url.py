"""`- url: …`: a way given in one line. Mail and plain webhooks are built in; every other scheme is the notification library's (an extra)."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from lbctl.clock import Clock
from lbctl.notifiers import email, text, webhook
from lbctl.notifiers.base import DeliveryFailed, Notice, Notifier, Severity

MAIL = ("mailto", "mailtos")
WEB = ("http", "https")


@dataclass(frozen=True, slots=True)
class Settings:
    """One address. It may hold a token, so it is never shown."""

    url: str = field(repr=False)

    def __post_init__(self) -> None:
        scheme = urlsplit(self.url).scheme
        if not scheme:
            raise ValueError("an address begins with its kind, such as mailto://")
        if scheme in MAIL:
            email.from_url(self.url)
        elif scheme not in WEB and importlib.util.find_spec("apprise") is None:
            raise ValueError(f"{scheme}:// needs the extra: pip install 'lbctl[notify]'")


def make(settings: Settings, clock: Clock) -> Notifier:
    """The notifier that the scheme names."""
    scheme = urlsplit(settings.url).scheme
    if scheme in MAIL:
        return email.Email(email.from_url(settings.url), clock)
    if scheme in WEB:
        return webhook.Webhook(webhook.Settings(url=settings.url), clock)
    return Apprise(settings, clock)


class Apprise:
    """Any service that the library `apprise` knows. It works in threads of its own and tells only whether it went well."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        parts = urlsplit(settings.url)
        self.id = f"{parts.scheme}:{parts.hostname or ''}"
        self.at_least = Severity.INFO
        self._url = settings.url

    async def send(self, notice: Notice) -> None:
        sender: Any = importlib.import_module("apprise").Apprise()
        if not sender.add(self._url):
            raise DeliveryFailed(f"{self.id}: the library does not know this address", temporary=False)
        if not await sender.async_notify(title=text.subject(notice), body=text.body(notice)):
            raise DeliveryFailed(f"{self.id}: not taken")
