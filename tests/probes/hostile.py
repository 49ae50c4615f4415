"""The hostile corpus: what a server may answer, and the verdict and reason that it must get (G-LB1, G-LB2, H13-H16).

Each row is a name, the reply, and what is expected on the status page. `Ends` says what the server does after its bytes: it closes, resets,
or stays silent with the connection open.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass

from lbctl.model.looks import Reason, Verdict

MESSAGE = b"MOBILEIRON-STATUS: OK"
LENGTH = b"Content-Length: %d\r\n" % len(MESSAGE)
HEAD = b"HTTP/1.1 200 OK\r\n"
ZIPPED = gzip.compress(b"\0" * 10_000_000)


@dataclass(frozen=True, slots=True)
class Row:
    """`bytes_sent`, then `ends`: close, reset or hang."""

    name: str
    sent: bytes
    reason: Reason
    ends: str = "close"
    page: str = "status"
    verdict: Verdict = Verdict.FAILED


def _bodies() -> list[Row]:
    texts = {
        "empty body": b"",
        "okay": MESSAGE + b"AY",
        "not ok": b"NOT " + MESSAGE,
        "standby's message": MESSAGE + b" (Mode: Standby)",
        "lower case": MESSAGE.lower(),
        "login page with the words": b"<h1>Log in</h1><p>" + MESSAGE + b"</p>",
        "json": b'{"s": "' + MESSAGE + b'"}',
        "twice": MESSAGE + b"\n" + MESSAGE,
        "in a comment": b"<!--" + MESSAGE + b"-->",
        "utf-16": MESSAGE.decode().encode("utf-16"),
        "zero bytes": b"\0" * 100,
        "not text": bytes(range(256)),
        "64 KiB of other text": b"x" * 65536,
        "endless comment": b"<!--" * 16000,
    }
    return [Row("body: " + name, HEAD + b"Content-Length: %d\r\n\r\n" % len(text) + text, Reason.MISMATCH) for name, text in texts.items()]


def _statuses() -> list[Row]:
    rows = [
        Row(f"status {status} with the right text", b"HTTP/1.1 %d x\r\n" % status + LENGTH + b"\r\n" + MESSAGE, Reason.STATUS)
        for status in (201, 206, 226, 400, 401, 403, 404, 418, 429, 500, 502, 503, 504, 599)
    ]
    rows += [
        Row(f"redirect {status}", b"HTTP/1.1 %d x\r\nLocation: /login\r\n" % status + LENGTH + b"\r\n" + MESSAGE, Reason.REDIRECT)
        for status in (300, 301, 302, 303, 307, 308)
    ]
    return [
        *rows,
        Row("204 without a body", b"HTTP/1.1 204 No Content\r\n\r\n", Reason.STATUS),
        Row("304", b"HTTP/1.1 304 Not Modified\r\n\r\n", Reason.STATUS),
        Row("redirect without a place", b"HTTP/1.1 302 x\r\n\r\n", Reason.REDIRECT),
        Row("redirect to the right page", b"HTTP/1.1 302 x\r\nLocation: /status/status.html\r\n\r\n", Reason.REDIRECT),
    ]


def _heads() -> list[Row]:
    bad = {
        "no http at all": b"hello\r\n\r\n",
        "the text alone": MESSAGE + b"\r\n\r\n",
        "ssh": b"SSH-2.0-OpenSSH_9.2\r\n",
        "smtp": b"220 mail ESMTP\r\n",
        "http/2": b"HTTP/2 200\r\n\r\n" + MESSAGE,
        "http/1.2": b"HTTP/1.2 200 OK\r\n\r\n" + MESSAGE,
        "http/0.9": b"<html>" + MESSAGE + b"</html>",
        "lower case protocol": b"http/1.1 200 OK\r\n\r\n" + MESSAGE,
        "icy": b"ICY 200 OK\r\n\r\n" + MESSAGE,
        "status of two digits": b"HTTP/1.1 20 OK\r\n\r\n",
        "status of four digits": b"HTTP/1.1 2000 OK\r\n\r\n" + MESSAGE,
        "status 000": b"HTTP/1.1 000 OK\r\n\r\n",
        "status 999": b"HTTP/1.1 999 OK\r\n\r\n",
        "bare line feeds": b"HTTP/1.1 200 OK\nContent-Length: 21\n\n" + MESSAGE + b"\r\n\r\n",
        "zero byte in a field": HEAD + b"A: \0\r\n" + LENGTH + b"\r\n" + MESSAGE,
        "folded field": HEAD + b"A: b\r\n c\r\n" + LENGTH + b"\r\n" + MESSAGE,
        "field without colon": HEAD + b"nonsense\r\n" + LENGTH + b"\r\n" + MESSAGE,
        "space before colon": HEAD + b"Content-Length : 21\r\n\r\n" + MESSAGE,
        "escape in a field": HEAD + b"A: \x1b[2J\r\n" + LENGTH + b"\r\n" + MESSAGE,
        "two lengths": HEAD + LENGTH + b"Content-Length: 5\r\n\r\n" + MESSAGE,
        "the same length twice": HEAD + LENGTH + LENGTH + b"\r\n" + MESSAGE,
        "list of lengths": HEAD + b"Content-Length: 21, 21\r\n\r\n" + MESSAGE,
        "negative length": HEAD + b"Content-Length: -1\r\n\r\n" + MESSAGE,
        "length with a sign": HEAD + b"Content-Length: +21\r\n\r\n" + MESSAGE,
        "length in hex": HEAD + b"Content-Length: 0x15\r\n\r\n" + MESSAGE,
        "empty length": HEAD + b"Content-Length:\r\n\r\n" + MESSAGE,
        "length too short": HEAD + b"Content-Length: 20\r\n\r\n" + MESSAGE,
        "length and chunks": HEAD + LENGTH + b"Transfer-Encoding: chunked\r\n\r\n15\r\n" + MESSAGE + b"\r\n0\r\n\r\n",
        "gzip": HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(ZIPPED) + ZIPPED,
        "brotli": HEAD + b"Content-Encoding: br\r\n" + LENGTH + b"\r\n" + MESSAGE,
        "gzip that is none": HEAD + b"content-encoding: GZIP\r\n" + LENGTH + b"\r\n" + MESSAGE,
        "gzip as transfer": HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "unknown transfer": HEAD + b"Transfer-Encoding: identity\r\n\r\n" + MESSAGE,
        "chunks in http/1.0": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n15\r\n" + MESSAGE + b"\r\n0\r\n\r\n",
        "change of protocol": b"HTTP/1.1 101 Switching\r\nUpgrade: h2c\r\n\r\n",
        "two replies": (HEAD + LENGTH + b"\r\n" + MESSAGE) * 2,
    }
    return [Row("head: " + name, sent, Reason.MALFORMED) for name, sent in bad.items()]


def _chunks() -> list[Row]:
    start = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    bad = {
        "size is no number": b"zz\r\n" + MESSAGE,
        "negative size": b"-5\r\n" + MESSAGE,
        "size with 0x": b"0x15\r\n" + MESSAGE,
        "empty size": b"\r\n" + MESSAGE,
        "size too small": b"10\r\n" + MESSAGE + b"\r\n0\r\n\r\n",
        "size of nine digits": b"100000000\r\n" + MESSAGE,
        "endless size line": b"1;" + b"a" * 5000,
        "bad trailer": b"15\r\n" + MESSAGE + b"\r\n0\r\nno colon\r\n\r\n",
        "more after the end": b"15\r\n" + MESSAGE + b"\r\n0\r\n\r\nmore",
    }
    rows = [Row("chunks: " + name, start + sent, Reason.MALFORMED) for name, sent in bad.items()]
    return [
        *rows,
        Row("chunks: one too large", start + b"fffffff\r\n", Reason.TOO_LARGE, "hang"),
        Row("chunks: a great many", start + b"400\r\n" + (b"x" * 1024 + b"\r\n400\r\n") * 200, Reason.TOO_LARGE, "hang"),
        Row("chunks: a million extensions", start + (b"1;" + b"e" * 1000 + b"\r\nx\r\n") * 200, Reason.TOO_LARGE, "hang"),
        Row("chunks: cut", start + b"15\r\nMOBILE", Reason.RESET),
        Row("chunks: no end", start + b"15\r\n" + MESSAGE + b"\r\n", Reason.TIMEOUT, "hang"),
        Row("chunks: trailers without end", start + b"0\r\n" + b"A: b\r\n" * 20000, Reason.TOO_LARGE, "hang"),
    ]


def _sizes() -> list[Row]:
    return [
        Row("a body of 10 GB announced", HEAD + b"Content-Length: 10000000000\r\n\r\n" + MESSAGE, Reason.TOO_LARGE, "hang"),
        Row("a length of hundred digits", HEAD + b"Content-Length: " + b"9" * 100 + b"\r\n\r\n" + MESSAGE, Reason.MALFORMED, "hang"),
        Row("a body without end", HEAD + b"\r\n" + b"x" * 200_000, Reason.TOO_LARGE, "hang"),
        Row("one byte too long", HEAD + b"Content-Length: 65537\r\n\r\n" + b"x" * 65537, Reason.TOO_LARGE),
        Row("a field without end", HEAD + b"A: " + b"b" * 100_000, Reason.TOO_LARGE, "hang"),
        Row("fields without end", HEAD + b"A: b\r\n" * 20_000, Reason.TOO_LARGE, "hang"),
        Row("too many fields", HEAD + b"A: b\r\n" * 101 + LENGTH + b"\r\n" + MESSAGE, Reason.TOO_LARGE),
        Row("interim replies without end", b"HTTP/1.1 103 Early\r\n\r\n" * 5000, Reason.MALFORMED, "hang"),
        Row("spaces for ever", HEAD + b"Location:" + b" " * 60_000 + b"x", Reason.TOO_LARGE, "hang"),
    ]


def _ends() -> list[Row]:
    return [
        Row("closed at once", b"", Reason.RESET),
        Row("reset at once", b"", Reason.RESET, "reset"),
        Row("closed in the status line", b"HTTP/1.1 2", Reason.RESET),
        Row("closed in the head", HEAD + b"Content-Le", Reason.RESET),
        Row("closed in the body", HEAD + LENGTH + b"\r\nMOBILEIRON-STATUS:", Reason.RESET),
        Row("reset in the body", HEAD + LENGTH + b"\r\nMOBILEIRON-STATUS:", Reason.RESET, "reset"),
        Row("silence", b"", Reason.TIMEOUT, "hang"),
        Row("silence in the head", HEAD, Reason.TIMEOUT, "hang"),
        Row("silence in the body", HEAD + LENGTH + b"\r\nMOBILE", Reason.TIMEOUT, "hang"),
        Row("length too long", HEAD + b"Content-Length: 22\r\n\r\n" + MESSAGE, Reason.TIMEOUT, "hang"),
        Row("no length and no end", HEAD + b"\r\n" + MESSAGE, Reason.TIMEOUT, "hang"),
        Row("body of 200 that needs none", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", Reason.MISMATCH),
    ]


def _modes() -> list[Row]:
    def page(text: bytes) -> bytes:
        return HEAD + b"Content-Length: %d\r\n\r\n" % len(text) + text

    return [
        Row("hastatus: no mode", page(MESSAGE), Reason.MISMATCH, page="hastatus"),
        Row("hastatus: both modes", page(MESSAGE + b" (Mode: Standby) (Mode: Primary)"), Reason.MISMATCH, page="hastatus"),
        Row("hastatus: lower case", page(MESSAGE + b" (Mode: standby)"), Reason.UNKNOWN_MODE, page="hastatus", verdict=Verdict.UNKNOWN),
        Row("hastatus: maintenance", page(MESSAGE + b" (Mode: Maintenance)"), Reason.UNKNOWN_MODE, page="hastatus", verdict=Verdict.UNKNOWN),
        Row("hastatus: 503 standby", b"HTTP/1.1 503 x\r\nContent-Length: 37\r\n\r\n" + MESSAGE + b" (Mode: Standby)", Reason.STATUS, page="hastatus"),
    ]


CORPUS: list[Row] = [*_bodies(), *_statuses(), *_heads(), *_chunks(), *_sizes(), *_ends(), *_modes()]

GOOD: dict[str, bytes] = {
    "length": HEAD + LENGTH + b"\r\n" + MESSAGE,
    "until the end": HEAD + b"\r\n" + MESSAGE,
    "http/1.0": b"HTTP/1.0 200 OK\r\n\r\n" + MESSAGE + b"\r\n",
    "no reason phrase": b"HTTP/1.1 200\r\n" + LENGTH + b"\r\n" + MESSAGE,
    "chunks": HEAD + b"Transfer-Encoding: chunked\r\n\r\n15\r\n" + MESSAGE + b"\r\n0\r\n\r\n",
    "many chunks": HEAD + b"transfer-encoding:Chunked\r\n\r\n" + b"".join(b"1;x=y\r\n%c\r\n" % byte for byte in MESSAGE) + b"000\r\nA: b\r\n\r\n",
    "interim reply": b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + HEAD + LENGTH + b"\r\n" + MESSAGE,
    "identity": HEAD + b"Content-Encoding: identity\r\n" + LENGTH + b"\r\n" + MESSAGE,
    "other letters in a field": HEAD + "Server: Caf\u00e9\r\n".encode() + LENGTH + b"\r\n" + MESSAGE,
}
