"""The auditor: H12, H23, the promotion race, best practices (G-BP), and the one setting to change."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from lbctl.config import Config, read
from lbctl.config.audit import Audit, Severity
from lbctl.config.practices import PRACTICES, audit
from lbctl.config.report import checked, lines
from lbctl.config.schema import schema
from lbctl.config.tree import BuiltActuator, MonitorConfig
from lbctl.model.commands import Code

CONFIGS = Path(__file__).parents[2] / "configs"
PERFECT = """
authoritative:
  listen: [127.0.0.1:5300]
  zones: {gtm.example.com: {ns: {ns1.gtm.example.com: 192.0.2.1}}}
notify: [{webhook: {url: 'https://hooks.example.com/x'}}]
safety: {canaries: [192.0.2.254, 198.51.100.254, 'https://www.example.com/']}
sites: {dc1: {canaries: [192.0.2.253]}, dc2: {canaries: [198.51.100.253]}}
services:
  core:
    members:
      - name: a
        role: primary
        site: dc1
        address: 192.0.2.10
        drive: &drive {ssh: a.example.com, user: admin, key_file: file, known_hosts_file: file}
      - name: b
        site: dc2
        address: 192.0.2.11
        syncs_from: a
        drive: *drive
        freshness: {source: ssh, max_staleness: 90m}
        heartbeat: {interval: 60s, failures: 5, recheck: 30s}
    actuators:
      - authoritative: {name: core.gtm.example.com, ttl: 30}
"""


def written(folder: Path, text: str) -> Path:
    file = folder / "lbctl.yaml"
    file.write_text(text)
    (folder / "file").write_text("x")
    (folder / "file").chmod(0o600)
    return file


def audited(folder: Path, old: str = "", new: str = "") -> Audit:
    assert old in PERFECT
    return audit(read(written(folder, PERFECT.replace(old, new) if old else PERFECT), {}))


def test_a_configuration_without_fault_has_nothing_to_say(tmp_path: Path) -> None:
    found = audited(tmp_path)
    assert found.findings == ()
    assert found.change_first is None
    assert found.holds


@pytest.mark.parametrize(("old", "new", "rule", "severity"), [
    pytest.param("      - name: b\n" + PERFECT.split("      - name: b\n")[1].split("    actuators")[0], "", "no-standby", "warning", id="alone"),
    pytest.param("        syncs_from: a\n", "        syncs_from: a\n        approval: manual\n", "no-standby", "note", id="all-manual"),
    pytest.param("    actuators:\n      - authoritative: {name: core.gtm.example.com, ttl: 30}\n", "", "no-actuator", "warning", id="no-actuator"),
    pytest.param("    members:\n", "    kind: pool\n    members:\n", "pool-of-cores", "warning", id="pool-of-cores"),
    pytest.param("failures: 5, recheck: 30s", "failures: 2, recheck: 10s", "promotion-race", "warning", id="race-open"),
    pytest.param("        heartbeat: {interval: 60s, failures: 5, recheck: 30s}\n", "", "promotion-race", "note", id="race-unknown"),
    pytest.param("        address: 192.0.2.11\n", "        address: 192.0.2.11\n        tls: {verify: false}\n", "identity", "warning", id="h17"),
    pytest.param("        address: 192.0.2.11\n", "        address: 192.0.2.11\n        url: http://b.example.com\n", "identity", "note", id="plain"),
    pytest.param("        address: 192.0.2.11\n", "        address: 192.0.2.11\n        url: https://192.0.2.10\n", "same-place", "warning",
                 id="slip"),
    pytest.param("address: 192.0.2.11\n", "address: [192.0.2.11, '2001:db8::11']\n        url: https://192.0.2.11\n", "families", "warning",
                 id="h22"),
    pytest.param("    members:\n", "    lockout: 10s\n    members:\n", "lockout", "warning", id="h6"),
    pytest.param("safety: {canaries: [192.0.2.254, 198.51.100.254, 'https://www.example.com/']}\n", "", "canaries", "warning", id="blind"),
    pytest.param("sites: {dc1: {canaries: [192.0.2.253]}, dc2: {canaries: [198.51.100.253]}}\n", "", "site-vantage", "note", id="site"),
    pytest.param("ttl: 30", "ttl: 300", "ttl", "warning", id="h49"),
    pytest.param("        freshness: {source: ssh, max_staleness: 90m}\n", "", "freshness", "warning", id="h1"),
    pytest.param("notify: [{webhook: {url: 'https://hooks.example.com/x'}}]\n", "", "notifications", "warning", id="g-bp"),
    pytest.param("    members:\n", "    probe: {profile: standard}\n    members:\n", "patience", "note", id="standard-risks"),
    pytest.param("        drive: *drive\n        freshness: {source: ssh,", "        freshness: {source: file, file: file,",
                 "drive", "note", id="drive"),
    pytest.param("    members:\n", "    automation: observe\n    members:\n", "observe", "note", id="observe"),
    pytest.param("services:\n", "services:\n  x:\n    follows: core\n    members: [{name: x, role: primary, address: 192.0.2.77}]\n",
                 "follows", "warning",
                 id="g-fs"),
    pytest.param("services:\n", "api: {listen: '192.0.2.1:9653', tls: {cert_file: file, key_file: file}}\nservices:\n",
                 "tokens", "warning", id="tokens"),
    pytest.param("    members:\n", "    probe: {interval: 5ms, fast_interval: 1ms, timeout: 5ms}\n    members:\n", "probe-load", "error", id="h23"),
])
def test_each_practice_sees_what_it_is_for(tmp_path: Path, old: str, new: str, rule: str, severity: str) -> None:
    found = audited(tmp_path, old, new)
    assert (rule, severity) in [(finding.rule, str(finding.severity)) for finding in found.findings], found.findings
    assert found.holds is (severity != "error")


@pytest.mark.parametrize("driven", [True, False], ids=["driven", "not driven"])
def test_the_advice_about_an_unknown_copy_can_be_taken_as_it_stands_h1(tmp_path: Path, driven: bool) -> None:
    """`source: ssh` needs a drive: where there is none, the advice says that one too, or `check` would refuse what it has advised."""
    text = PERFECT.replace("        freshness: {source: ssh, max_staleness: 90m}\n", "")
    text = text if driven else text.replace("        drive: *drive\n", "")
    advice = next(one.advice for one in audit(read(written(tmp_path, text), {})).findings if one.rule == "freshness")
    settings = advice.removeprefix("services.core.members[].").split(", then ")
    added = "".join(f"        {setting}\n".replace("ssh: …", "ssh: b.example.com").replace("…", "file") for setting in settings)
    assert audit(read(written(tmp_path, text.replace("        syncs_from: a\n", f"        syncs_from: a\n{added}")), {})).findings == ()


def test_an_outer_layer_that_does_not_wait_for_the_inner_one_is_refused_h12(tmp_path: Path) -> None:
    outer = """
  world:
    monitor: {http: {path: /}}
    probe: {profile: standard}
    members:
      - {name: main, role: primary, site: dc1, address: 203.0.113.9}
      - {name: recovery, site: dc2, address: 203.0.113.19}
    actuators: [{authoritative: {name: world.gtm.example.com}}]
"""
    tripping = audit(beside_a_vip(read(written(tmp_path, PERFECT + outer), {})))
    assert not tripping.holds
    assert tripping.change_first is not None
    key, value = tripping.change_first.advice.split(": ")
    assert key == "services.world.probe.min_outage"
    patient_outer = outer.replace("profile: standard", f"profile: standard, min_outage: {value}")
    patient = audit(beside_a_vip(read(written(tmp_path, PERFECT + patient_outer), {})))
    assert patient.holds, patient.findings


def beside_a_vip(config: Config) -> Config:
    """The service core also moves a virtual address."""
    core = config.services["core"]
    vip = BuiltActuator("vip", "vip:203.0.113.9", "", {"address": "203.0.113.9/32", "interface": "eth0"})
    return replace(config, services={**config.services, "core": replace(core, actuators=(*core.actuators, vip))})


def test_a_site_that_tells_how_long_it_takes_is_a_layer_too_h12(tmp_path: Path) -> None:
    site = """
  world:
    monitor: {http: {path: /}}
    members: [{name: main, role: primary, address: 203.0.113.9, url: 'https://lb.main.example.com:9653'}]
    actuators: [{authoritative: {name: world.gtm.example.com}}]
"""
    config = read(written(tmp_path, PERFECT + site), {})
    world = replace(config.services["world"], monitor=MonitorConfig("site", {"service": "core"}, inner_failover_s=40.0))
    found = audit(replace(config, services={**config.services, "world": world}))
    assert [finding.rule for finding in found.findings if finding.severity is Severity.ERROR] == ["two-layers"]


def test_the_one_setting_to_change_is_the_advice_of_the_worst_finding(tmp_path: Path) -> None:
    found = audited(tmp_path, "ttl: 30", "ttl: 300")
    assert found.change_first is not None
    assert found.change_first.rule == "ttl"
    both = audited(tmp_path, "failures: 5, recheck: 30s}", "failures: 2, recheck: 10s}")
    assert both.change_first is not None
    assert both.change_first.rule == "promotion-race"


def test_a_secret_that_everybody_may_read_is_told(tmp_path: Path) -> None:
    file = written(tmp_path, PERFECT)
    (tmp_path / "file").chmod(0o644)
    assert "secrets" in [finding.rule for finding in audit(read(file, {})).findings]


def test_every_practice_says_what_it_is_for() -> None:
    assert all(practice.__doc__ for practice in PRACTICES)


@pytest.mark.parametrize("name", sorted(path.name for path in CONFIGS.glob("*.yaml") if not path.name.startswith("core-")))
def test_every_sample_configuration_passes_its_own_audit_g_sc(tmp_path: Path, name: str) -> None:
    (tmp_path / "ca").mkdir()
    (tmp_path / "ca" / "ca.pem").write_text("x")
    for file in ("vip.crt", "vip.key", "vip-ca.crt"):
        (tmp_path / file).write_text("x")
    result = checked(CONFIGS / name, {"LBCTL_DEMO_DIR": str(tmp_path), "CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert result.code is Code.DONE, [str(problem) for problem in result.problems]


def test_the_alternative_that_a_sample_only_shows_is_valid_too_g_sc3(tmp_path: Path) -> None:
    text = (CONFIGS / "datacenter-cores-and-sentries.yaml").read_text()
    begin, end = text.index("  sentry:\n"), text.index("  # The same two")
    shown = re.sub(r"^  # ", "  ", text[end:].split("\n", 1)[1], flags=re.MULTILINE)
    file = tmp_path / "lbctl.yaml"
    file.write_text(text[:begin] + shown)
    result = checked(file, {})
    assert result.code is Code.DONE, [str(problem) for problem in result.problems]
    assert read(file, {}).services["sentry"].settings.follows == "core"


def test_the_report_is_one_object_for_people_and_machines(tmp_path: Path) -> None:
    result = checked(written(tmp_path, PERFECT.replace("ttl: 30", "ttl: 300")), {})
    made = json.loads(json.dumps(result.object(), allow_nan=False))
    assert made["valid"] is True
    assert [row["fault"] for row in made["services"][0]["budget"]] == ["killed", "packets dropped", "503 or wrong text"]
    assert made["services"][0]["promotion_race"][0]["winner"] == "lbctl"
    assert made["change_first"]["rule"] == "ttl"
    text = "\n".join(line for line, _ in lines(result))
    assert "valid, 1 service" in text
    assert "promotes itself after 2 min at the earliest: lbctl is first" in text
    assert "The one setting to change: services.core.actuators[].authoritative.ttl: 30" in text


def test_the_report_of_an_invalid_file_is_its_problems_and_code_7(tmp_path: Path) -> None:
    result = checked(written(tmp_path, "services: {core: {membrs: []}}\n"), {})
    assert result.code == 7
    text = [line for line, _ in lines(result)]
    assert "did you mean 'members'?" in "".join(text)
    assert text[-1] == "2 problems: the configuration is not valid"
    assert result.object()["problems"][0]["where"].endswith(":1:1") or result.object()["problems"][0]["where"].endswith(":1:12")


def test_five_hundred_services_share_one_table(tmp_path: Path) -> None:
    services = "".join(
        f"  s{n}:\n    members: [{{name: a, role: primary, address: 10.1.{n // 250}.{n % 250}}}, {{name: b, address: 10.2.{n // 250}.{n % 250}}}]\n"
        for n in range(500)
    )
    result = checked(written(tmp_path, "services:\n" + services), {})
    text = [line for line, _ in lines(result)]
    assert result.audit is not None
    assert "s0, s1, s2 and 497 more: worst case from the fault on (profile careful)" in text
    assert len(text) < 40


def test_the_schema_describes_every_key_for_editors() -> None:
    made = schema()
    assert made["additionalProperties"] is False
    bare = [
        f"{name}.{key}" for name, model in made["$defs"].items() for key, value in model.get("properties", {}).items() if not value.get("description")
    ]
    assert bare == []
    assert made["$defs"]["Probe"]["properties"]["interval"]["anyOf"][0]["examples"] == ["500ms", "5s", "2h"]
