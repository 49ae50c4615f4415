"""HTTP to the controller with the standard library alone: the Unix socket here, HTTPS with a token elsewhere.

Writes carry a key, so a broken connection is tried again once without acting twice, and the revision that was seen, so that two operators at
once do not overwrite each other (H36).
"""

from __future__ import annotations

import http.client
import json
import os
import re
import secrets
import socket
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Any

import click

from lbctl.cli.failure import NOT_ALLOWED, Failure
from lbctl.cli.options import Globals

DEFAULT_SOCKET = "/run/lbctl/lbctl.sock"
TIMEOUT_S = 30.0
V1 = "/api/v1"
_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("lbctl", timeout=TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(TIMEOUT_S)
        self.sock.connect(self._path)


def address(options: Globals) -> str:
    """Where the controller is: `--api`, $LBCTL_API, what the configuration's `api:` says, the default socket."""
    said = options.api or os.environ.get("LBCTL_API", "")
    if said:
        return said
    block = api_block(options)
    if "socket" in block and block["socket"] in ("", None):
        listen = block.get("listen", "127.0.0.1:9653")
        return f"{'https' if 'tls' in block else 'http'}://{listen[0] if isinstance(listen, list) else listen}"
    return f"unix:{options.config_path.parent.absolute() / block.get('socket', DEFAULT_SOCKET)}"


def api_block(options: Globals) -> dict[str, Any]:
    """Only the `api:` block of the file: reading the services of a large one would take longer than the question."""
    try:
        text = options.config_path.read_text()
    except FileNotFoundError:
        if options.config_given:
            raise Failure(2, f"there is no configuration {options.config_path}") from None
        return {}
    except PermissionError:
        return {}
    found = re.search(r"^api:.*?(?=^[^\s#]|\Z)", text, re.MULTILINE | re.DOTALL)
    if found is None:
        return {}
    import yaml

    try:
        block = yaml.safe_load(_VARIABLE.sub(_from_environment, found[0]))["api"]
    except (yaml.YAMLError, TypeError):
        return {}
    return block if isinstance(block, dict) else {}


def _from_environment(found: re.Match[str]) -> str:
    """As `config.load` does it: `${NAME}`, `${NAME:-default}`."""
    return os.environ.get(found[1], found[2] or "")


class Client:
    """One connection. `now` is the controller's own time at its last answer: ages are shown against it."""

    def __init__(self, options: Globals) -> None:
        self.address = address(options)
        self.now = 0.0
        self._connection: http.client.HTTPConnection | None = None
        context = click.get_current_context(silent=True)
        if context is not None:
            context.find_root().call_on_close(self.close)

    def get(self, *path: str, **query: Any) -> Any:
        """The object at these segments of a path; a `Failure` with the exit code for any problem."""
        return self._ask("GET", self._url(path, query))

    def post(self, path: Sequence[str], body: Mapping[str, Any], *, revision: int | None = None) -> Any:
        """Sends a command; the answer's `code` is 0 or 6."""
        headers = {"Content-Type": "application/json", "Idempotency-Key": secrets.token_urlsafe(16)}
        if revision is not None:
            headers["If-Match"] = f'"{revision}"'
        return self._ask("POST", self._url(path, {}), json.dumps({k: v for k, v in body.items() if v is not None}), headers)

    def stream(self, path: Sequence[str], since: int | None, **query: Any) -> Iterator[tuple[int, dict[str, Any]]]:
        """Events as they come, across broken connections as long as the controller comes back within one try."""
        while True:
            response = self._send("GET", self._url(path, query), None, {} if since is None else {"Last-Event-ID": str(since)})
            self._check(response, b"" if response.status == 200 else response.read())
            for seq, event in _events(response):
                since = seq
                yield seq, event
            self.close()

    def _url(self, path: Sequence[str], query: Mapping[str, Any]) -> str:
        said = {key: value for key, value in query.items() if value is not None}
        return "/".join([V1, *(urllib.parse.quote(segment, safe="") for segment in path)]) + (f"?{urllib.parse.urlencode(said)}" if said else "")

    def _ask(self, method: str, url: str, body: str | None = None, headers: Mapping[str, str] | None = None) -> Any:
        response = self._send(method, url, body, headers or {})
        raw = response.read()
        self._check(response, raw)
        return json.loads(raw)

    def _send(self, method: str, url: str, body: str | None, headers: Mapping[str, str]) -> http.client.HTTPResponse:
        sent = {**headers, **self._token()}
        for last in (False, True):
            try:
                self._connection = self._connection or self._connect()
                self._connection.request(method, url, body, sent)
                response = self._connection.getresponse()
            except (http.client.HTTPException, ConnectionResetError, BrokenPipeError) as error:
                self.close()
                if last:
                    raise Failure(1, f"the connection to {self.address} broke: {error or type(error).__name__}") from None
            except OSError as error:
                raise self._silent(error) from None
            else:
                self._take_time(response)
                return response
        raise AssertionError("unreachable")

    def _take_time(self, response: http.client.HTTPResponse) -> None:
        date = response.getheader("Date")
        if date:
            self.now = parsedate_to_datetime(date).timestamp()

    def _connect(self) -> http.client.HTTPConnection:
        if self.address.startswith("unix:"):
            return _UnixConnection(self.address[5:])
        try:
            parts = urllib.parse.urlsplit(self.address)
            scheme, host, port = parts.scheme, parts.hostname, parts.port
        except ValueError:  # a port that is no number, or too great a one; a bracket that is not closed
            scheme, host, port = "", None, None
        if scheme not in ("http", "https") or not host:
            raise Failure(2, f"--api takes unix:PATH, https://HOST:PORT or http://HOST:PORT, not {self.address!r}")
        if scheme == "http":
            return http.client.HTTPConnection(host, port or 80, timeout=TIMEOUT_S)
        import ssl

        context = ssl.create_default_context(cafile=os.environ.get("LBCTL_CA_FILE"))
        return http.client.HTTPSConnection(host, port or 443, timeout=TIMEOUT_S, context=context)

    def _token(self) -> dict[str, str]:
        if self.address.startswith("unix:"):
            return {}
        token = os.environ.get("LBCTL_TOKEN", "").strip()
        file = os.environ.get("LBCTL_TOKEN_FILE")
        if not token and file:
            try:
                with open(file) as opened:  # noqa: PTH123 - pathlib is not otherwise needed on the fast path
                    token = opened.read().strip()
            except OSError as error:
                raise Failure(2, f"$LBCTL_TOKEN_FILE: {error.strerror}: {file}") from None
        if not all("!" <= letter <= "~" for letter in token):
            raise Failure(2, "the token is not one word of plain letters (what `lbctl token create` printed as its first line)")
        return {"Authorization": f"Bearer {token}"} if token else {}

    def _check(self, response: http.client.HTTPResponse, raw: bytes) -> None:
        if response.status < 400:
            return
        try:
            problem = json.loads(raw)
        except ValueError:
            problem = {}
        if not isinstance(problem, dict) or "code" not in problem:
            raise Failure(1, f"{self.address} answered {response.status} {response.reason}; is it lbctl?")
        detail = str(problem.get("detail", ""))
        if response.status == 401:  # the server speaks of a header, who types has variables
            detail += "; $LBCTL_TOKEN, or the file that $LBCTL_TOKEN_FILE names, is where lbctl takes it from (`lbctl token create` makes one)"
        raise Failure(int(problem["code"]), detail, problem)

    def _silent(self, error: OSError) -> Failure:
        if isinstance(error, PermissionError):
            return Failure(NOT_ALLOWED, f"you may not open {self.address[5:]}: its file permission decides who may; try sudo, or join its group")
        if isinstance(error, FileNotFoundError | ConnectionRefusedError):
            return Failure(1, f"no controller answers at {self.address}; is it running (`lbctl run`)? `--api` names another place")
        if isinstance(error, TimeoutError):
            return Failure(1, f"{self.address} takes the connection and says nothing for {TIMEOUT_S:g} s: is it stopped, or is it no lbctl?")
        reason = getattr(error, "reason", "")  # of ssl.SSLError, whose import is slow and rarely needed
        if reason == "CERTIFICATE_VERIFY_FAILED":
            why = getattr(error, "verify_message", "")
            return Failure(1, f"the certificate of {self.address} is not believed: {why}; $LBCTL_CA_FILE names the authority that signed it")
        if reason:
            return Failure(1, f"{self.address} does not speak TLS as we do ({reason.lower().replace('_', ' ')}); is it http://?")
        return Failure(1, f"{self.address}: {error.strerror or error}")

    def close(self) -> None:
        """No more is asked."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None


def _events(response: http.client.HTTPResponse) -> Iterator[tuple[int, dict[str, Any]]]:
    seq = 0
    while True:
        try:
            line = response.readline().decode().rstrip("\r\n")
        except TimeoutError:
            return
        if not line and response.isclosed():
            return
        if line.startswith("id: "):
            seq = int(line[4:])
        elif line.startswith("data: "):
            yield seq, json.loads(line[6:])
