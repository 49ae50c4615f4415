"""SMTP, for the controller's notices and for the reference Core's (G-NT).

One connection a message. STARTTLS is demanded, not hoped for, wherever `security` says so: a server that does not offer it is a failure,
because a downgrade in silence is what an attacker between the two would arrange. Only a plain server on purpose gets plain mail.
A failure says whether trying again can help: SMTP's own 4xx / 5xx (RFC 5321, 4.2.1), and everything below SMTP is temporary.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from pathlib import Path

import aiosmtplib

from lbctl.errors import LbctlError

SECURITIES = ("starttls", "tls", "none")


class MailFailed(LbctlError):
    """The server did not take the message. `temporary` false: it never will, as it is."""

    def __init__(self, message: str, *, temporary: bool) -> None:
        super().__init__(message)
        self.temporary = temporary


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mail is handed in. `security`: `starttls` (port 25 or 587), `tls` from the first byte (465), `none`.

    `ca_file` is trusted instead of the system's authorities. The password is read from `password_file` at each message, so that it can change.
    """

    host: str
    port: int = 25
    security: str = "starttls"
    user: str = ""
    password: str = field(default="", repr=False)
    password_file: str = ""
    ca_file: str = ""
    verify: bool = True
    timeout_s: float = 10.0

    def __post_init__(self) -> None:
        if self.security not in SECURITIES:
            raise ValueError(f"security is one of {', '.join(SECURITIES)}")
        if self.user and self.security == "none":
            raise ValueError("a password is not sent over a connection without TLS: set security to starttls or tls")

    def tls(self) -> ssl.SSLContext:
        """What the server's certificate is held against."""
        context = ssl.create_default_context(cafile=self.ca_file or None)
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def secret(self) -> str | None:
        """The password, if there is a user; OSError where its file cannot be read."""
        if not self.user:
            return None
        return Path(self.password_file).read_text(encoding="utf-8").strip() if self.password_file else self.password


def compose(*, sender: str, to: tuple[str, ...], subject: str, text: str, now: float, message_id: str = "") -> EmailMessage:
    """A plain-text message. `now` in UTC seconds; the same `message_id` for the same notice lets receivers drop repeats.

    `Auto-Submitted` (RFC 3834) keeps vacation answers away.
    """
    message = EmailMessage()
    message["From"] = sender
    message["To"] = ", ".join(to)
    message["Subject"] = " ".join(subject.split())
    message["Date"] = formatdate(now)
    message["Message-ID"] = message_id or make_msgid(domain=sender.rpartition("@")[2] or "localhost")
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text)
    return message


async def send(server: MailServer, message: EmailMessage) -> None:
    """Hands one message in, for all of its recipients. Raises `MailFailed`, also where only some recipients were taken."""
    try:
        refused, _ = await aiosmtplib.send(
            message, hostname=server.host, port=server.port, username=server.user or None, password=server.secret(),
            timeout=server.timeout_s, use_tls=server.security == "tls", start_tls=server.security == "starttls", tls_context=server.tls(),
        )
    except aiosmtplib.SMTPRecipientsRefused as error:
        codes = [one.code for one in error.recipients]
        raise MailFailed(f"{server.host}: no recipient was taken ({_said(error)})", temporary=any(c < 500 for c in codes)) from None
    except aiosmtplib.SMTPAuthenticationError as error:
        raise MailFailed(f"{server.host}: the login was refused ({error.code})", temporary=error.code < 500) from None
    except aiosmtplib.SMTPResponseException as error:
        raise MailFailed(f"{server.host}: {error.code} {error.message[:200]}", temporary=error.code < 500) from None
    except (aiosmtplib.SMTPException, OSError) as error:
        raise MailFailed(f"{server.host}:{server.port}: {_said(error)}", temporary=True) from None
    if refused:
        raise MailFailed(f"{server.host}: not taken for {', '.join(sorted(refused))}", temporary=any(r.code < 500 for r in refused.values()))


def _said(error: Exception) -> str:
    """One line of an exception, cut."""
    return " ".join(str(error).split())[:200] or type(error).__name__
