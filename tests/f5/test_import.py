"""`bigip_gtm.conf` -> a configuration that `check` accepts, and a word for every line that was not mapped."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import example, given
from hypothesis import strategies as st

from lbctl.cli.root import cli
from lbctl.config import Config, read
from lbctl.config.report import checked
from lbctl.errors import ConfigError
from lbctl.f5.imported import Imported, import_file, import_text
from lbctl.f5.syntax import Statement, parse

HERE = Path(__file__).parent
SAMPLE = HERE / "bigip_gtm.conf"


def configured(folder: Path, made: Imported) -> Config:
    file = folder / "lbctl.yaml"
    file.write_text(made.text)
    return read(file, {})


@pytest.mark.parametrize("file", sorted(HERE.glob("*.conf")), ids=lambda file: file.name)
def test_what_is_imported_passes_check(tmp_path: Path, file: Path) -> None:
    (tmp_path / "lbctl.yaml").write_text(import_file(file).text)
    assert checked(tmp_path / "lbctl.yaml").code == 0


def test_a_core_pool_becomes_a_failover_service_in_its_order_g_lb1(tmp_path: Path) -> None:
    service = configured(tmp_path, import_file(SAMPLE)).services["mdm"]
    settings = service.settings
    assert (settings.kind, settings.primary, settings.names) == ("failover", "core-a", ("core-a", "core-b"))
    assert settings.monitor.name == "core"
    assert settings.observe, "beside the old balancer nothing moves"
    assert settings.member("core-a").address == {"": ("192.0.2.10", "2001:db8::10")}
    assert settings.member("core-a").site == "DC-Main"
    probe = settings.member("core-b").probe
    assert (probe.interval_s, probe.timeout_s, probe.min_outage_s) == (30, 5, 120)
    assert service.targets["core-a"].url == "https://mdm.example.com"
    assert service.targets["core-a"].connect == "10.1.1.10:8443"
    assert [actuator.settings["name"] for actuator in service.actuators] == ["mdm.example.com", "mobile.example.com"]


def test_any_other_balancing_becomes_a_pool_with_its_page(tmp_path: Path) -> None:
    service = configured(tmp_path, import_file(SAMPLE)).services["sentry"]
    assert service.settings.kind == "pool"
    assert service.monitor.kind == "http"
    assert service.monitor.settings["path"] == "/health"
    assert service.monitor.settings["regex"] == "Sentry (is|seems) ready"


def test_the_balancers_listener_is_where_lbctl_listens(tmp_path: Path) -> None:
    server = configured(tmp_path, import_file(SAMPLE)).authoritative
    assert server is not None
    assert [str(at) for at in server.listen] == ["192.0.2.1:53"]
    assert server.zones["example.com"].ns == {"ns1.example.com": ("192.0.2.1",)}


@pytest.mark.parametrize(("starts", "why"), [
    ("gtm global-settings", "settings of the BIG-IP itself"), ("gtm region", "client's place"), ("gtm topology", "client's place"),
    ("gtm rule", "iRule is a program"), ("rules", "iRule is a program"), ("persistence", "nothing to persist"), ("fallback-ip", "never answers"),
    ("ratio 3", "does not weigh"), ("depends-on", "`follows`"), ("location", "remark"), ("qos-hit-ratio", "score"), ("cipherlist", "TLS settings"),
    ("gtm wideip mx", "not MX records"), ("gtm wideip a /Common/*.wild", "a pattern for many names"), ("gtm wideip a /Common/gone", "no member"),
    ("/Common/core-dr:", "is disabled"), ("/Common/nowhere:", "not in this file"), ("gtm monitor gateway-icmp", "one monitor"),
    ("gtm monitor https /Common/core_primary", "did not verify certificates"), ("gtm pool a /Common/sentry_pool", "ratio has no counterpart"),
    ("gtm pool a /Common/core_pool", "`syncs_from`"), ("gtm wideip a /Common/mdm", "as a whole"),
])
def test_what_has_no_place_is_said_with_its_reason(starts: str, why: str) -> None:
    fitting = [one for one in import_file(SAMPLE).leftovers if one.text.startswith(starts) and why in one.why]
    assert fitting
    source = SAMPLE.read_text().splitlines()
    assert all(source[one.line - 1].split()[0] == one.text.split()[0] for one in fitting), "the line is the source's"


def test_no_line_of_the_source_is_lost_silently() -> None:
    """Every statement was read by the import, or stands among the leftovers with its line."""
    found = parse(SAMPLE.read_text())
    assert not any(one.used for top in found for one in top.walk())
    told = {line for one in import_file(SAMPLE).leftovers for line in range(one.line, one.last + 1)}
    known = ("defaults-from", "interval", "timeout", "probe-timeout", "recv", "send", "load-balancing-mode", "manual-resume", "members",
             "member-order", "ttl", "datacenter", "devices", "monitor", "product", "virtual-servers", "destination", "translation", "pools", "order",
             "aliases",
             "pool-lb-mode", "address", "disabled", "gtm", "/Common/", "core-", "gtm-", "192.", "198.", "203.", "addresses", "mobile.")
    lost = [one.text for top in found for one in _statements(top) if one.line not in told and one.words and not one.words[0].startswith(known)]
    assert lost == []


def _statements(statement: Statement) -> list[Statement]:
    return list(statement.walk())


WIDE = """
gtm monitor {monitor} /Common/m {{ {body} }}
gtm server /Common/s {{
    virtual-servers {{
        /Common/v1 {{
            destination 192.0.2.1:{port}
        }}
        /Common/v2 {{
            destination 192.0.2.2:{port}
        }}
    }}
}}
gtm pool a /Common/p {{
    load-balancing-mode {mode}
    manual-resume {resume}
    members {{
        /Common/s:/Common/v1 {{ }}
        /Common/s:/Common/v2 {{ }}
    }}
    monitor /Common/m
}}
gtm pool a /Common/q {{
    load-balancing-mode global-availability
    members {{
        /Common/s:/Common/v2 {{ }}
    }}
}}
gtm wideip a /Common/x.example.com {{
    pool-lb-mode {wide}
    pools {{
        {pools}
    }}
}}
"""


def made(**changes: str) -> Imported:
    values = {"monitor": "https", "body": "", "port": "443", "mode": "global-availability", "resume": "enabled", "wide": "round-robin",
              "pools": "/Common/p { order 0\n }"}
    return import_text(WIDE.format(**values | changes))


def whys(imported: Imported) -> str:
    return "\n".join(str(one) for one in imported.leftovers)


def test_manual_resume_off_is_said_because_lbctl_never_goes_back_by_itself_g_lb4() -> None:
    assert "never goes back by itself" in whys(made(resume="disabled"))
    assert "never goes back by itself" not in whys(made())


def test_manual_resume_of_a_pool_is_said_too() -> None:
    assert "answers again as soon as it is healthy" in whys(made(mode="round-robin"))


def test_several_pools_in_order_become_one_order(tmp_path: Path) -> None:
    both = made(wide="global-availability", pools="/Common/q { order 0\n }\n/Common/p { order 1\n }")
    assert configured(tmp_path, both).services["x"].settings.names == ("v2", "v1")
    assert "is a member already" in whys(both)


def test_pools_that_cannot_be_joined_are_said() -> None:
    assert "only p is imported" in whys(made(mode="ratio", wide="global-availability", pools="/Common/p { order 0\n }\n/Common/q { order 1\n }"))


@pytest.mark.parametrize(("monitor", "body", "kind", "expected"), [
    ("https", 'recv "200 OK"', "http", {"text": None, "regex": None}),
    ("http", 'recv "service is ready"\n send "GET /up HTTP/1.1"', "http", {"text": "service is ready", "path": "/up"}),
    ("http", 'recv "a|b"', "http", {"regex": "a|b"}),
    ("tcp", "interval 5\n timeout 16", "tcp", {}),
    ("gateway-icmp", "interval 5", "tcp", {}),
])
def test_monitors(tmp_path: Path, monitor: str, body: str, kind: str, expected: dict[str, str]) -> None:
    found = configured(tmp_path, made(monitor=monitor, body=body + "\n")).services["x"].monitor
    assert found.kind == kind
    for key, value in expected.items():
        assert found.settings[key] == value


def test_a_pattern_that_is_none_is_said() -> None:
    assert "is no pattern that lbctl can use" in whys(made(body='recv "(unclosed"\n'))


@pytest.mark.parametrize(("text", "words"), [
    ("gtm pool a /Common/x {\n", "ends inside a block"), ("}\n", ":1:1: a closing brace"), ('gtm x "open\n', "does not end"),
    ("gtm rule /Common/r {\n when { \n", "the rule does not end"), ("{" * 100, "too deeply"), ("", "no wide IP"),
    ("gtm datacenter /Common/a { }", "no wide IP"),
])
def test_what_cannot_be_read_is_said_with_its_line(text: str, words: str) -> None:
    with pytest.raises(ConfigError) as raised:
        import_text(text)
    assert words in str(raised.value)


@given(st.data())
def test_damage_to_a_file_ends_in_a_result_or_in_words(data: st.DataObject) -> None:
    text = SAMPLE.read_text()
    start = data.draw(st.integers(0, len(text)))
    put = data.draw(st.text(alphabet='{}"\\#\n ab/:.1', max_size=10))
    try:
        assert import_text(text[:start] + put + text[start + data.draw(st.integers(0, 40)):]).services
    except ConfigError as error:
        assert error.problems  # noqa: PT017


def test_the_verb_prints_the_file_and_lists_what_is_open(tmp_path: Path) -> None:
    run = CliRunner().invoke(cli, ["import-f5", str(SAMPLE)])
    assert run.exit_code == 0
    assert run.stdout.startswith("# Imported from bigip_gtm.conf")
    assert "lines 107-113: gtm rule /Common/by_network" in run.stderr
    target = tmp_path / "lbctl.yaml"
    assert CliRunner().invoke(cli, ["import-f5", str(SAMPLE), "--to", str(target)]).exit_code == 0
    assert read(target, {}).services
    assert CliRunner().invoke(cli, ["import-f5", str(SAMPLE), "--to", str(target)]).exit_code == 1, "never overwrites"
    found = json.loads(CliRunner().invoke(cli, ["import-f5", str(SAMPLE), "-o", "json"]).stdout)
    assert found["services"] == ["mdm", "sentry"]
    assert all(one["why"] for one in found["leftovers"])


def test_the_verb_ends_with_7_where_nothing_can_be_imported(tmp_path: Path) -> None:
    (tmp_path / "x.conf").write_text("gtm pool a /Common/x {")
    assert CliRunner().invoke(cli, ["import-f5", str(tmp_path / "x.conf")]).exit_code == 7


def test_a_request_without_a_path_is_said_and_the_root_is_asked_for() -> None:
    made = import_text(SAMPLE.read_text().replace("GET /", "GET orders/"))
    assert "path: /\n" in made.text
    assert "what it sends names no path: / is asked for" in str(made.leftovers)


@given(st.integers(0, 10_000))
@example(1981)  # a path that does not begin with a slash
def test_what_a_damaged_file_still_gives_passes_check(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    chance = random.Random(seed)
    text = SAMPLE.read_text()
    for _ in range(chance.randint(1, 4)):
        at = chance.randint(0, len(text))
        text = text[:at] + chance.choice(["disabled", "none", "order", "}", "/Common/x", ":", ""]) + text[at + chance.randint(0, 20):]
    try:
        imported = import_text(text)
    except ConfigError:
        return
    file = tmp_path_factory.getbasetemp() / f"damaged-{seed}.yaml"
    file.write_text(imported.text)
    assert [str(problem) for problem in checked(file, {}).problems] == []


TENANTS = HERE / "bigip_gtm_tenants.conf"


def test_tenants_may_use_the_same_name_each_in_a_partition_of_its_own(tmp_path: Path) -> None:
    """Nobody is given the members of somebody else's pool."""
    services = configured(tmp_path, import_file(TENANTS)).services
    assert services["core"].settings.member("core-b").address == {"": ("198.51.100.10", "2001:db8::10")}
    assert services["core"].settings.monitor.name == "core"
    assert [member.address for member in services["shop"].settings.members] == [{"": ("198.51.100.20",)}]
    assert services["shop"].monitor.kind == "tcp"


@pytest.mark.parametrize(("text", "why"), [
    ("gtm monitor tcp-half-open /Common/half", "no service that was imported uses this monitor"),
    ("gtm pool cname /Common/elsewhere", "no service that was imported uses this pool"),
    ("core-a:tomcat", "is in no pool that was imported"),
    ("aliases *.mdm.example.com", "a pattern for many names"),
    ("recv-disable", "no third state"), ("user-defined KEY", ""), ("depends-on", "see `follows`"), ("pools-cname", ""),
    ("gtm rule /MobileIron/sticky", "an iRule is a program"), ("gtm topology ldns: subnet", "client's place"), ("location", "a remark for people"),
    ("gtm link", "does not weigh links"), ("ltm virtual", "not a part of GTM"), ("gtm monitor external", "no service"),
])
def test_what_was_read_and_is_in_no_service_is_said(text: str, why: str) -> None:
    """Odd quoting, braces in comments of an iRule, names with colons, partitions: what is not taken is told."""
    assert [one for one in import_file(TENANTS).leftovers if one.text.startswith(text) and why in one.why]
