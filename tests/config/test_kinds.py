"""What may be written and what a kind's own `Settings` take are two tables: here they are proved to agree."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from lbctl.actuators import ACTUATORS
from lbctl.config import Config, read
from lbctl.config.kinds import Actuator, Notify
from lbctl.config.services import Monitor
from lbctl.config.surroundings import ACTUATOR_KINDS
from lbctl.config.tree import TsigConfig
from lbctl.errors import ConfigError
from lbctl.notifiers import NOTIFIERS
from lbctl.probes import PROBES

NOTIFY = {
    "url": "mailto:ops@example.com?smtp=localhost",
    "webhook": "{url: 'https://hooks.example.com/x', secret_file: file, ca_file: file, at_least: page}",
    "email": "{to: [a@example.com, b@example.com], sender: l@example.com, host: mail.example.com, port: 587, user: u, password_file: file, "
             "verify: false}",
    "syslog": "{host: log.example.com, port: 6514, protocol: tls, facility: local3, hostname: h, enterprise: 1, ca_file: file, at_least: ticket}",
    "snmp": "{host: nms.example.com, version: 3, user: u, auth: sha, auth_file: file, priv_file: file, engine_id: '8000000001020304'}",
}
ACTUATE = {
    "authoritative": "{name: x.gtm.example.com, ttl: 5s, view: inside, resolvers: [192.0.2.55]}",
    "rfc2136": "{servers: ['192.0.2.53', '[2001:db8::53]:5353'], zone: example.com, name: x.example.com, ttl: 60, timeout: 1s, "
               "verify: ['192.0.2.54'], resolvers: ['192.0.2.55', '192.0.2.55:5353'], "
               "tsig: {name: lbctl., algorithm: hmac-sha512, secret_file: file}, view: outside}",
    "vip": "{address: 203.0.113.9/32, interface: eth0, lease: 5s, forward: [443, 8443], view: inside, "
           "agents: {lb-1: 192.0.2.1, lb-2: '192.0.2.2:9700'}, cert_file: file, key_file: file, ca_file: file}",
    "haproxy": "{socket: /run/haproxy.sock, backend: cores, servers: {a: srv1}, view: inside}",
    "exec": "{name: dns, apply: [/usr/bin/true, x], read: /usr/bin/true, timeout: 3s, view: outside}",
}
MONITOR = {
    "core": "core", "tcp": "{tcp: {port: 443}}", "http": "{http: {path: /health, expect: {status: [200, 204], text: ready, regex: 'o[k]'}}}",
    "site": "{site: {service: core, token_file: file, inner_failover: 30s}}",
}
VIP = "address: 203.0.113.9/32, interface: eth0, view: inside, cert_file: file, key_file: file, ca_file: file"
TEXT = """
authoritative:
  listen: [127.0.0.1:5300]
  zones: {{gtm.example.com: {{ns: {{ns1.gtm.example.com: 192.0.2.1}}}}}}
notify: [{notify}]
services:
  s:
    monitor: {monitor}
    members:
      - {{name: a, role: primary, address: {{inside: 10.0.0.1, outside: 192.0.2.1}}, url: 'https://a.example.com'}}
    actuators: [{actuator}]
"""


def built(folder: Path, *, notify: str = "{url: 'mailto:x@example.com'}", monitor: str = "core", actuator: str = "") -> Config:
    (folder / "file").write_text("c2VjcmV0\n")
    file = folder / "lbctl.yaml"
    file.write_text(TEXT.format(notify=notify, monitor=monitor, actuator=actuator))
    return read(file, {})


def given(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if value is not None}


@pytest.mark.parametrize("kind", sorted(NOTIFIERS))
def test_a_notifier_takes_what_may_be_written_of_it(tmp_path: Path, kind: str) -> None:
    [way] = built(tmp_path, notify=f"{{{kind}: {NOTIFY[kind]}}}").notify
    settings = NOTIFIERS[way.kind].settings(**way.settings)
    for key, value in way.settings.items():
        assert getattr(settings, key) == value


@pytest.mark.parametrize("kind", sorted(ACTUATORS))
def test_an_actuator_takes_what_may_be_written_of_it(tmp_path: Path, kind: str) -> None:
    [actuator] = built(tmp_path, actuator=f"{{{kind}: {ACTUATE[kind]}}}").services["s"].actuators
    settings = ACTUATORS[actuator.kind].settings(**given(actuator.settings))
    for key, value in actuator.settings.items():
        assert getattr(settings, key) == value or isinstance(value, TsigConfig)


@pytest.mark.parametrize("kind", sorted(PROBES))
def test_a_monitor_takes_what_may_be_written_of_it(tmp_path: Path, kind: str) -> None:
    service = built(tmp_path, monitor=MONITOR[kind]).services["s"]
    settings = PROBES[service.monitor.kind].settings(**given(service.monitor.settings))
    for key, value in given(service.monitor.settings).items():
        assert getattr(settings, key) == value
    assert service.settings.monitor.pages == PROBES[kind].pages
    assert service.settings.monitor.modes is PROBES[kind].modes


def test_every_kind_can_be_written() -> None:
    assert set(NOTIFIERS) == set(Notify.model_fields)
    assert set(ACTUATORS) == set(Actuator.model_fields)
    assert set(PROBES) == set(Monitor.model_fields)


def test_an_actuator_is_available_where_the_dictionary_has_it() -> None:
    assert set(ACTUATORS) == set(Actuator.model_fields) & ACTUATOR_KINDS


@pytest.mark.parametrize(("actuator", "words"), [
    ("{exec: {name: x, apply: [sh, -c, x], read: /bin/true}}", "not an absolute path"),
    ("{haproxy: {socket: /x, backend: b, servers: {nobody: s}}}", "there is no member nobody"),
    ("{rfc2136: {servers: [ns.example.com], zone: e.com, name: x.e.com}}", "expected IP, IP:port"),
    ("{rfc2136: {servers: [192.0.2.1], zone: example.com, name: x.other.com, view: inside}}", "is not in the zone"),
    ("{rfc2136: {servers: [192.0.2.1], zone: e.com, name: x.e.com, resolvers: [dns.e.com], view: inside}}", "expected IP, IP:port"),
    ("{authoritative: {name: x.gtm.example.com, view: inside, resolvers: [192.0.2.5, '192.0.2.5:53']}}", "192.0.2.5:53 is named twice"),
    ("{vip: {address: 203.0.113.300, interface: eth0}}", "expected an address such as"),
    ("{vip: {address: 192.0.2.1/32, interface: eth0, view: outside}}", "192.0.2.1 is the own address of a"),
    (f"{{vip: {{{VIP}, agents: {{lb: 192.0.2.1}}}}}}", "there is no member lb"),
    (f"{{vip: {{{VIP}, agents: {{lb: 192.0.2.1}}}}}}", "no agent is named for a"),
    (f"{{vip: {{{VIP}, forward: 443, agents: {{a: 192.0.2.1}}}}}}", "a is a member: with `forward` the agents are balancer hosts"),
    (f"{{vip: {{{VIP}, forward: 443, agents: {{x: 192.0.2.1, y: '192.0.2.1:9654'}}}}}}", "two of the `agents` are one and the same: 192.0.2.1"),
    (f"{{vip: {{{VIP}, agents: {{a: 192.0.2.1}}, lease: 1s}}}}", "with `agents` a `lease` is 2s at least"),
    ("{vip: {address: 203.0.113.9/32, interface: eth0, agents: {a: 192.0.2.1}}}", "`agents` need `cert_file`, `key_file` and `ca_file`"),
    ("{authoritative: {name: x.gtm.example.com}}", "has addresses by view (inside, outside)"),
    ("{}", "exactly one"),
])
def test_what_an_actuator_cannot_mean_is_said(tmp_path: Path, actuator: str, words: str) -> None:
    with pytest.raises(ConfigError) as raised:
        built(tmp_path, actuator=actuator)
    assert words in str(raised.value)


def test_a_key_that_is_none_is_found_before_it_is_needed(tmp_path: Path) -> None:
    actuator = f"{{rfc2136: {ACTUATE['rfc2136']}}}"
    built(tmp_path, actuator=actuator)
    (tmp_path / "other").write_text("not base64!")
    with pytest.raises(ConfigError, match="not base64") as raised:
        built(tmp_path, actuator=actuator.replace("secret_file: file", "secret_file: other"))
    assert "not base64!" not in str(raised.value)
