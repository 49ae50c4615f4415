"""Every mistake of a configuration, each with its place and what was expected, all in one run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbctl.config import Config, read
from lbctl.config.kinds import Actuator, Notify
from lbctl.errors import ConfigError, Problem
from lbctl.model.settings import ProbeSettings

BASE = """\
controller: {quorum: 1}
api:
  listen: 127.0.0.1:9653
authoritative:
  listen: [127.0.0.1:5300]
  zones:
    gtm.example.com:
      ns: {ns1.gtm.example.com: [192.0.2.1]}
safety:
  canaries: [192.0.2.254:443]
defaults:
  probe: {profile: careful}
services:
  core:
    automation: on
    members:
      - name: core-a
        role: primary
        address: 192.0.2.10
      - name: core-b
        address: [192.0.2.11, "2001:db8::11"]
        syncs_from: core-a
    actuators:
      - authoritative: {name: core.gtm.example.com, ttl: 30}
"""

MISTAKES = [
    # what stands there, what is written instead, line, column, words of message and hint
    ("    automation: on", "    automaton: on", 15, 5, "unknown key", "did you mean 'automation'?"),
    ("    automation: on", "    automation: maybe", 15, 17, "expected on or observe", ""),
    ("    automation: on", "    automation: observ", 15, 17, "not 'observ'", "did you mean 'observe'?"),
    ("profile: careful", "profile: carefull", 12, 20, "carefull", "did you mean 'careful'?"),
    ("profile: careful", "interval: 5", 12, 21, "duration with its unit", ""),
    ("profile: careful", "interval: -5s", 12, 21, "duration with its unit", ""),
    ("profile: careful", "interval: 0s", 12, 21, "above zero", ""),
    ("profile: careful", "timeout: 6s", 12, 3, "timeout 6s is longer than interval 5s", ""),
    ("profile: careful", "fast_interval: 9s", 12, 3, "fast_interval 9s is longer", ""),
    ("profile: careful", "fall: none", 12, 17, "whole number", ""),
    ("profile: careful", "fall: 0", 12, 17, "greater than or equal to 1", ""),
    ("        role: primary\n", "", 16, 5, "no member is primary", "role: primary"),
    ("        syncs_from: core-a", "        role: primary", 22, 15, "there is a primary already", ""),
    ("        syncs_from: core-a", "        syncs_from: core-x", 22, 21, "there is no member core-x", "core-"),
    ("        syncs_from: core-a", "        syncs_from: core-b", 22, 21, "a loop", ""),
    ("      - name: core-b", "      - name: core-a", 20, 15, "there is a member core-a already", ""),
    ("      - name: core-b", "      - name: core b", 20, 15, "a name of letters", ""),
    ("        address: 192.0.2.10\n", "        address: 192.0.2.300\n", 19, 18, "expected an IPv4 or IPv6 address", ""),
    ("        address: 192.0.2.10\n", "        address: 0.0.0.0\n", 19, 18, "the address of one host", ""),
    ("        address: 192.0.2.10\n", "        address: ff02::1\n", 19, 18, "the address of one host", ""),
    ("        address: 192.0.2.10\n", "        address: fe80::1%eth0\n", 19, 18, "without %INTERFACE", ""),
    ("        address: 192.0.2.10\n", "        address: ::ffff:192.0.2.10\n", 19, 18, "such as 192.0.2.10", ""),
    ("        address: 192.0.2.10\n", "        address: []\n", 19, 18, "must not be empty", ""),
    ("        address: 192.0.2.10\n", "", 17, 9, "is missing", ""),
    ('"2001:db8::11"', "192.0.2.10", 21, 9, "is the address of core-a already", ""),
    ('"2001:db8::11"', '"2001:db8::g"', 21, 31, "expected an IPv4 or IPv6 address", ""),
    ("name: core.gtm.example.com", "name: core.example.com", 24, 31, "is in no zone", "gtm.example.com"),
    ("name: core.gtm.example.com", "name: ns1.gtm.example.com", 24, 31, "is a name server", ""),
    ("name: core.gtm.example.com", "name: gtm.example.com", 24, 31, "is the zone itself", "the zone example.com"),
    ("name: core.gtm.example.com", "name: '*.gtm.example.com'", 24, 31, "has no wildcards", "one actuator a name"),
    ("name: core.gtm.example.com", "name: _lbctl.gtm.example.com", 24, 31, "where lbctl writes the epoch", ""),
    ("name: core.gtm.example.com", f"name: {'a.' * 118}gtm.example.com", 24, 31, "longer than 246 characters", ""),
    ("name: core.gtm.example.com", "name: core..com", 24, 31, "expected a DNS name", ""),
    ("ttl: 30", "ttl: 0", 24, 58, "greater than or equal to 1", ""),
    ("ttl: 30", "ttl: 30, tll: 5", 24, 62, "unknown key", "did you mean 'ttl'?"),
    ("      - authoritative: {", "      - authoritive: {", 24, 9, "unknown key", "did you mean 'authoritative'?"),
    ("listen: 127.0.0.1:9653", "listen: 0.0.0.0:9653", 3, 11, "has no TLS", "tls"),
    ("listen: 127.0.0.1:9653", "listen: 127.0.0.1", 3, 11, "expected ADDRESS:PORT", ""),
    ("listen: [127.0.0.1:5300]", "listen: [127.0.0.1:9653]", 5, 3, "is the API's already", ""),
    ("quorum: 1", "quorum: 2", 1, 22, "several controllers", "quorum: 1"),
    ("quorum: 1", "state: etcd://10.0.0.1:2379/lbctl", 1, 21, "not available in this build", "SQLite"),
    ("canaries: [192.0.2.254:443]", "canaries: ['nowhere at all']", 10, 14, "expected ADDRESS", "https://HOST/"),
    ("        syncs_from: core-a", "        url: core-b.example.com", 22, 14, "expected a url with its host", ""),
    ("        syncs_from: core-a", "        connect: 'a b:c'", 22, 18, "not a host name", ""),
    ("        syncs_from: core-a", "        tls: {pin_sha256: abc}", 22, 27, "SHA-256 digest", ""),
    ("        syncs_from: core-a", "        tls: {ca_file: /nowhere/ca.pem}", 22, 24, "there is no file /nowhere/ca.pem", ""),
    ("        syncs_from: core-a", "        tls: {client_key_file: /dev/null}", 22, 32, "the key of no certificate", "client_cert_file"),
    ("        syncs_from: core-a", "        freshness: {source: file, max_staleness: 1h}", 22, 9, "needs `file:`", ""),
    ("        syncs_from: core-a", "        freshness: {source: ssh, max_staleness: 1h}", 22, 29, "`drive`, which is missing", ""),
    ("    automation: on", "    on_failover: {promote: drive}", 17, 9, "needs `drive:`", ""),
    ("    automation: on", "    follows: sentry", 15, 14, "there is no service sentry", ""),
    ("    automation: on", "    follows: core", 15, 14, "loop", ""),
    ("    automation: on", "    monitor: tpc", 15, 5, "unknown key", "'tcp'"),
    ("    automation: on", "    monitor: {tcp: {port: 443}, http: {}}", 15, 14, "exactly one", ""),
    ("    automation: on", "    minimum_share: 150%", 15, 20, "at most 100%", ""),
    ("        role: primary", "        role: master", 18, 15, "expected primary or secondary", ""),
    ("    automation: on", "    monitor: {site: }", 15, 15, "is missing", ""),
    ("        syncs_from: core-a", "        drive: {ssh: , user: u, key_file: x, known_hosts_file: x}", 22, 22, "expected ADDRESS, ADDRESS:PORT", ""),
    ("name: core.gtm.example.com", "name: ", 24, 31, "expected a DNS name", ""),
    ("services:", "servces:", 1, 1, "is missing", ""),
    ("controller: {", "'': {", 1, 1, "unknown key", ""),
]


def written(folder: Path, text: str) -> Path:
    file = folder / "lbctl.yaml"
    file.write_text(text)
    return file


def problems(file: Path) -> list[Problem]:
    with pytest.raises(ConfigError) as raised:
        read(file, {})
    return raised.value.problems


def config(folder: Path, text: str = BASE) -> Config:
    return read(written(folder, text), {})


def test_the_base_of_all_mistakes_is_valid(tmp_path: Path) -> None:
    core = config(tmp_path).services["core"].settings
    assert core.member("core-b").address == {"": ("192.0.2.11", "2001:db8::11")}
    assert core.actuators == ("authoritative:core.gtm.example.com",)


@pytest.mark.parametrize(("old", "new", "line", "column", "message", "hint"), MISTAKES, ids=[f"{m[1].strip()}" for m in MISTAKES])
def test_every_mistake_has_its_place_and_says_what_was_expected(
    tmp_path: Path, old: str, new: str, line: int, column: int, message: str, hint: str,
) -> None:
    assert old in BASE
    file = written(tmp_path, BASE.replace(old, new))
    found = problems(file)
    fitting = [one for one in found if message in one.message and hint in one.hint]
    assert fitting, found
    assert f"{file}:{line}:{column}" in [one.where for one in fitting]


def test_all_mistakes_come_in_one_run_in_the_order_of_their_places(tmp_path: Path) -> None:
    text = BASE.replace("quorum: 1", "quorum: 3").replace("profile: careful", "profil: careful").replace("ttl: 30", "ttl: none")
    text = text.replace("syncs_from: core-a", "syncs_from: core-a\n        syncs_from: core-a")
    found = problems(written(tmp_path, text + "  mail:\n    members: [{name: x, role: primary, address: 192.0.2.1, syncs_from: y}]\n"))
    assert [int(one.where.split(":")[-2]) for one in found] == [1, 12, 23, 25, 27]


@pytest.mark.parametrize("kind", [*Actuator.model_fields, *(f"{kind}!" for kind in Notify.model_fields)])
def test_a_kind_without_its_keys_is_a_mistake_and_no_accident(tmp_path: Path, kind: str) -> None:
    """Its keys forgotten, or not indented under it."""
    actuator = f"      - {kind}:\n        ttl: 30\n"
    text = f"{BASE}notify:\n  - {kind[:-1]}:\n" if kind.endswith("!") else BASE.replace(BASE[BASE.index("      - authoritative"):], actuator)
    found = problems(written(tmp_path, text))
    assert found
    assert all(one.path.startswith(("services.core.actuators[0]", "notify[0]")) for one in found)


def test_an_error_shows_place_path_message_and_hint(tmp_path: Path) -> None:
    file = written(tmp_path, BASE.replace("automation", "automaton"))
    assert str(problems(file)[0]) == f"{file}:15:5: services.core.automaton: unknown key (did you mean 'automation'?)"


def test_a_value_from_the_environment_is_never_repeated(tmp_path: Path) -> None:
    file = written(tmp_path, BASE.replace("ttl: 30", "ttl: ${SECRET}"))
    with pytest.raises(ConfigError) as raised:
        read(file, {"SECRET": "hunter2"})
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(("default", "service", "member", "expected"), [
    pytest.param("interval: 10s", "", "", ProbeSettings(interval_s=10.0), id="defaults-override-the-profile"),
    pytest.param("interval: 10s", "profile: standard", "", ProbeSettings("standard", 1.0, 0.25, 1.0, 3, 2, 10, 0.0), id="a-name-begins-anew"),
    pytest.param("profile: standard", "fall: 5", "", ProbeSettings("standard", 1.0, 0.25, 1.0, 5, 2, 10, 0.0), id="service-over-defaults"),
    pytest.param("profile: fast", "fall: 5", "fall: 1", ProbeSettings("fast", 0.05, 0.01, 0.05, 1, 2, 10, 0.0), id="member-over-service"),
    pytest.param("min_outage: 0", "", "connection: keep", ProbeSettings(min_outage_s=0.0, connection="keep"), id="zero-is-a-duration"),
])
def test_the_nearest_word_wins(tmp_path: Path, default: str, service: str, member: str, expected: ProbeSettings) -> None:
    text = BASE.replace("profile: careful", default).replace("    automation: on", f"    probe: {{{service}}}")
    text = text.replace("        syncs_from: core-a", f"        probe: {{{member}}}")
    assert config(tmp_path, text).services["core"].settings.member("core-b").probe == replace(expected, families="any")  # it has both, and no url


@pytest.mark.parametrize(("written_as", "means"), [
    ("500ms", 0.5), ("5s", 5.0), ("1h30m", 5400.0), ("20min", 1200.0), ("400d", 34560000.0), ("1.5s", 1.5), ("2w", 1209600.0),
])
def test_durations(tmp_path: Path, written_as: str, means: float) -> None:
    text = BASE.replace("    automation: on", f"    seen_window: {written_as}")
    assert config(tmp_path, text).services["core"].settings.seen_window_s == pytest.approx(means)


@pytest.mark.parametrize("address", ["192.0.2.9", "[192.0.2.9]", "{inside: 10.0.0.9, outside: [192.0.2.9, '2001:db8::9']}"])
def test_an_address_is_one_a_list_or_a_map_of_views(tmp_path: Path, address: str) -> None:
    view = ", view: outside" if "outside" in address else ""
    text = BASE.replace("address: 192.0.2.10\n", f"address: {address}\n").replace("ttl: 30", "ttl: 30" + view)
    member = config(tmp_path, text).services["core"].settings.member("core-a")
    assert member.address[view.removeprefix(", view: ")][0] == "192.0.2.9"


def test_an_actuator_without_a_view_needs_plain_addresses(tmp_path: Path) -> None:
    found = problems(written(tmp_path, BASE.replace("address: 192.0.2.10\n", "address: {inside: 10.0.0.9}\n")))
    assert "has addresses by view (inside)" in found[0].message


@pytest.mark.parametrize(("url", "expected"), [
    ("", "https://192.0.2.10"), ("        url: http://core-a.example.com:8080\n", "http://core-a.example.com:8080"),
])
def test_a_member_is_probed_at_its_url_or_its_address(tmp_path: Path, url: str, expected: str) -> None:
    text = BASE.replace("        address: 192.0.2.10\n", f"        address: 192.0.2.10\n{url}")
    assert config(tmp_path, text).services["core"].targets["core-a"].url == expected


def test_two_actuators_may_not_write_the_same_name_h43(tmp_path: Path) -> None:
    second = """  other:
    members: [{name: x, role: primary, address: 192.0.2.50}]
    actuators: [{authoritative: {name: core.gtm.example.com}}]
"""
    [problem] = problems(written(tmp_path, BASE + second))
    assert "is written by the service core already" in problem.message


@pytest.mark.parametrize(("first", "second"), [
    ("address: 203.0.113.9/32, interface: eth0", "address: 203.0.113.9/24, interface: eth1"),
    ("address: '2001:db8::9/128', interface: eth0", "address: '2001:DB8:0::9/128', interface: eth0, forward: 443"),
], ids=["another form of holding", "another way of writing"])
def test_one_virtual_address_is_of_one_service_h43(tmp_path: Path, first: str, second: str) -> None:
    """SEMANTICS section 8: two `vip` controllers on SQLite, as far as one file can show them; views make no difference."""
    text = BASE + f"""      - vip: {{{first}}}
  other:
    members: [{{name: x, role: primary, address: {{inside: 192.0.2.50, outside: 198.51.100.50}}, url: 'https://x.example.com'}}]
    actuators: [{{vip: {{{second}, view: inside}}}}]
"""
    [problem] = problems(written(tmp_path, text))
    assert "is written by the service core already" in problem.message


def test_relative_files_stand_beside_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("x")
    found = config(tmp_path, BASE.replace("        syncs_from: core-a", "        tls: {ca_file: ca.pem}"))
    assert found.services["core"].targets["core-b"].tls.ca_file == str(tmp_path / "ca.pem")


def test_only_services_is_required(tmp_path: Path) -> None:
    found = config(tmp_path, "services:\n  core:\n    members: [{name: a, role: primary, address: 192.0.2.1}]\n")
    assert str(found.controller.state) == "/var/lib/lbctl/state.db"
    assert str(found.api.socket) == "/run/lbctl/lbctl.sock"
    assert [str(at) for at in found.api.listen] == ["127.0.0.1:9653"]
    assert found.authoritative is None
    assert found.services["core"].settings.maintenance_max_s == 28800


@given(st.data())
def test_no_damage_to_the_text_escapes_as_anything_but_a_config_error(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(BASE)))
    cut = data.draw(st.integers(0, 30))
    put = data.draw(st.text(alphabet="abc:-[]{}\"' \n#&*!|>%@0159\t,", max_size=12))
    file = written(tmp_path_factory.getbasetemp(), BASE[:start] + put + BASE[start + cut:])
    try:
        found: list[Problem] = []
        read(file, {})
    except ConfigError as error:
        found = error.problems
        assert all(one.where.startswith(str(file)) for one in found)
