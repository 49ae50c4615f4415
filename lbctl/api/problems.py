"""Every error is a problem document (RFC 9457); a refusal names its rule and its evidence.

One table says how a command's outcome looks over HTTP, so that the command line can turn it back into the same exit code.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from lbctl.model.commands import Code, Reply

CONTENT_TYPE = "application/problem+json"
SECURITY: Mapping[str, str] = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
"""Headers of every answer that does not bring its own."""

STATUS_OF: Mapping[Code, int] = {
    Code.DONE: 200,
    Code.ACCEPTED: 202,
    Code.ERROR: 500,
    Code.USAGE: 422,
    Code.REFUSED: 409,
    Code.CONFLICT: 412,
    Code.NO_QUORUM: 503,
    Code.CONFIG_INVALID: 422,
    Code.NOT_ALLOWED: 403,
}
"""How a command ended, as an HTTP status."""

TITLES: Mapping[int, str] = {
    400: "malformed request",
    401: "who are you?",
    403: "not allowed",
    404: "no such thing",
    405: "method not allowed",
    408: "too slow",
    409: "refused by a safety rule",
    412: "somebody else changed it first",
    413: "too large",
    414: "too long",
    415: "send application/json",
    417: "expectation failed",
    421: "not this host",
    422: "not understood",
    429: "too many attempts",
    431: "headers too large",
    500: "error",
    501: "unknown method",
    503: "not able to act",
    504: "took too long",
    505: "unknown HTTP version",
}

_CODE_OF: Mapping[int, Code] = {401: Code.NOT_ALLOWED, 403: Code.NOT_ALLOWED, 421: Code.NOT_ALLOWED, 429: Code.NOT_ALLOWED, 409: Code.REFUSED,
                                412: Code.CONFLICT, 503: Code.NO_QUORUM, 500: Code.ERROR, 504: Code.ERROR}


@dataclass
class Refusal(Exception):
    """An answer that is an error. Raised by handlers, turned into a document by the middleware; never for what a caller of Python would catch."""

    status: int
    detail: str
    code: Code | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """The members of RFC 9457, and ours."""
        title = TITLES.get(self.status, "error")
        code = self.code if self.code is not None else _CODE_OF.get(self.status, Code.USAGE)
        return {"type": "about:blank", "title": title, "status": self.status, "detail": self.detail, "code": int(code), **self.extra}

    def response(self) -> web.Response:
        """The document as an HTTP answer, in ASCII."""
        body = json.dumps(self.document(), default=str).encode()
        return web.Response(body=body, status=self.status, content_type=CONTENT_TYPE, headers={**SECURITY, **self.headers})


def refused(reply: Reply) -> Refusal:
    """A command that did not do what was asked, as a problem."""
    extra: dict[str, Any] = {}
    if reply.rule:
        extra["rule"] = reply.rule
    if reply.rule or reply.evidence:
        extra["evidence"] = dict(reply.evidence)
    return Refusal(STATUS_OF[reply.code], reply.message, reply.code, extra)


_WORDS: Mapping[int, str] = {
    404: "nothing is served at this path; /openapi.json lists what is",
    405: "this path does not take this method",
    413: "the body is too large",
    417: "Expect takes 100-continue and nothing else",
}


def from_http(error: web.HTTPException) -> Refusal:
    """aiohttp's own errors (404, 405, 413 …) in the same form."""
    headers = {name: value for name, value in error.headers.items() if name in ("Allow", "Location")}
    takes = f"; it takes {headers['Allow'].replace(',', ', ')}" if "Allow" in headers else ""
    return Refusal(error.status, _WORDS.get(error.status, error.reason) + takes, None, {}, headers)
