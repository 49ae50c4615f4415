"""PURE: bytes from a server -> one HTTP/1 reply, or the flaw that makes it none (H13, H15, H16). Strict, bounded, linear in what was read.

A browser forgives; a judge of whether traffic moves must not. The whole head must match the grammar of RFC 9112, a body has exactly one way
to end (length, chunks or the connection's end), nothing is decompressed, and what a flaw is called does not depend on how the bytes were cut
into packets, save that bytes after a complete body count only when they came with it. A status that is not expected ends the look at the
head: its body is never read.
"""

from __future__ import annotations

import calendar
import re
from typing import NamedTuple

from lbctl.model.looks import Reason
from lbctl.statuspage import escaped

# Several times what a Core or any proxy sends; whatever is longer is not the page (H15).
HEAD_BYTES_MAX = 16 * 1024
BODY_BYTES_MAX = 64 * 1024
FIELDS_MAX = 100
# Each 1xx is a whole head: without a bound they would be an endless one in pieces.
INTERIM_MAX = 10
# A size and its extensions, which nobody sends: endless ones must end.
_CHUNK_LINE_MAX = 1024

# The reason phrase may hold anything printable and may be missing: it is never read (RFC 9112 section 4).
_STATUS_LINE = rb"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: [\t\x20-\x7e\x80-\xff]*)?\r\n"
# No white space before the colon and no folded lines: both have been used to smuggle (RFC 9112 sections 5.1, 5.2).
_FIELD = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*\r\n"
# No piece can match in two ways, so the time is linear however hostile the head is.
_HEAD = re.compile(_STATUS_LINE + rb"((?:" + _FIELD + rb")*)\r\n")
_TRAILER = re.compile(_FIELD)
_FACTS = re.compile(
    rb"^(content-length|transfer-encoding|content-encoding|connection|date|age|x-cache|location):([^\r]*)\r$", re.IGNORECASE | re.MULTILINE
)
# Eight digits at most: no size can be spelt that a number would have to be built for.
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})(?:[ \t]*;[\t\x20-\x7e]*)?")
_DATE = re.compile(rb"[A-Z][a-z]{2}, (\d{2}) ([A-Z][a-z]{2}) (\d{4}) (\d{2}):(\d{2}):(\d{2}) GMT")
_MONTHS = {name: number for number, name in enumerate(b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), 1)}


class Flaw(NamedTuple):
    """Why there is no reply to judge. `local` marks a fault of this machine, which says nothing about the member."""

    reason: Reason
    detail: str
    local: bool = False


class Reply(NamedTuple):
    """A complete reply with an expected status."""

    status: int
    body: bytes


class ReplyReader:
    """Reads one reply. `feed` and `end` return None while more is needed; after they returned something the reader is finished."""

    __slots__ = ("_body", "_buffer", "_expected", "_interim", "_need", "_read", "_scanned", "_spent", "date", "reusable", "status", "suspicious")

    def __init__(self, expected: frozenset[int]) -> None:
        self._expected = expected
        self._buffer = bytearray()
        self._body: bytearray | None = None
        self._read = _head
        self._scanned = 0
        self._interim = 0
        self._spent = 0
        self._need = 0
        self.status: int | None = None
        self.date = b""
        self.suspicious = ""
        self.reusable = False

    @property
    def began(self) -> bool:
        """Whether anything came back at all."""
        return bool(self._buffer) or self.status is not None

    def feed(self, data: bytes) -> Reply | Flaw | None:
        self._buffer += data
        return self._read(self)

    def end(self) -> Reply | Flaw:
        """The server has closed its side."""
        # The one framing in which the end of the connection is the end of the body (RFC 9112 section 6.3).
        if self._read is _until_end and self.status is not None:
            return Reply(self.status, bytes(self._buffer))
        # Told apart: a server that hangs up at once is another fault than one that dies in its answer.
        if not self.began:
            return Flaw(Reason.RESET, "closed without a reply")
        return Flaw(Reason.RESET, "closed in the middle of the reply")


def _head(reader: ReplyReader) -> Reply | Flaw | None:
    """The first head that is not an interim reply's; those are skipped (RFC 9110 section 15.2), a few of them."""
    while True:
        found = _whole_head(reader)
        if not isinstance(found, re.Match):
            return found
        status, end = int(found[2]), found.end()
        if status >= 200:
            flaw = _accept(reader, status, found[1] == b"1", found[3])
            # What is left is the body, or the next head: bytes of one packet belong to both.
            del reader._buffer[:end]
            return flaw or reader._read(reader)
        reader._interim += 1
        # After a 101 the bytes are another protocol's: nothing that follows could be the page.
        if status == 101 or reader._interim > INTERIM_MAX:
            return Flaw(Reason.MALFORMED, "a change of protocol that nobody asked for" if status == 101 else "interim replies without end")
        del reader._buffer[:end]
        reader._scanned = 0


def _whole_head(reader: ReplyReader) -> re.Match[bytes] | Flaw | None:
    buffer = reader._buffer
    end = buffer.find(b"\r\n\r\n", reader._scanned)
    if end < 0:
        # The head's end may be cut in pieces; what was searched is not searched again, or slow drips would cost squares.
        reader._scanned = max(len(buffer) - 3, 0)
        return _early_flaw(buffer)
    # Also for a head that came whole: whether it is too long must not depend on how it was cut.
    if end > HEAD_BYTES_MAX:
        return Flaw(Reason.TOO_LARGE, f"a head of more than {HEAD_BYTES_MAX} bytes")
    head = _HEAD.match(bytes(buffer[: end + 4]))
    return head or Flaw(Reason.MALFORMED, "not an HTTP/1 head: " + escaped(bytes(buffer[:60]).decode("latin-1")))


def _early_flaw(buffer: bytearray) -> Flaw | None:
    """What can be said of a head that is not complete, so that garbage and endless heads end early."""
    start = b"HTTP/1."
    # Whatever there is so far must be how a head begins: an SSH banner fails at its first byte.
    if buffer[: len(start)] != start[: len(buffer)]:
        return Flaw(Reason.MALFORMED, "not HTTP/1: " + escaped(bytes(buffer[:60]).decode("latin-1")))
    if len(buffer) > HEAD_BYTES_MAX:
        return Flaw(Reason.TOO_LARGE, f"a head of more than {HEAD_BYTES_MAX} bytes")
    return None


def _accept(reader: ReplyReader, status: int, modern: bool, fields: bytes) -> Flaw | None:
    """Takes the facts of a well-formed head and chooses how the body ends."""
    reader.status = status
    # Counted before they are read one by one.
    if fields.count(b"\n") > FIELDS_MAX:
        return Flaw(Reason.TOO_LARGE, f"more than {FIELDS_MAX} header fields")
    facts: dict[bytes, bytes] = {}
    for name, value in _FACTS.findall(fields):
        key = name.lower()
        # Two of them, even equal ones, have made two readers see two replies (RFC 9112 section 6.3).
        if key in facts and key in (b"content-length", b"transfer-encoding"):
            return Flaw(Reason.MALFORMED, f"two {key.decode()} fields")
        facts[key] = value.strip(b" \t")
    reader.date = facts.get(b"date", b"")
    reader.suspicious = _cached(facts)
    # The head alone decides: the body of an error page is nobody's business, and may have no end.
    if status not in reader._expected:
        return _unexpected(status, facts.get(b"location"))
    if facts.get(b"content-encoding", b"identity").lower() != b"identity":
        return Flaw(Reason.MALFORMED, "an encoded body: " + escaped(facts[b"content-encoding"][:60].decode("latin-1")))
    # HTTP/1.0 closes unless both agree otherwise, which is never asked.
    reader.reusable = modern and b"close" not in facts.get(b"connection", b"").lower()
    return _framing(reader, modern, facts)


def _framing(reader: ReplyReader, modern: bool, facts: dict[bytes, bytes]) -> Flaw | None:
    length, coding = facts.get(b"content-length"), facts.get(b"transfer-encoding")
    # Without a body by definition, whatever its fields say (RFC 9112 section 6.3).
    if reader.status in (204, 304):
        reader._read, reader._need = _length, 0
    elif coding is not None:
        # A length beside it is how requests are smuggled; another coding would have to be decoded (RFC 9112 section 6.1).
        if not modern or length is not None or coding.lower() != b"chunked":
            return Flaw(Reason.MALFORMED, "a transfer-encoding that is not chunked alone")
        reader._read, reader._body, reader._need = _chunks, bytearray(), -1
    elif length is not None:
        # `int` takes signs, underscores and a million digits; the grammar has digits alone.
        if not length.isdigit() or len(length) > 18:
            return Flaw(Reason.MALFORMED, "a content-length that is not a number: " + escaped(length[:60].decode("latin-1")))
        # Told at the head: nothing of it need be read to know.
        if int(length) > BODY_BYTES_MAX:
            return Flaw(Reason.TOO_LARGE, f"a body of {int(length)} bytes")
        reader._read, reader._need = _length, int(length)
    else:
        reader._read, reader.reusable = _until_end, False
    return None


def _length(reader: ReplyReader) -> Reply | Flaw | None:
    have = len(reader._buffer)
    if have < reader._need:
        return None
    # What nobody asked for: on a kept connection it would be read as the next answer.
    if have > reader._need:
        return Flaw(Reason.MALFORMED, "more bytes than the content-length says")
    return Reply(reader.status or 0, bytes(reader._buffer))


def _until_end(reader: ReplyReader) -> Flaw | None:
    return _too_large() if len(reader._buffer) > BODY_BYTES_MAX else None


def _chunks(reader: ReplyReader) -> Reply | Flaw | None:
    """Decodes what is complete. `_need` is the size of the chunk being read; -1: its size line comes next; -2: the trailers."""
    buffer, body, at = reader._buffer, reader._body, 0
    assert body is not None
    while True:
        if reader._need >= 0:
            end = at + reader._need
            if len(buffer) < end + 2:
                break
            if buffer[end : end + 2] != b"\r\n":
                return Flaw(Reason.MALFORMED, "a chunk that does not end where it said")
            body += buffer[at:end]
            at, reader._need = end + 2, -1
        # Searched within the bound only, so that a line without end costs the same each time.
        end = buffer.find(b"\r\n", at, at + _CHUNK_LINE_MAX)
        if end < 0:
            if len(buffer) - at >= _CHUNK_LINE_MAX:
                return Flaw(Reason.MALFORMED, "a chunk line without end")
            break
        line = bytes(buffer[at:end])
        at = end + 2
        if reader._need == -1:
            flaw = _chunk_size(reader, line)
            if flaw is not None:
                return flaw
        elif not line:
            more = len(buffer) > at
            return Flaw(Reason.MALFORMED, "more bytes after the last chunk") if more else Reply(reader.status or 0, bytes(body))
        elif not _TRAILER.fullmatch(line + b"\r\n"):
            return Flaw(Reason.MALFORMED, "a trailer that is no header field")
        elif _over(reader, len(line) + 2):
            return _too_large()
    del buffer[:at]
    return None


def _chunk_size(reader: ReplyReader, line: bytes) -> Flaw | None:
    found = _CHUNK.fullmatch(line)
    if found is None:
        return Flaw(Reason.MALFORMED, "not a chunk size: " + escaped(line[:60].decode("latin-1")))
    size = int(found[1], 16)
    if _over(reader, size + len(line) + 2):
        return _too_large()
    # The last chunk has size 0; trailers come next.
    reader._need = size or -2
    return None


def _over(reader: ReplyReader, size: int) -> bool:
    """Counts decoded bytes and framing alike, so that a million empty extensions are as much too large as a long body."""
    reader._spent += size
    return reader._spent > HEAD_BYTES_MAX + BODY_BYTES_MAX or len(reader._body or b"") + size > BODY_BYTES_MAX + _CHUNK_LINE_MAX


def _too_large() -> Flaw:
    return Flaw(Reason.TOO_LARGE, f"a body of more than {BODY_BYTES_MAX} bytes")


def _unexpected(status: int, location: bytes | None) -> Flaw:
    if 300 <= status < 400 and status != 304:
        return Flaw(Reason.REDIRECT, escaped(f"{status} to {(location or b'nowhere').decode('latin-1')}"))
    return Flaw(Reason.STATUS, f"status {status}")


def _cached(facts: dict[bytes, bytes]) -> str:
    """The sign of a cache in between: such a reply may be about the past (H19)."""
    # Told and not judged: a cache in between may be wanted, but people must know of it.
    age = facts.get(b"age", b"0")
    if age.isdigit() and int(age[:9]) > 0:
        return f"Age: {int(age[:9])}"
    if b"hit" in facts.get(b"x-cache", b"").lower():
        return "X-Cache: " + escaped(facts[b"x-cache"][:60].decode("latin-1"))
    return ""


def date_seconds(date: bytes) -> float | None:
    """The `Date` field (IMF-fixdate, RFC 9110 section 5.6.7) in UTC seconds; None where it is none."""
    found = _DATE.fullmatch(date)
    month = _MONTHS.get(found[2]) if found else None
    if found is None or month is None:
        return None
    day, year, hour, minute, second = (int(found[n]) for n in (1, 3, 4, 5, 6))
    return float(calendar.timegm((year, month, day, hour, minute, second))) if 1 <= day <= 31 and year >= 1970 else None
