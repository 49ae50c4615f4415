"""A real `lbctl run`: a process over two status pages, on an address of its own, with a token of each role. It can be killed and started again."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lbctl.api import tokens
from lbctl.clock import SystemClock
from tests.controller.pages import Pages

RUN = [sys.executable, "-m", "lbctl.cli"]
PORT = 9653

FILE = """
controller: {{name: test, state: state.db}}
api: {{socket: s, listen: ["{address}:{port}"], tokens_file: tokens.yaml}}
authoritative:
  listen: ["{address}:5300"]
  zones: {{gtm.example.com: {{ns: {{ns1.gtm.example.com: [192.0.2.1]}}}}}}
defaults: {{probe: {{profile: standard, interval: 500ms, fast_interval: 100ms, timeout: 500ms, fall: 3, min_outage: 0s}}}}
services:
  core:
    members:
      - {{name: core-a, role: primary, address: 192.0.2.10, url: "{a}"}}
      - {{name: core-b, role: secondary, address: 198.51.100.10, url: "{b}", syncs_from: core-a}}
    actuators:
      - authoritative: {{name: core.gtm.example.com, ttl: 30}}
{actuators}
  beside:
    automation: observe
    members:
      - {{name: core-a, role: primary, address: 192.0.2.20, url: "{a}"}}
      - {{name: core-b, role: secondary, address: 198.51.100.20, url: "{b}", syncs_from: core-a}}
    actuators:
      - authoritative: {{name: beside.gtm.example.com, ttl: 30}}
  sentry:
    kind: pool
    monitor: {{http: {{path: /status/status.html, expect: {{status: [200, 503]}}}}}}
    members:
      - {{name: sentry-a, address: 192.0.2.30, url: "{a}"}}
      - {{name: sentry-b, address: 192.0.2.31, url: "{b}"}}
    actuators:
      - authoritative: {{name: sentry.gtm.example.com, ttl: 30}}
"""


class Running:
    """`texts` has the token of each role by the role's name."""

    def __init__(self, directory: Path, a: Pages, b: Pages, actuators: str = "") -> None:
        self.directory, self.a, self.b = directory, a, b
        # a loopback address that is nobody else's, so that the ports stay ours while the process is dead
        self.address = f"127.{'.'.join(str(1 + byte % 250) for byte in os.urandom(3))}"
        self.file = directory / "lbctl.yaml"
        self.file.write_text(FILE.format(address=self.address, port=PORT, a=a.url, b=b.url, actuators=actuators))
        self.texts = self._make_tokens()
        self.process: subprocess.Popen[bytes] | None = None

    def _make_tokens(self) -> dict[str, str]:
        file, texts = tokens.Tokens(), {}
        for role in tokens.Role:
            token, texts[role.name.lower()] = tokens.create(role.name.lower(), role, now=SystemClock().now())
            file.tokens.append(token)
        tokens.save(self.directory / "tokens.yaml", file)
        return texts

    @property
    def url(self) -> str:
        return f"http://{self.address}:{PORT}"

    @property
    def log(self) -> str:
        return (self.directory / "log").read_text()

    def start(self, *, settled: bool = True) -> None:
        """Runs, until the API answers; `settled`: until every service knows what is published."""
        with (self.directory / "log").open("a") as log:
            self.process = subprocess.Popen([*RUN, "-c", str(self.file), "run"], stdout=log, stderr=log, cwd=self.directory)
        self.until(lambda: all(service["state"] != "uninitialised" or not settled for service in self.get("/api/v1/services")["services"]))

    def end(self, number: int = signal.SIGTERM) -> int:
        """The exit code; 0 where it was not running."""
        if self.process is None:
            return 0
        process, self.process = self.process, None
        process.send_signal(number)
        return process.wait(60)

    def until(self, holds: Any) -> None:
        deadline = time.monotonic() + 60
        while True:
            try:
                if holds():
                    return
            except (OSError, http.client.HTTPException, KeyError):
                pass
            assert time.monotonic() < deadline and (self.process is None or self.process.poll() is None), self.log
            time.sleep(0.1)

    def request(self, method: str, path: str, body: Any = None, *, role: str = "", **headers: str) -> tuple[int, Any]:
        """Status and JSON. A raw body goes as it stands."""
        connection = http.client.HTTPConnection(self.address, PORT, timeout=60)
        if role:
            headers["Authorization"] = f"Bearer {self.texts[role]}"
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"{}")
        finally:
            connection.close()

    def get(self, path: str) -> Any:
        return self.request("GET", path)[1]

    def post(self, path: str, body: Any, *, role: str = "operator", **headers: str) -> tuple[int, Any]:
        return self.request("POST", f"/api/v1{path}", body, role=role, **headers)


@contextmanager
def running(directory: Path, actuators: str = "") -> Iterator[Running]:
    """Started, every service `normal`; ended whatever happened. `actuators` are more of them for `core`, as lines of YAML."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def on_loop(story: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(story, loop).result(60)

    a, b = on_loop(Pages("Primary").start()), on_loop(Pages("Standby").start())
    made = Running(directory, a, b, actuators)
    try:
        made.start()
        made.until(lambda: all(service["state"] == "normal" for service in made.get("/api/v1/services")["services"]))
        yield made
    finally:
        made.end(signal.SIGKILL)
        on_loop(a.stop())
        on_loop(b.stop())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
