"""The two status pages of a Core as a grammar, not a grep (G-LB1, G-LB2, H13, H14): parsed and rendered by one module, so that both agree.

    status page     MOBILEIRON-STATUS: OK
    hastatus page   MOBILEIRON-STATUS: OK (Mode: Standby)    or    (Mode: Primary)

The text of the page must be exactly that message. White space around it and HTML markup are set aside the way a reader would: tags that only
change the look of letters vanish, every other tag ends a piece of text, and exactly one piece may be there. Entities are not decoded, inner
white space is not collapsed, case counts, and the marker may stand once in the whole body, comments and titles included: whatever is not
the page that the guide describes is a failure. A mode that is neither of the two words is `unknown` and never guessed.

Pure and total: any bytes give a verdict, nothing raises, and the time is linear in the length of the body.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from lbctl.model.looks import DETAIL_MAX, Reason, Verdict

STATUS_PATH = "/status/status.html"
HASTATUS_PATH = "/hastatus.html"

_MARKER = "MOBILEIRON-STATUS"
_OK = "MOBILEIRON-STATUS: OK"
_DOWN = "MOBILEIRON-STATUS: DOWN"
_MODE = re.compile(r"MOBILEIRON-STATUS: OK \(Mode: ([^()<>\r\n]{0,100})\)")
_MODES = {"Standby": Verdict.STANDBY, "Primary": Verdict.PRIMARY}
_WHITE = " \t\r\n\f"

# What HTML calls phrasing content that changes letters only. Attributes hold no angle brackets, so that no piece can match in two ways.
_LETTERS = re.compile(r"</?(?:a|b|big|code|em|font|i|small|span|strong|tt|u)(?:[ \t\r\n\f][^<>]*)?>", re.IGNORECASE)
# Elements whose content a browser does not show as text: a message in there is not the page's.
_UNSHOWN = re.compile(r"<(?:script|style|template|noscript|textarea|object|iframe|select)(?:[ \t\r\n\f/][^<>]*)?>(?![ \t\r\n\f]*</)", re.IGNORECASE)
_BREAKS = re.compile(r"<!doctype[^<>]*>|<title>[^<>]*</title>|</?[a-z][a-z0-9]*(?:[ \t\r\n\f/][^<>]*)?>", re.IGNORECASE)


class Parsed(NamedTuple):
    """What a page says; `detail` is printable ASCII of at most `DETAIL_MAX` characters, empty where there is nothing to explain."""

    verdict: Verdict
    reason: Reason
    detail: str


def parse_status(body: bytes) -> Parsed:
    """The page of `/status/status.html` (G-LB1): `ok`, or `failed` with reason `mismatch`."""
    text = _message(body)
    if text == _OK:
        return Parsed(Verdict.OK, Reason.OK, "")
    if text is not None and _MODE.fullmatch(text):
        return _mismatch("the hastatus page's message: ", text)
    return _mismatch("", _shown(body))


def parse_hastatus(body: bytes) -> Parsed:
    """The page of `/hastatus.html` (G-LB2): `standby`, `primary`, `unknown` with reason `unknown-mode`, or `failed` with `mismatch`."""
    text = _message(body)
    found = _MODE.fullmatch(text) if text is not None else None
    if found is None:
        return _mismatch("a page without a mode: " if text == _OK else "", _shown(body))
    verdict = _MODES.get(found[1])
    if verdict is None:
        return Parsed(Verdict.UNKNOWN, Reason.UNKNOWN_MODE, escaped(f"Mode: {found[1]}"))
    return Parsed(verdict, Reason.OK, "")


def render_status(ok: bool) -> bytes:
    """The status page's body; `parse_status` reads it back as `ok` exactly where `ok` is true."""
    return f"{_OK if ok else _DOWN}\n".encode()


def render_hastatus(mode: str) -> bytes:
    """The hastatus page's body with that mode, `Standby` or `Primary` in a Core that obeys the guide."""
    return f"{_OK} (Mode: {mode})\n".encode()


def escaped(text: str) -> str:
    """Printable ASCII of at most `DETAIL_MAX` characters; control characters and other alphabets become `\\n`, `\\xNN`, `\\uNNNN`."""
    plain = text[: DETAIL_MAX + 1].encode("unicode_escape").decode("ascii")
    return plain if len(plain) <= DETAIL_MAX else plain[: DETAIL_MAX - 3] + "..."


def _message(body: bytes) -> str | None:
    """The one piece of text of the page, or None where there is none, more than one, or more than one marker."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return None
    if text.count(_MARKER) != 1:
        return None
    if "<" not in text:
        return text.strip(_WHITE)
    if _UNSHOWN.search(text):
        return None
    parts = _BREAKS.split(_LETTERS.sub("", _without_comments(text)))
    pieces = [piece for piece in map(_stripped, parts) if piece]
    return pieces[0] if len(pieces) == 1 else None


def _without_comments(text: str) -> str:
    """Each comment ends a piece of text. One that never ends stays, and is text: found by hand, because a pattern would search in squares."""
    kept: list[str] = []
    at = 0
    while (opening := text.find("<!--", at)) >= 0 and (closing := text.find("-->", opening + 4)) >= 0:
        kept.append(text[at:opening])
        at = closing + 3
    return "<br>".join([*kept, text[at:]])


def _stripped(piece: str) -> str:
    return piece.strip(_WHITE)


def _mismatch(note: str, shown: str) -> Parsed:
    return Parsed(Verdict.FAILED, Reason.MISMATCH, escaped(note + shown))


def _shown(body: bytes) -> str:
    """The beginning of the body for a person who wonders; an empty one is named."""
    start = body[:DETAIL_MAX].decode("latin-1").strip(_WHITE)
    return start or "an empty page"
