"""`bigip_gtm.conf` -> a configuration that `check` accepts, and a word for every line that was not mapped."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
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


def one_line(statement: Statement) -> str:
    """As `tmsh list … one-line` writes it."""
    words = ['"' + json.dumps(word)[1:-1] + '"' if number in statement.quoted else word for number, word in enumerate(statement.words)]
    inner = " ".join(one_line(one) for one in statement.block or ())
    return " ".join(words) + ("" if statement.block is None else f" {{ {inner} }}" if inner else " { }")


@pytest.mark.parametrize("file", sorted(HERE.glob("*.conf")), ids=lambda file: file.name)
def test_what_tmsh_lists_with_one_line_is_imported_alike(file: Path) -> None:
    """Nothing but the words tells where a setting ends there; and an object's remarks all stand on its one line."""
    long = import_file(file)
    short = import_text("\n".join(one_line(top) for top in parse(file.read_text())), file.name)
    assert short.text == long.text
    assert sorted((one.text, one.why) for one in short.leftovers) == sorted((one.text, one.why) for one in long.leftovers)


ONE_LINE = """
gtm listener l1 { address 192.0.2.53 ip-protocol udp mask 255.255.255.255 port domain }
gtm monitor https core_status { defaults-from https interval 10 probe-timeout 4 recv "MOBILEIRON-STATUS: OK" timeout 31 }
gtm pool a core { frob load-balancing-mode global-availability manual-resume enabled members { c:/Common/a { member-order 0 } \
c:/Common/b { disabled member-order 1 } c:/Common/d { ratio 3 member-order 2 } } monitor core_status and https ttl 60 }
gtm server c { datacenter dc devices { c { addresses { 192.0.2.9 { } } } } disabled-by nobody product generic-host virtual-servers { \
a { destination 192.0.2.1:https } b { destination 192.0.2.2:https } d { destination 192.0.2.3:https translation-address 10.0.0.3 } } }
gtm wideip a mdm.example.com { aliases { m.example.com mobile.example.com } last-resort-pool a core persistence enabled pools { core { order 0 } } }
"""


def test_settings_on_one_line_are_told_apart_flags_and_unknown_ones_too(tmp_path: Path) -> None:
    imported = import_text(ONE_LINE)
    service = configured(tmp_path, imported).services["mdm"]
    assert [actuator.settings["name"] for actuator in service.actuators] == ["mdm.example.com", "m.example.com", "mobile.example.com"]
    assert {actuator.settings["ttl_s"] for actuator in service.actuators} == {60}
    assert service.settings.names == ("a", "d")
    assert (service.settings.monitor.name, service.settings.member("a").probe.interval_s) == ("core", 10)
    assert service.targets["d"].connect == "10.0.0.3"
    told = whys(imported)
    for text in ("frob", "ip-protocol udp", "disabled-by nobody", "ratio 3", "last-resort-pool a core", "persistence enabled", "/b: is disabled"):
        assert text in told
    assert "Manual Resume was off" not in whys(imported)


def test_a_monitor_has_what_it_does_not_say_from_the_one_it_comes_from(tmp_path: Path) -> None:
    text = SAMPLE.read_text() + """
gtm monitor https /Common/parent {
    interval 20
    recv "deep inside"
    send "GET /inner HTTP/1.0\\r\\n\\r\\n"
}
gtm monitor https /Common/child {
    defaults-from /Common/parent
    probe-timeout 3
}
"""
    text = text.replace("monitor /Common/sentry_page and /Common/ping", "monitor /Common/child")
    service = configured(tmp_path, import_text(text)).services["sentry"]
    assert (service.monitor.settings["path"], service.monitor.settings["text"]) == ("/inner", "deep inside")
    probe = service.settings.members[0].probe
    assert (probe.interval_s, probe.timeout_s, probe.min_outage_s) == (20, 3, 120)


def test_monitors_that_come_from_one_another_end() -> None:
    circle = "gtm monitor https /Common/a { defaults-from /Common/b }\ngtm monitor https /Common/b { defaults-from /Common/a }\n"
    assert import_text(circle + SAMPLE.read_text()).services


def test_of_two_objects_with_one_name_the_later_is_taken_and_it_is_said(tmp_path: Path) -> None:
    imported = import_text("gtm pool a core_pool {\n    load-balancing-mode ratio\n}\n" + SAMPLE.read_text())
    assert configured(tmp_path, imported).services["mdm"].settings.kind == "failover"
    assert "line 1: gtm pool a core_pool: line 54 has it once more: that one is taken" in whys(imported)


@pytest.mark.parametrize(("old", "new", "services", "why"), [
    ("wideip a /Common/mdm.example.com {", "wideip a /Common/mdm.example.com {\n disabled", ["sentry", "mdm"], "mdm.example.com: is disabled"),
    ("aaaa /Common/mdm.example.com {", "aaaa /Common/mdm.example.com {\n disabled", ["mdm", "sentry"], "aaaa /Common/mdm.example.com: is disabled"),
    ("a /Common/sentry_pool {", "a /Common/sentry_pool {\n disabled", ["mdm"], "gtm pool a /Common/sentry_pool: is disabled"),
    ("mobile.example.com", "sentry.example.com", ["mdm"], "gtm wideip a /Common/sentry.example.com: another service answers for its name already"),
    ("a /Common/*.wild.example.com", "a /T/mdm.example.com", ["mdm", "sentry"], "gtm wideip a /T/mdm.example.com: another service answers"),
    ("monitor /Common/sentry_page and /Common/ping", "monitor /Common/https", ["mdm", "sentry"], "https is not in this file: a connection"),
    ('recv "Sentry (is|seems) ready"', "recv none", ["mdm", "sentry"], "any answer is good to F5; lbctl wants a 200"),
    ("    ttl 30", "    ttl 0", ["mdm", "sentry"], "ttl 0: a service has one TTL: 30"),
    ("    ttl 30", "    ttl 999999", ["mdm", "sentry"], "ttl 999999: a service has one TTL: 86400"),
], ids=["A off", "AAAA off", "pool off", "alias is a wide IP", "two partitions", "built-in monitor", "no recv", "ttl 0", "ttl too long"])
def test_what_would_change_the_meaning_is_said_and_passes_check(tmp_path: Path, old: str, new: str, services: list[str], why: str) -> None:
    imported = import_text(SAMPLE.read_text().replace(old, new))
    assert list(imported.services) == services
    assert why in whys(imported)
    (tmp_path / "lbctl.yaml").write_text(imported.text)
    assert checked(tmp_path / "lbctl.yaml").code == 0


@pytest.mark.parametrize("change", [
    lambda raw: raw.replace(b"\n", b"\r\n"), lambda raw: b"\xef\xbb\xbf" + raw, lambda raw: b"# " + bytes(range(128, 256)) + b"\0\n" + raw,
], ids=["CRLF", "byte order mark", "bytes that are no text"])
def test_how_the_file_was_carried_does_not_matter(tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    (tmp_path / SAMPLE.name).write_bytes(change(SAMPLE.read_bytes()))
    carried, plain = import_file(tmp_path / SAMPLE.name), import_file(SAMPLE)
    assert carried.text == plain.text
    assert [(one.text, one.why) for one in carried.leftovers] == [(one.text, one.why) for one in plain.leftovers]
