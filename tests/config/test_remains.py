"""Every mistake in one run: one that the models refuse hides no other, and what only follows from it is not told."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from lbctl.config import read
from lbctl.config.load import load
from lbctl.config.remains import Remains
from lbctl.config.services import File
from lbctl.errors import ConfigError

MANY = """\
controller: {jurnal: {keep: 3d}}
api: {listen: 0.0.0.0:9677}
authoritative:
  listen: [127.0.0.1:5377]
  rate_limit: -3
  zones:
    gtm.example.com: {ns: {ns1.gtm.example.com: 127.0.0.1}}
services:
  core:
    probe: {profile: standart, interval: 5}
    members:
      - {address: 192.0.2.1}
      - {name: core-a, address: 192.0.2.11, url: "https://core-a.example.com:99999"}
      - {name: core-b, address: 192.0.2.11, syncs_from: core-x, aproval: manual}
      - {name: core-b, address: 192.0.2.15, role: primary}
      - {name: core-c, address: 192.0.2.16, role: primary, tls: {ca_file: /nowhere.pem}}
    actuators:
      - authoritative: {name: core.other.example.com, ttl: 0}
  other:
    follows: coer
    members:
      - {name: a, address: 192.0.2.31, role: primary}
      - {name: b, address: 192.0.2.32, role: primary}
    actuators:
      - authoritative: {name: other.gtm.exmple.com}
      - vips: {address: 192.0.2.33}
"""


def told(folder: Path, text: str) -> list[tuple[int, str]]:
    """Line and path of everything that is told."""
    file = folder / "lbctl.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as raised:
        read(file, {})
    return [(int(one.where.split(":")[-2]), one.path) for one in raised.value.problems]


def test_mistakes_of_every_kind_come_in_one_run(tmp_path: Path) -> None:
    core, other = "services.core", "services.other"
    assert told(tmp_path, MANY) == [
        (1, "controller.jurnal"), (2, "api.listen[0]"), (5, "authoritative.rate_limit"), (10, f"{core}.probe.profile"),
        (10, f"{core}.probe.interval"),
        (12, f"{core}.members[0].name"), (13, f"{core}.members[1].url"), (14, f"{core}.members[2].address"), (14, f"{core}.members[2].aproval"),
        (15, f"{core}.members[3].name"), (16, f"{core}.members[4].role"), (16, f"{core}.members[4].tls.ca_file"),
        (18, f"{core}.actuators[0].authoritative.name"), (18, f"{core}.actuators[0].authoritative.ttl"),
        (20, f"{other}.follows"), (23, f"{other}.members[1].role"), (25, f"{other}.actuators[0].authoritative.name"),
        (26, f"{other}.actuators[1].vips"),
    ]


MEMBERS = """\
services:
  core:
    members:
      - {name: core-a, address: 192.0.2.1, role: primary}
      - {name: core-b, address: 192.0.2.2, syncs_from: core-a}
    actuators:
      - authoritative: {name: core.gtm.example.com}
authoritative: {listen: 127.0.0.1:53, zones: {gtm.example.com: {ns: {ns1.gtm.example.com: 127.0.0.1}}}}
"""


@pytest.mark.parametrize(("old", "new", "line", "path"), [
    ("role: primary", "role: primry", 4, "services.core.members[0].role"),
    ("role: primary", "rle: primary", 4, "services.core.members[0].rle"),
    ("name: core-a", "name: core a", 4, "services.core.members[0].name"),
    ("192.0.2.1", "192.0.2.300", 4, "services.core.members[0].address"),
    ("192.0.2.1", "[192.0.2.300]", 4, "services.core.members[0].address[0]"),
    ("192.0.2.1", "{inside: 192.0.2.300}", 4, "services.core.members[0].address.inside"),
    ("  core:\n", "  core:\n    kind: pol\n", 3, "services.core.kind"),
    ("syncs_from: core-a", "probe: {interval: 30, timeout: 20s}", 5, "services.core.members[1].probe.interval"),
    ("syncs_from: core-a", "freshness: {source: file, max_staleness: 1h, file: ''}", 5, "services.core.members[1].freshness.file"),
    ("gtm.example.com: {", "gtm..example.com: {", 8, "authoritative.zones.gtm..example.com"),
    ("127.0.0.1:53", "127.0.0.1", 8, "authoritative.listen"),
    ("authoritative: {listen", "api: {listen: '0.0.0.0:9653', tsl: {}}\nauthoritative: {listen", 8, "api.tsl"),
    ("authoritative: {listen", "authoritatve: {listen", 8, "authoritatve"),
], ids=lambda value: str(value).strip())
def test_what_only_follows_from_a_mistake_is_not_told_beside_it(tmp_path: Path, old: str, new: str, line: int, path: str) -> None:
    assert (line, path) in told(tmp_path, MEMBERS.replace(old, new, 1))
    assert len(told(tmp_path, MEMBERS.replace(old, new, 1))) == 1


def test_members_with_a_mistake_in_each_are_not_called_none(tmp_path: Path) -> None:
    wrong = MEMBERS.replace("192.0.2.1", "192.0.2.300").replace("192.0.2.2", "192.0.2.301")
    assert [path for _, path in told(tmp_path, wrong)] == ["services.core.members[0].address", "services.core.members[1].address"]


@pytest.mark.parametrize("services", ["", "services:\n", "services: 5\n", "services: []\n", "services: {}\n", "servces: {}\n",
                                      "services: {core: {}}\n", "services: {core: 5}\n", "services: {'-': {members: []}}\n"])
def test_the_other_blocks_are_checked_where_no_service_is_left(tmp_path: Path, services: str) -> None:
    assert (1, "api.listen[0]") in told(tmp_path, "api: {listen: 0.0.0.0:9653}\n" + services)


KEYS = ["services", "core", "members", "name", "address", "probe", "interval", "actuators", "vip", "api", "listen", "zones", "authoritative", ""]
ANYTHING = st.recursive(
    st.text("ab5:[]{}", max_size=5), lambda inner: st.dictionaries(st.sampled_from(KEYS), inner) | st.lists(inner, max_size=3), max_leaves=20)


def refused(left: Remains) -> list[tuple[str | int, ...]]:
    """Where the models refuse what is left."""
    try:
        File.model_validate(left.values())
    except ValidationError as error:
        return [left.path(item["loc"]) for item in error.errors()]
    return []


@given(ANYTHING)
@settings(max_examples=150, deadline=None)
def test_setting_aside_always_ends_with_something_valid(value: object) -> None:
    """Nothing is dropped twice in vain: a `check` that never ended would be a reload that never answered."""
    left = Remains(value if isinstance(value, dict) else {"services": value})
    turns = 0
    while mistakes := refused(left):
        assert left.drop(mistakes)
        turns += 1
        assert turns < 60


def test_a_place_among_what_is_left_is_that_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "lbctl.yaml"
    file.write_text(MANY)
    left = Remains(load(file).values)
    left.drop([("services", "core", "members", 0), ("services", "core", "members", 2)])
    assert [member["name"] for member in left.values()["services"]["core"]["members"]] == ["core-a", "core-b", "core-c"]
    assert left.path(("services", "core", "members", 1, "role")) == ("services", "core", "members", 3, "role")
    assert left.path(("services", "core", "members", 1, "address", "", 0)) == ("services", "core", "members", 3, "address", 0)
