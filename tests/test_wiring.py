"""Every kind that a configuration may name is made from it: probes, targets, canaries, actuators, zones, ways to tell people."""

from __future__ import annotations

import base64
import dataclasses
from pathlib import Path
from typing import Any, cast

import pytest

from lbctl import wiring
from lbctl.actuators import Surroundings
from lbctl.clock import SystemClock
from lbctl.config import Config, read
from lbctl.controller import CANARIES
from lbctl.dns.server import Server
from lbctl.dns.settings import Endpoint
from lbctl.errors import ConfigError
from lbctl.freshness import Source
from lbctl.probes.engine import Engine

FILE = """
controller: {{name: test, state: state.db}}
api: {{socket: null, listen: []}}
safety: {{canaries: ["https://canary.example.net/health", "198.51.100.99:53", "[2001:db8::9]:443"]}}
authoritative:
  listen: [127.0.0.1:0]
  zones: {{gtm.example.com: {{ns: {{ns1.gtm.example.com: [192.0.2.1]}}, also_notify: [192.0.2.53]}}}}
notify:
  - webhook: {{url: "https://hooks.example.com/x"}}
  - email: {{to: [ops@example.com], host: mail.example.com}}
services:
  core:
    members:
      - {{name: a, role: primary, address: 192.0.2.10, url: "https://core-a.example.com/base", connect: "10.1.1.10:8443"}}
      - {{name: b, role: secondary, address: 198.51.100.10, syncs_from: a}}
    actuators:
      - authoritative: {{name: core.gtm.example.com, ttl: 20}}
      - rfc2136: {{servers: [192.0.2.53], zone: example.com, name: core.example.com,
                  tsig: {{name: lbctl., algorithm: hmac-sha256, secret_file: tsig.key}}}}
  sentry:
    kind: pool
    monitor: {{http: {{path: /ready, expect: {{status: [200, 204], text: fine}}}}}}
    members:
      - {{name: s1, role: primary, address: 192.0.2.20, url: "http://192.0.2.20:8080"}}
      - {{name: s2, role: secondary, address: 192.0.2.21, url: "http://192.0.2.21:8080"}}
    actuators: [{{authoritative: {{name: sentry.gtm.example.com}}}}]
"""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "tsig.key").write_bytes(base64.b64encode(b"secret-secret-secret"))
    file = tmp_path / "lbctl.yaml"
    file.write_text(FILE.format())
    return read(file)


async def test_a_service_is_looked_at_as_its_monitor_says(config: Config) -> None:
    engine = Engine(SystemClock())
    try:
        core, sentry = config.services["core"], config.services["sentry"]
        probe = wiring.probe_of(core.monitor, engine)
        targets = wiring.targets_of(core, probe.pages)
        assert (probe.pages, probe.modes) == (("status", "hastatus"), True)
        assert [(t.member, t.page, t.host, t.port, t.path, t.place) for t in targets] == [
            ("a", "status", "core-a.example.com", 443, "/base", ("10.1.1.10", 8443)),
            ("a", "hastatus", "core-a.example.com", 443, "/base", ("10.1.1.10", 8443)),
            ("b", "status", "198.51.100.10", 443, "", ("198.51.100.10", 443)),
            ("b", "hastatus", "198.51.100.10", 443, "", ("198.51.100.10", 443)),
        ]
        assert wiring.probe_of(sentry.monitor, engine).pages == ("http",)
        assert {t.timeout_s for t in targets} == {3.0}
    finally:
        engine.close()


async def test_canaries_are_asked_where_they_have_a_url_and_connected_to_where_not(config: Config) -> None:
    engine = Engine(SystemClock())
    try:
        made = wiring.canaries_of(config.canaries, engine)
        http = next(probe for name, probe, _ in made if name == f"{CANARIES}/http")
        assert {301, 401, 404, 503} <= set(cast("Any", http).settings.status), "whatever it answers, the way there is open"
        found = {name: [(t.member, t.place) for t in targets] for name, _, targets in made}
        assert found == {
            f"{CANARIES}/http": [("https://canary.example.net/health", ("canary.example.net", 443))],
            f"{CANARIES}/tcp": [("198.51.100.99:53", ("198.51.100.99", 53)), ("[2001:db8::9]:443", ("2001:db8::9", 443))],
        }
    finally:
        engine.close()


async def test_actuators_have_the_ids_that_the_settings_name(config: Config) -> None:
    assert config.authoritative is not None
    server = Server(wiring.server_settings(config, config.authoritative), SystemClock())
    around = Surroundings(SystemClock(), server)
    for service in config.services.values():
        made = [wiring.actuator_of(built, around) for built in service.actuators]
        assert tuple(actuator.id for actuator in made) == service.settings.actuators
        for actuator in made:
            await actuator.close()
    await server.close()


def test_the_copy_of_the_last_answers_stands_beside_the_state_and_apart_from_it(config: Config, tmp_path: Path) -> None:
    assert config.authoritative is not None
    settings = wiring.server_settings(config, config.authoritative)
    assert settings.copy_path == tmp_path / "state.answers"
    assert settings.zones[0].also_notify == (Endpoint("192.0.2.53", 53),)


CHAIN = """
controller: {name: test, state: state.db}
api: {socket: null, listen: []}
services:
  core:
    members:
      - {name: a, role: primary, probe: {families: any}, address: {inside: [10.0.0.1, "2001:db8::1"], outside: 192.0.2.10}, url: "https://core-a.example.com",
         connect: ["10.1.1.10:8443", "[2001:db8:1::10]:8443"],
         freshness: {source: url, url: "https://age.example.com/a", max_staleness: 1h}}
      - {name: b, role: secondary, syncs_from: a, address: 198.51.100.10, url: "https://nat.example.com:8443", connect: "203.0.113.1:8443",
         drive: {ssh: "10.2.2.2:22", user: x, key_file: tsig.key, known_hosts_file: tsig.key},
         freshness: {source: ssh, max_staleness: 1h}}
      - {name: dr, role: secondary, syncs_from: b, address: 198.51.100.20, url: "https://nat.example.com:8444", connect: "203.0.113.1:8444",
         freshness: {source: url, url: "https://age.example.com/dr", max_staleness: 1h}}
"""


def chain_sources(tmp_path: Path) -> dict[str, Source]:
    (tmp_path / "tsig.key").write_text("x")
    file = tmp_path / "lbctl.yaml"
    file.write_text(CHAIN)
    services = read(file).services.values()
    hands = wiring.hands_of(services, SystemClock())
    return {source.member: source for source in wiring.sources_of(services, hands)}


def test_a_core_may_call_its_source_by_any_of_its_names_and_each_means_one_member(tmp_path: Path) -> None:
    """SEMANTICS 3: re-synced is a sync *from the active*; in a chain of three it matters whose it was."""
    sources = chain_sources(tmp_path)
    of_dr = sources["dr"].names
    assert {of_dr[text] for text in ("a", "10.0.0.1", "2001:db8::1", "192.0.2.10", "core-a.example.com", "10.1.1.10", "2001:db8:1::10")} == {"a"}
    assert {of_dr[text] for text in ("b", "198.51.100.10", "10.2.2.2")} == {"b"}
    # Seen from A two members stand behind one address: what came from there came from nobody known. Seen from DR it is B alone.
    assert "203.0.113.1" not in sources["a"].names and of_dr["203.0.113.1"] == "b" and sources["b"].names["203.0.113.1"] == "dr"
    assert all(source.member not in source.names.values() for source in sources.values())
    assert [sources[name].hand is not None for name in ("a", "b", "dr")] == [False, True, False]


def test_whose_copy_a_member_has_is_not_guessed_in_a_chain_of_three(tmp_path: Path) -> None:
    """A source that tells only an age (a file) is believed of the partner; of two that might be it, of none."""
    sources = chain_sources(tmp_path)
    assert {name: source.partner for name, source in sources.items()} == {"a": "", "b": "a", "dr": "b"}


def test_a_secret_that_is_none_is_named_by_its_file_and_never_repeated(config: Config, tmp_path: Path) -> None:
    """H54."""
    (tmp_path / "tsig.key").write_text("planted-canary-!!")
    with pytest.raises(ConfigError) as caught:
        wiring.actuator_of(config.services["core"].actuators[1], Surroundings(SystemClock()))
    assert "tsig.key" in str(caught.value)
    assert "planted" not in str(caught.value)


def test_every_way_to_tell_people_is_made_and_a_wrong_one_is_named(config: Config) -> None:
    made = wiring.notifiers_of(config.notify, SystemClock())
    assert len(made) == 2
    wrong = dataclasses.replace(config.notify[0], settings={"url": "gopher://x"})
    with pytest.raises(ConfigError, match=r"notify\[0\]"):
        wiring.notifiers_of([wrong], SystemClock())
