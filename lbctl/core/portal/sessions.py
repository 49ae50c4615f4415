"""Who is logged in to the portal, and how often one may guess. Pure but for random tokens: `now` is given, in seconds.

Sessions live in memory: a restart of the Core logs everybody out, and a copy of its disk logs nobody in. Everything is bounded.
"""

from __future__ import annotations

import hmac
import secrets
from collections import OrderedDict
from dataclasses import dataclass, field

IDLE_S = 15 * 60.0
LIFE_S = 8 * 3600.0
SESSIONS_MAX = 200
GUESSES = 5
WATCHED_MAX = 2000


@dataclass(slots=True)
class Session:
    """One login. `csrf` stands in every form; `draft` is the HA Configuration as edited and not applied; `notes` are shown once."""

    user: str
    csrf: str
    began: float
    seen: float
    draft: dict[str, str] | None = None
    notes: list[tuple[str, str]] = field(default_factory=list)

    def owns(self, csrf: str) -> bool:
        """Whether a form was made for this session."""
        return hmac.compare_digest(csrf.encode(), self.csrf.encode())

    def take_notes(self) -> list[tuple[str, str]]:
        """(kind, text) of what has to be said, once."""
        notes, self.notes = self.notes, []
        return notes


class Sessions:
    """All logins; the least recently used goes first where there are too many."""

    def __init__(self) -> None:
        self._by_token: OrderedDict[str, Session] = OrderedDict()

    def begin(self, user: str, now: float) -> str:
        """A new login: its token, for the cookie."""
        token = secrets.token_urlsafe(32)
        self._by_token[token] = Session(user, secrets.token_urlsafe(24), now, now)
        while len(self._by_token) > SESSIONS_MAX:
            self._by_token.popitem(last=False)
        return token

    def find(self, token: str, now: float, *, touch: bool = True) -> Session | None:
        """The login of this token, unless it was idle or alive for too long. `touch`: somebody is there."""
        session = self._by_token.get(token)
        if session is None:
            return None
        if now - session.seen > IDLE_S or now - session.began > LIFE_S:
            self.end(token)
            return None
        if touch:
            session.seen = now
        self._by_token.move_to_end(token)
        return session

    def end(self, token: str) -> None:
        """Log out."""
        self._by_token.pop(token, None)


@dataclass(slots=True)
class _Guesses:
    failed: int = 0
    until: float = 0.0


class Throttle:
    """Wrong passwords by key (addresses, or user names): after five the wait doubles, up to `wait_max_s`."""

    def __init__(self, wait_max_s: float) -> None:
        self._wait_max_s = wait_max_s
        self._by_key: OrderedDict[str, _Guesses] = OrderedDict()

    def wait_s(self, key: str, now: float) -> float:
        """Seconds until this key may try again; 0 when it may."""
        guesses = self._by_key.get(key)
        return max(0.0, guesses.until - now) if guesses else 0.0

    def failed(self, key: str, now: float) -> None:
        """One more wrong password."""
        guesses = self._by_key.setdefault(key, _Guesses())
        guesses.failed += 1
        self._by_key.move_to_end(key)
        if guesses.failed >= GUESSES:
            guesses.until = now + min(self._wait_max_s, 2.0 ** min(guesses.failed - GUESSES + 1, 20))
        while len(self._by_key) > WATCHED_MAX:
            self._by_key.popitem(last=False)

    def passed(self, key: str) -> None:
        """The right password: all is forgotten."""
        self._by_key.pop(key, None)
