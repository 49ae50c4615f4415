"""Secrets planted in every key that carries one, and whatever a running lbctl then says: none of them is in it (H54).

Nothing that is configured answers, so that every way has an error to tell; the configuration is read, planned, refused and audited; wrong and right
tokens are sent. Looked at: log, journal, state, metrics, every endpoint for every role, and the command line.
"""

from __future__ import annotations

import base64
import http.client
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lbctl.config.schema import schema
from tests.api.certificates import Authority
from tests.api.process import PORT, RUN, Running
from tests.controller.pages import Pages

WORD = "CANARY"
FILE = """
controller: {{name: test, state: state.db}}
api: {{socket: s, listen: ["{address}:{port}"], tokens_file: tokens.yaml}}
authoritative:
  listen: ["{address}:5300"]
  zones:
    gtm.example.com:
      ns: {{ns1.gtm.example.com: [192.0.2.1]}}
      also_notify: ["{address}:5399"]
      allow_transfer: ["127.0.0.0/8"]
      tsig: {{name: transfer., algorithm: hmac-sha256, secret_file: zone.tsig}}
safety: {{canaries: ["http://{address}:1"]}}
notify:
- webhook: {{url: "http://hook:{word}-hook-user@{address}:1/services/{word}-hook-path?token={word}-hook-query", secret_file: hook.secret}}
- email: {{host: "{address}", port: 1, to: [ops@example.com], user: ops, password_file: mail.password}}
- snmp: {{host: "{address}", port: 1, version: 2c, community_file: snmp.community}}
- snmp: {{host: "{address}", port: 2, version: "3", user: traps, auth_file: snmp.auth, priv_file: snmp.priv}}
- webhook: "${{PLANTED_URL}}"
defaults: {{probe: {{profile: standard, interval: 500ms, fast_interval: 100ms, timeout: 500ms, fall: 3, min_outage: 0s}}}}
services:
  core:
    members:
      - name: core-a
        role: primary
        address: 192.0.2.10
        url: "https://core-a.example.com:1"
        connect: "{address}"
        tls: {{client_cert_file: member.crt, client_key_file: member.key}}
        freshness: {{source: url, url: "http://fresh:{word}-fresh-user@{address}:1/{word}-fresh-path?key={word}-fresh-query", max_staleness: 90m}}
        drive: {{ssh: "{address}:1", user: admin, key_file: drive.key, known_hosts_file: known_hosts}}
      - {{name: core-b, role: secondary, address: 198.51.100.10, url: "http://{address}:1", syncs_from: core-a}}
    actuators:
      - authoritative: {{name: core.gtm.example.com, ttl: 30}}
      - rfc2136: {{servers: ["{address}:1"], zone: example.com, name: core.example.com, ttl: 30,
                  tsig: {{name: lbctl., algorithm: hmac-sha256, secret_file: update.tsig}}}}
  site:
    monitor: {{site: {{service: core, token_file: site.token}}}}
    members:
      - {{name: one, role: primary, address: 192.0.2.40, url: "http://{address}:{port}"}}
      - {{name: two, role: secondary, address: 192.0.2.41, url: "http://{address}:1", syncs_from: one}}
    actuators:
      - authoritative: {{name: site.gtm.example.com, ttl: 30}}
"""
PLAIN = {"ca_file", "cert_file", "client_cert_file", "client_ca_file", "known_hosts_file"}
"""Files that may be shown to anybody. `vip.agents` has the same three as `api.tls`, and needs a host of its own."""


def plant(directory: Path) -> dict[str, str]:
    """The files. Returns what must never be seen, by where it was planted; keys by their longest line."""
    texts = {name: f"{WORD}-{name}-{base64.b32encode(os.urandom(10)).decode()}" for name in
             ("hook.secret", "mail.password", "snmp.community", "snmp.auth", "snmp.priv", "site.token")}
    texts |= {name: base64.b64encode(f"{WORD}-{name}".ljust(32, "x").encode()).decode() for name in ("zone.tsig", "update.tsig")}
    authority = Authority(directory)
    _, key = authority.issue("member.example.com", file="member")
    texts["member.key"] = Path(key).read_text().splitlines()[1]
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", f"{WORD}-passphrase", "-f", str(directory / "drive.key")], check=True)
    texts["drive.key"] = (directory / "drive.key").read_text().splitlines()[2]
    for name, text in texts.items():
        if not name.endswith(".key"):
            (directory / name).write_text(text + "\n")
            (directory / name).chmod(0o600)
    (directory / "known_hosts").write_text("")
    return texts


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, dict[str, str]]]:
    directory = tmp_path_factory.mktemp("secrets")
    nobody = Pages("Primary")
    made = Running(directory, nobody, nobody)
    texts = plant(directory) | made.texts
    made.file.write_text(FILE.format(address=made.address, port=PORT, word=WORD))
    os.environ["PLANTED_URL"] = f"http://env:{WORD}-environment@{made.address}:1/"
    try:
        made.start(settled=False)
        yield made, texts
    finally:
        made.end(signal.SIGKILL)
        del os.environ["PLANTED_URL"]


def lbctl(real: Running, *words: str) -> str:
    done = subprocess.run([*RUN, "-c", str(real.file), *words], capture_output=True, text=True, timeout=120, check=False)
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def read(real: Running, path: str, **headers: str) -> str:
    connection = http.client.HTTPConnection(real.address, PORT, timeout=60)
    try:
        connection.request("GET", path, headers=headers)
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def everything_said(real: Running) -> Iterator[tuple[str, str]]:
    """Where it was said, and what."""
    good = real.file.read_text()
    yield "wrong token", read(real, "/api/v1/services", Authorization=f"Bearer {WORD}-token-{real.texts['admin'][:-1]}")
    yield "test notice", str(real.post("/notify/test", {}))
    yield "hold", str(real.post("/services/core/hold", {"reason": "x"}))
    for mistake in ("interval: 500ms, timout: 1s", "interval: CANARX"):
        yield "plan", str(real.post("/plan", {"text": good.replace("interval: 500ms", mistake), "name": "new.yaml"}, role="admin"))
    for key in ("url", "secret_file", "community_file", "token_file"):
        yield f"mistake at {key}", str(real.post("/plan", {"text": re.sub(rf"\b{key}: ", f"{key}x: ", good)}, role="admin"))
        yield f"a password at {key}", str(real.post("/plan", {"text": good.replace("http://", f"http://{WORD}-user:{WORD}-password@")}, role="admin"))
        yield f"no list at {key}", str(real.post("/plan", {"text": re.sub(rf"\b{key}: ", f"{key}: [7], x: ", good)}, role="admin"))
    real.file.write_text(good.replace("lockout", "x") + "typo: 1\n")
    yield "refused reload", str(real.post("/reload", {}, role="admin"))
    yield "check of a bad file", lbctl(real, "check")
    real.file.write_text(good.replace("ttl: 30", "ttl: 31"))
    yield "reload", str(real.post("/reload", {}, role="admin"))
    for words in (("check",), ("status", "core"), ("probe", "core/core-a"), ("resume", "core", "--drive"), ("replay", "core", "--set", "fall=2")):
        yield " ".join(words), lbctl(real, *words)
    for path in ("services", "services?brief=true", "services/core", "services/core/explain", "services/core/readiness", "services/core/upgrade",
                 "services/core/looks", "services/site", "cluster", "events?limit=1000", "approvals", "notices", "audit"):
        yield path, read(real, f"/api/v1/{path}", Authorization=f"Bearer {real.texts['admin']}")
    for path in ("/metrics", "/openapi.json", "/readyz", "/livez"):
        yield path, read(real, path)
    assert real.process is not None
    yield "command line", Path(f"/proc/{real.process.pid}/cmdline").read_text()
    assert real.end(signal.SIGTERM) == 0
    yield "log", real.log
    for file in real.directory.glob("state*"):
        yield file.name, file.read_bytes().decode("latin-1")


def test_no_planted_secret_is_ever_said(planted: tuple[Running, dict[str, str]]) -> None:
    real, texts = planted
    said: list[tuple[str, str]] = []
    heard = list(everything_said(real))
    assert len(heard) > 35 and all(text for where, text in heard if not where.startswith(("reload", "state"))), [w for w, t in heard if not t]
    for where, text in heard:
        lowered = text.lower()
        said += [(where, name) for name, secret in texts.items() if secret.lower() in lowered]
        said += [(where, found) for found in re.findall(rf"{WORD}[-\w]*", text)]
    assert said == []


def test_every_key_that_names_a_secret_is_planted() -> None:
    """A new one must be added above."""
    named = {key for model in schema()["$defs"].values() for key in model.get("properties", {}) if key.endswith("_file")} - PLAIN
    assert {key for key in named if f"{key}:" not in FILE} == set()
