"""The API of a real `lbctl run` against strangers: schemathesis with a token of each role, and what aiohttp would answer by itself.

Every error is a problem document with its status (RFC 9457); nothing is a 500, leaves a traceback in the log, or repeats what a request held.
"""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case
from schemathesis.specs.openapi import checks

from lbctl.api import openapi
from lbctl.api.connection import FIELD_MAX, HEADERS_MAX, LINE_MAX
from lbctl.api.routes import ROUTES
from lbctl.api.tokens import Role
from tests.api.process import PORT, Running, running

NEEDED = {route.name: route.role for route in ROUTES}
SCHEMA = schemathesis.openapi.from_dict(openapi.document(ROUTES)).exclude(path="/api/v1/events/stream")
EXCLUDED = [checks.ignored_auth, checks.positive_data_acceptance]
"""Loopback reads need no token; and some rules (an end for maintenance, a key for one request only) are beyond what JSON Schema can say."""


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One for all: what one test does to it must not matter to the next. It ends well, whole, and without having stumbled."""
    with running(tmp_path_factory.mktemp("real")) as found:
        yield found
        assert say(found, b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")[0] == 200
        assert found.get("/api/v1/audit")["whole"]
        assert found.end(signal.SIGTERM) == 0
        assert "Traceback" not in found.log and "CANARY" not in found.log


@SCHEMA.parametrize()
@settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_every_endpoint_answers_each_role_as_described(case: Case, real: Running) -> None:
    """H39: who may not is told so before anything else, whatever the request looks like."""
    if len(str(case.body)) % 2 and "name" in (case.path_parameters or {}):
        case.path_parameters["name"] = "core"  # else nearly all of them end at 404
    needed = NEEDED.get(case.operation.definition.raw["operationId"])
    for role in Role:
        answer = case.call_and_validate(
            base_url=real.url, headers={"Authorization": f"Bearer {real.texts[role.name.lower()]}"}, excluded_checks=EXCLUDED)
        if case.method == "POST" and "Authorization" in answer.request.headers:  # some cases are sent without it on purpose
            assert (answer.status_code == 403) == (needed is not None and role < needed)


HOLD = b"POST /api/v1/services/core/hold HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer @\r\nContent-Type: application/json\r\n"
GET = b"GET /api/v1/services HTTP/1.1\r\nHost: localhost\r\n"
HOSTILE: dict[str, tuple[bytes, int]] = {
    "not HTTP": (b"CANARY\r\n\r\n", 501),
    "TLS on a plain port": (b"\x16\x03\x01\x02\x00\x01", 501),
    "HTTP/2 at once": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "HTTP/9": (b"GET / HTTP/9.9\r\nHost: CANARY\r\n\r\n", 505),
    "unknown method": (b"BREW /api/v1/services HTTP/1.1\r\nHost: localhost\r\n\r\n", 501),
    "known method, not here": (b"PROPFIND /api/v1/services HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
    "OPTIONS": (b"OPTIONS /api/v1/services/core/hold HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
    "OPTIONS *": (b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
    "TRACE": (b"TRACE /api/v1/services HTTP/1.1\r\nHost: localhost\r\nX: CANARY\r\n\r\n", 405),
    "CONNECT": (b"CONNECT example.com:80 HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
    "HEAD of a verb": (b"HEAD /api/v1/services/core/hold HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
    "long request line": (b"GET /" + b"CANARY" * LINE_MAX + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 414),
    "long header": (GET + b"Authorization: Bearer " + b"CANARY" * FIELD_MAX + b"\r\n\r\n", 431),
    "many headers": (GET + b"X: CANARY\r\n" * (HEADERS_MAX + 1) + b"\r\n", 431),
    "NUL in a header": (GET + b"X: CANARY\x00\r\n\r\n", 400),
    "space before the colon": (GET + b"Authorization : Bearer CANARY\r\n\r\n", 400),
    "folded header": (GET + b"X: a\r\n CANARY\r\n\r\n", 400),
    "no Host": (b"GET /api/v1/services HTTP/1.1\r\n\r\n", 400),
    "two Hosts": (GET + b"Host: CANARY\r\n\r\n", 400),
    "foreign Host": (b"GET /api/v1/services HTTP/1.1\r\nHost: [::1\r\n\r\n", 421),
    "bytes in the path": (b"GET /api/v1/services/\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "bad absolute form": (b"GET http://[::1/CANARY HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "bad percent encoding": (b"GET /api/v1/services/%zz HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
    "percent encoded bytes": (b"GET /api/v1/services/%ff%fe/explain HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
    "percent encoded NUL": (b"GET /api/v1/services/%00 HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
    "bytes in the query": (b"GET /api/v1/events?service=%ff&limit=%zz HTTP/1.1\r\nHost: localhost\r\n\r\n", 422),
    "up and away": (b"GET /static/..%2f..%2fetc%2fpasswd HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
    "token that is no text": (GET + b"Authorization: Bearer \xff\xfe\r\n\r\n", 401),
    "unknown expectation": (HOLD + b"Expect: 200-maybe\r\nContent-Length: 2\r\n\r\n{}", 417),
    "unknown expectation nowhere": (b"GET /nothing HTTP/1.1\r\nHost: localhost\r\nExpect: 200-maybe\r\n\r\n", 417),
    "no body": (HOLD + b"\r\n", 422),
    "huge body announced": (HOLD + b"Content-Length: 9999999999\r\n\r\n{}", 413),
    "huge body sent": (HOLD + b"Transfer-Encoding: chunked\r\n\r\n" + (b"4000\r\n" + b" " * 0x4000 + b"\r\n") * 5 + b"0\r\n\r\n", 413),
    "overflowing length": (HOLD + b"Content-Length: 99999999999999999999999\r\n\r\n{}", 400),
    "negative length": (HOLD + b"Content-Length: -2\r\n\r\n{}", 400),
    "two lengths": (HOLD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", 400),
    "length and chunks": (HOLD + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n", 400),
    "bad chunk": (HOLD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n", 400),
    "bad chunk later": (HOLD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\nCANARY\r\n", 400),
    "packed body": (HOLD + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}", 415),
    "unknown encoding": (HOLD + b"Content-Encoding: snafu\r\nContent-Length: 2\r\n\r\n{}", 415),
    "type that is none": (HOLD.replace(b"application/json", b";;\xff") + b"Content-Length: 2\r\n\r\n{}", 415),
    "bad JSON": (HOLD + b"Content-Length: 7\r\n\r\n{CANARY", 400),
    "deep JSON": (HOLD + b"Content-Length: 60000\r\n\r\n" + b"[" * 60000, 400),
    "infinite JSON": (HOLD + b'Content-Length: 19\r\n\r\n{"reason":Infinity}', 422),
    "bytes in If-Match": (HOLD + b"If-Match: \xc3\xa9\r\nContent-Length: 14\r\n\r\n" + b'{"reason":"x"}', 400),
    "bytes in a key": (HOLD + b"Idempotency-Key: \xff\r\nContent-Length: 14\r\n\r\n" + b'{"reason":"x"}', 400),
    "foreign digits": (HOLD.replace(b"hold", b"maintenance") + b"Content-Length: 26\r\n\r\n" + '{"for":"٢h","reason":"x"}'.encode(), 422),
    "a stream from nowhere": (b"GET /api/v1/events/stream HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: 9999999999999999\r\n\r\n", 400),
    "upgrade": (GET.replace(b"/services", b"/nothing") + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\nCANARY\r\n\r\n", 404),
}


def say(real: Running, sent: bytes) -> tuple[int, bytes, bytes]:
    """Status, headers and body of the first answer."""
    with socket.create_connection((real.address, PORT), timeout=60) as sock:
        sock.sendall(sent.replace(b"@", real.texts["operator"].encode()))
        got = b""
        while b"\r\n\r\n" not in got:
            got += sock.recv(65536) or pytest.fail(f"hung up after {got!r}")
        head, _, body = got.partition(b"\r\n\r\n")
        length = next((int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
        while len(body) < length and not sent.startswith(b"HEAD"):
            body += sock.recv(65536) or pytest.fail(f"hung up after {got!r}")
    return int(got.split(b" ")[1]), head, body[:length]


@pytest.mark.parametrize(("sent", "status"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_request_gets_a_problem_document(real: Running, sent: bytes, status: int) -> None:
    """RFC 9457; H54: what a stranger sends is neither repeated nor logged."""
    answered, head, body = say(real, sent)
    assert answered == status, (head, body)
    assert b"application/problem+json" in head and b"X-Content-Type-Options: nosniff" in head
    if not sent.startswith(b"HEAD"):
        problem = json.loads(body)
        assert problem["status"] == status and {"type", "title", "detail", "code"} <= set(problem)
        assert "CANARY" not in body.decode()


def test_a_method_that_a_path_does_not_take_is_told_which_it_takes(real: Running) -> None:
    assert b"Allow: POST" in say(real, HOSTILE["OPTIONS"][0])[1]
