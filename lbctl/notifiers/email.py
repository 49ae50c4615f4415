"""Notices by e-mail. The Message-ID is made from the notice's key, so that a repeat after a lost answer is one message to its reader."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

from lbctl import mail
from lbctl.clock import Clock
from lbctl.notifiers import text
from lbctl.notifiers.base import DeliveryFailed, Notice, Severity

QUERY = frozenset({"to", "from", "smtp", "port", "security", "user", "password_file", "ca_file", "at_least"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`email: {to: [ops@example.com], sender: lbctl@example.com, host: mail.example.com}` and the keys of `MailServer`."""

    to: tuple[str, ...]
    sender: str = ""
    host: str = "localhost"
    port: int = 25
    security: str = "starttls"
    user: str = ""
    password: str = field(default="", repr=False)
    password_file: str = ""
    ca_file: str = ""
    verify: bool = True
    at_least: Severity = Severity.INFO

    def __post_init__(self) -> None:
        if not self.to or not all(_is_address(one) for one in (*self.to, *([self.sender] if self.sender else []))):
            raise ValueError("to (and sender) must be e-mail addresses")
        self.server()

    def server(self) -> mail.MailServer:
        """Where the mail is handed in; ValueError where its keys contradict one another."""
        return mail.MailServer(
            host=self.host, port=self.port, security=self.security, user=self.user, password=self.password,
            password_file=self.password_file, ca_file=self.ca_file, verify=self.verify,
        )


def from_url(url: str) -> Settings:
    """`mailto:ops@example.com?smtp=mail.example.com` or `mailto://user@mail.example.com:587/?to=ops@example.com&password_file=/etc/…`.

    `mailtos` means TLS from the first byte. A password inside the URL works (`${ENV}` puts it there) and is never shown again.
    """
    parts = urlsplit(url)
    query = {name: values[-1] for name, values in parse_qs(parts.query, strict_parsing=bool(parts.query)).items()}
    if unknown := set(query) - QUERY:
        raise ValueError(f"unknown in the mailto address: {', '.join(sorted(unknown))}; known: {', '.join(sorted(QUERY))}")
    implicit = parts.scheme == "mailtos"
    host = query.get("smtp") or parts.hostname or "localhost"
    to = query.get("to") or (unquote(parts.path) if not parts.netloc else f"{unquote(parts.username or '')}@{parts.hostname}")
    loopback = host in ("localhost", "127.0.0.1", "::1")
    return Settings(
        to=tuple(one.strip() for one in to.split(",")), sender=query.get("from", ""), host=host,
        port=int(query.get("port") or parts.port or (465 if implicit else 25)),
        security=query.get("security") or ("tls" if implicit else "none" if loopback and not parts.password else "starttls"),
        user=query.get("user") or (unquote(parts.username or "") if parts.password or "password_file" in query else ""),
        password=unquote(parts.password or ""), password_file=query.get("password_file", ""), ca_file=query.get("ca_file", ""),
        at_least=Severity(query.get("at_least", "info")),
    )


class Email:
    """One mail a notice, to all of its readers."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.id = f"email:{settings.to[0]}"
        self.at_least = settings.at_least
        self._settings = settings
        self._clock = clock

    async def send(self, notice: Notice) -> None:
        settings = self._settings
        sender = settings.sender or f"lbctl@{settings.to[0].rpartition('@')[2]}"
        message = mail.compose(
            sender=sender, to=settings.to, subject=text.subject(notice), text=text.body(notice), now=self._clock.now(),
            message_id=f"<{notice.ident}.lbctl@{sender.rpartition('@')[2]}>",
        )
        if notice.severity == Severity.PAGE:
            message["Importance"] = "high"
        try:
            await mail.send(settings.server(), message)
        except mail.MailFailed as failed:
            raise DeliveryFailed(str(failed), temporary=failed.temporary) from None


def _is_address(text_: str) -> bool:
    """A rough look: exactly one @ between two texts, and nothing that could end a header line."""
    local, at, domain = text_.partition("@")
    return bool(local and at and domain) and "@" not in domain and not any(c.isspace() or not c.isprintable() for c in text_)
