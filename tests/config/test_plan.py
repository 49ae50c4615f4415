"""What a reload would do, and above all whether a client would get another answer (H37, H28)."""

from __future__ import annotations

from pathlib import Path

import pytest

from lbctl.config import Config, read
from lbctl.config.plan import Plan, plan
from lbctl.model.state import Saved

BASE = """
authoritative:
  listen: [127.0.0.1:5300]
  zones: {gtm.example.com: {ns: {ns1.gtm.example.com: 192.0.2.1}}}
services:
  core:
    members:
      - {name: a, role: primary, address: 192.0.2.10}
      - {name: b, role: secondary, address: 192.0.2.11, syncs_from: a}
    actuators:
      - authoritative: {name: core.gtm.example.com, ttl: 30}
  sentry:
    kind: pool
    monitor: {tcp: {port: 443}}
    members:
      - {name: x, address: 192.0.2.20}
      - {name: y, address: 192.0.2.21}
    actuators:
      - authoritative: {name: sentry.gtm.example.com}
"""
SAVED = {"core": Saved("core", epoch=3, active="a", primary="a", file_primary="a"), "sentry": Saved("sentry", active="x")}


def config(folder: Path, text: str) -> Config:
    file = folder / "lbctl.yaml"
    file.write_text(text)
    return read(file)


def planned(folder: Path, old: str, new: str, text: str = BASE, saved: dict[str, Saved] | None = None) -> Plan:
    assert old in text
    return plan(config(folder, text), config(folder, text.replace(old, new)), SAVED if saved is None else saved)


def test_the_same_file_changes_nothing(tmp_path: Path) -> None:
    same = planned(tmp_path, "ttl: 30", "ttl: 30")
    assert same.changes == ()
    assert not same.moves_traffic
    assert same.published["authoritative:core.gtm.example.com"] == ("192.0.2.10",)


@pytest.mark.parametrize(("old", "new"), [
    pytest.param("name: a, role: primary, address: 192.0.2.10}", "name: a, role: primary, address: 192.0.2.99}", id="address-of-the-active"),
    pytest.param("192.0.2.10}\n      - {name: b, role: secondary, address: 192.0.2.11",
                 "192.0.2.11}\n      - {name: b, role: secondary, address: 192.0.2.10", id="a-and-b-swapped"),
    pytest.param("      - {name: a, role: primary, address: 192.0.2.10}\n      - {name: b, role: secondary, address: 192.0.2.11, syncs_from: a}",
                 "      - {name: b, role: primary, address: 192.0.2.11}", id="the-active-is-deleted"),
    pytest.param("    actuators:\n      - authoritative: {name: core.gtm.example.com, ttl: 30}\n", "", id="actuator-removed"),
    pytest.param("name: core.gtm.example.com", "name: kernel.gtm.example.com", id="name-changed"),
    pytest.param("address: 192.0.2.20}", "address: 192.0.2.29}", id="pool-address"),
    pytest.param("      - {name: y, address: 192.0.2.21}\n", "", id="pool-member-removed"),
    pytest.param("    kind: pool\n    monitor: {tcp: {port: 443}}\n    members:\n      - {name: x,", "    monitor: {tcp: {port: 443}}\n    members:\n"
                 "      - {name: x, role: primary,", id="kind"),
])
def test_what_moves_traffic_is_seen_h37(tmp_path: Path, old: str, new: str) -> None:
    found = planned(tmp_path, old, new)
    assert found.moves_traffic, [change.text for change in found.changes]


@pytest.mark.parametrize(("old", "new", "words"), [
    pytest.param("ttl: 30", "ttl: 60", "ttl_s 30 -> 60", id="ttl"),
    pytest.param("address: 192.0.2.11", "address: 192.0.2.12", "looks begin anew, its latch stays", id="standby-address-h28"),
    pytest.param("    members:\n      - {name: a", "    lockout: 1h\n    members:\n      - {name: a", "lockout_s: 1800 -> 3600", id="lockout"),
    pytest.param("    members:\n      - {name: a", "    probe: {profile: fast}\n    members:\n      - {name: a", "probe changes", id="profile"),
    pytest.param("listen: [127.0.0.1:5300]", "listen: [127.0.0.1:5301]", "next start", id="listen"),
    pytest.param("role: primary, address: 192.0.2.10}\n      - {name: b, role: secondary, address: 192.0.2.11, syncs_from: a}",
                 "role: secondary, address: 192.0.2.10, syncs_from: b}\n      - {name: b, role: primary, address: 192.0.2.11}",
                 "swap-roles", id="roles"),
    pytest.param("syncs_from: a}", "syncs_from: a}\n      - {name: c, address: 192.0.2.12, approval: manual}", "c comes", id="member-added"),
])
def test_what_moves_nothing_is_told_in_words(tmp_path: Path, old: str, new: str, words: str) -> None:
    found = planned(tmp_path, old, new)
    assert not found.moves_traffic, [change.text for change in found.changes]
    assert any(words in change.text for change in found.changes), [change.text for change in found.changes]


def test_a_removed_service_takes_its_name_away(tmp_path: Path) -> None:
    text = BASE[:BASE.index("  sentry:")]
    gone = plan(config(tmp_path, BASE), config(tmp_path, text), SAVED)
    assert gone.moves_traffic
    back = plan(config(tmp_path, text), config(tmp_path, BASE), SAVED)
    assert not back.moves_traffic
    assert any(change.what == "added" for change in back.changes)


def test_a_service_that_is_not_yet_known_moves_nothing_by_its_address(tmp_path: Path) -> None:
    found = planned(tmp_path, "address: 192.0.2.10}", "address: 192.0.2.99}", saved={})
    assert not found.moves_traffic


def test_after_a_failover_it_is_the_active_that_counts_not_the_primary(tmp_path: Path) -> None:
    saved = {"core": Saved("core", active="b", primary="a", file_primary="a")}
    assert not planned(tmp_path, "address: 192.0.2.10}", "address: 192.0.2.99}", saved=saved).moves_traffic
    assert planned(tmp_path, "address: 192.0.2.11", "address: 192.0.2.99", saved=saved).moves_traffic


def test_drift_between_saved_roles_and_the_file_is_told_with_the_edit_g_lb5(tmp_path: Path) -> None:
    saved = {"core": Saved("core", active="b", primary="b", file_primary="a")}
    [change] = planned(tmp_path, "ttl: 30", "ttl: 30", saved=saved).changes
    assert change.what == "drift"
    assert "`role: primary` at b" in change.text


def test_the_plan_is_an_object_for_machines(tmp_path: Path) -> None:
    found = planned(tmp_path, "ttl: 30", "ttl: 60").object()
    assert found["moves_traffic"] is False
    assert found["changes"] == ["core: authoritative:core.gtm.example.com: ttl_s 30 -> 60"]
    assert found["moves"] == []
    assert "authoritative:core.gtm.example.com: 192.0.2.10" in found["publishes"]
    assert found["published"]["authoritative:sentry.gtm.example.com"] == ["192.0.2.20", "192.0.2.21"]


def test_a_pool_member_that_does_not_answer_moves_nothing(tmp_path: Path) -> None:
    saved = {"sentry": Saved("sentry", answering=("x",))}
    assert not planned(tmp_path, "address: 192.0.2.21}", "address: 192.0.2.29}", saved=saved).moves_traffic
    assert planned(tmp_path, "address: 192.0.2.20}", "address: 192.0.2.29}", saved=saved).moves_traffic


def test_the_same_name_with_another_view_s_addresses_is_another_answer(tmp_path: Path) -> None:
    """H37: the view stands in an actuator's id; a new id on the same name is the same name to clients."""
    (tmp_path / "tsig.key").write_text("c2VjcmV0LXNlY3JldC1zZWNyZXQ=")
    written = ("      - rfc2136: {servers: [192.0.2.53], zone: example.com, name: core.example.com, view: inside,\n"
               "                  tsig: {name: lbctl., algorithm: hmac-sha256, secret_file: tsig.key}}\n")
    text = BASE.replace("address: 192.0.2.10}", "address: {inside: 10.0.0.10, outside: 192.0.2.10}}").replace(
        "address: 192.0.2.11,", "address: {inside: 10.0.0.11, outside: 192.0.2.11},").replace(
        "      - authoritative: {name: core.gtm.example.com, ttl: 30}\n", written)
    found = planned(tmp_path, "view: inside", "view: outside", text)
    assert [str(change) for change in found.changes if change.moves] == ["core: rfc2136:core.example.com/inside: 10.0.0.10 -> 192.0.2.10"]
    more = plan(config(tmp_path, text), config(tmp_path, text.replace(written, written + written.replace("inside", "outside"))), SAVED)
    assert not more.moves_traffic, "a second one beside it takes nothing from anybody"
