"""Notices as JSON to a URL, signed so that the receiver can tell ours from anybody's (H52).

`Lbctl-Signature: v1=HEX` is HMAC-SHA256 over the timestamp, a dot, and the body as sent: a captured request cannot be replayed later, because
the receiver refuses a `Lbctl-Timestamp` older than a few minutes, nor changed. `Idempotency-Key` stays the same over retries.
Redirects are not followed (a signature is meant for one receiver) and proxy variables of the environment are not honoured (H18).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from lbctl.clock import Clock
from lbctl.notifiers import text
from lbctl.notifiers.base import DeliveryFailed, Notice, Severity

TOLERANCE_S = 300.0
AGAIN = frozenset({408, 409, 425, 429})
"""Client errors that a later try can cure; every other 4xx is for ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`webhook: {url: https://…, secret_file: …}`. The file is read at each notice, so that a secret can be changed without a restart."""

    url: str
    secret_file: str = ""
    ca_file: str = ""
    at_least: Severity = Severity.INFO

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("url must be http:// or https:// with a host")


def sign(secret: bytes, timestamp: int, content: bytes) -> str:
    """`v1=` and the HMAC-SHA256 of `timestamp.content` in hex."""
    return "v1=" + hmac.new(secret, b"%d." % timestamp + content, hashlib.sha256).hexdigest()


def verify(secret: bytes, timestamp: str, content: bytes, signature: str, *, now: float, tolerance_s: float = TOLERANCE_S) -> bool:
    """What a receiver does: the time is near, and the signature is ours (compared in constant time)."""
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) < 16) or abs(now - int(timestamp)) > tolerance_s:
        return False
    return hmac.compare_digest(sign(secret, int(timestamp), content).encode(), signature.encode())


class Webhook:
    """One POST a notice; 2xx is delivered."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.id = f"webhook:{urlsplit(settings.url).hostname}"
        self.at_least = settings.at_least
        self._settings = settings
        self._clock = clock

    async def send(self, notice: Notice) -> None:
        content = json.dumps(text.as_dict(notice), default=str, separators=(",", ":")).encode()
        headers, url = self._headers(notice, content), self._settings.url
        try:
            async with (
                aiohttp.ClientSession(trust_env=False) as session,
                session.post(url, data=content, headers=headers, allow_redirects=False, ssl=self._tls()) as answer,
            ):
                _judge(answer)
        except aiohttp.ClientError as error:
            raise DeliveryFailed(f"{self.id}: {_why(error)}") from None
        except OSError as error:
            raise DeliveryFailed(f"{self.id}: {error.strerror or type(error).__name__}") from None

    def _headers(self, notice: Notice, content: bytes) -> dict[str, str]:
        timestamp = int(self._clock.now())
        headers = {
            "Content-Type": "application/json", "User-Agent": "lbctl", "Lbctl-Timestamp": str(timestamp),
            "Idempotency-Key": notice.ident,
        }
        if self._settings.secret_file:
            headers["Lbctl-Signature"] = sign(Path(self._settings.secret_file).read_bytes().strip(), timestamp, content)
        return headers

    def _tls(self) -> ssl.SSLContext | bool:
        return ssl.create_default_context(cafile=self._settings.ca_file) if self._settings.ca_file else True


def _why(error: aiohttp.ClientError) -> str:
    """In words, and without what the error's own text holds of the URL: a path may be a secret (H54)."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"its certificate is not believed: {getattr(error.certificate_error, 'verify_message', '') or 'not for this name'}"
    if isinstance(error, aiohttp.ClientConnectorError):
        cause = error.os_error
        return (os.strerror(cause.errno) if cause.errno and cause.errno > 0 else cause.strerror) or type(cause).__name__
    return type(error).__name__


def _judge(answer: aiohttp.ClientResponse) -> None:
    """2xx is delivered. The receiver's `Retry-After` (seconds form) is heard; its text is not read."""
    if 200 <= answer.status < 300:
        return
    asked = answer.headers.get("Retry-After", "")
    raise DeliveryFailed(
        f"the receiver answered {answer.status}", temporary=answer.status >= 500 or answer.status in AGAIN,
        retry_after_s=float(asked) if asked.isascii() and asked.isdigit() else None,
    )
