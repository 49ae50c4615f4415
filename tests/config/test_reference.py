"""The contract's reference configuration: every key in it works, the commented ones too, and reaches its setting."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lbctl.config import Config, read
from lbctl.config.surroundings import ACTUATOR_KINDS
from lbctl.errors import ConfigError
from lbctl.model.settings import Freshness, ProbeSettings, Role

REFERENCE = Path(__file__).parent / "reference.yaml"
UNCOMMENTED = {
    "  # tls: {cert_file: …, key_file: …, client_ca_file: …}": "  tls: {cert_file: F, key_file: F, client_ca_file: F}",
    "  # tokens_file: /etc/lbctl/tokens.yaml": "  tokens_file: F",
    "  # - url: mailto://…": "  - url: mailto://ops@example.com",
    "  # - webhook: {url: https://…, secret_file: …}": "  - webhook: {url: https://hooks.example.com/x, secret_file: F}",
    "    # follows: other-service": "    follows: other-service",
    "        # connect: 10.1.1.10": "        connect: 10.1.1.10",
    "tls: {verify: true}": "tls: {verify: true, ca_file: F, server_name: core-a.example.com, client_cert_file: F, "
                           "pin_sha256: aa0b0c0d0e0f000102030405060708090a0b0c0d0e0f00010203040506070809}",
    "        # freshness: {source: ssh | file | url, max_staleness: 90m, unknown: allow}":
        "        freshness: {source: ssh, max_staleness: 90m, unknown: block}",
    "        # drive: {ssh: core-b.example.com:22, user: admin, key_file: …, known_hosts_file: …}":
        "        drive: {ssh: core-b.example.com:22, user: admin, key_file: F, known_hosts_file: F}",
    "      # - rfc2136:": "      - rfc2136:",
    "      #                tsig: {name: lbctl., algorithm: hmac-sha256, secret_file: /etc/lbctl/tsig.key}}":
        "                     tsig: {name: lbctl., algorithm: hmac-sha256, secret_file: F}}",
    "  # careful is: {interval": "  # careful is: {interval",
}
OTHER = """
  other-service:
    members: [{name: x, role: primary, address: 192.0.2.77}]
"""


def live(folder: Path) -> str:
    """The reference with every commented key live; files that it names are made."""
    text = REFERENCE.read_text(encoding="utf-8")
    for old, new in UNCOMMENTED.items():
        assert old in text, f"the reference no longer has {old!r}"
        text = text.replace(old, new)
    (folder / "file").write_text("c2VjcmV0\n")
    text = text.replace("secret_file: F", "secret_file: file").replace("_file: F", "_file: file")
    return text + OTHER


def built(folder: Path, text: str) -> Config:
    file = folder / "lbctl.yaml"
    file.write_text(text, encoding="utf-8")
    return read(file)


def test_the_reference_is_valid_as_it_stands() -> None:
    config = read(REFERENCE)
    assert config.controller.name == "lb-1"
    assert config.controller.journal_keep_s == 400 * 86400
    assert config.controller.journal_bytes_max == 1 << 30
    assert config.safety.mass_move.share == 0.25
    assert config.authoritative is not None
    assert config.authoritative.rate_limit == 200
    core = config.services["core"].settings
    assert core.primary == "core-a"
    assert [m.role for m in core.members] == [Role.PRIMARY, Role.SECONDARY, Role.SECONDARY]
    assert core.member("core-a").probe == ProbeSettings()
    assert core.member("core-dr").manual_approval
    assert core.member("core-dr").syncs_from == "core-b"
    assert (core.lockout_s, core.promote_timeout_s, core.seen_window_s) == (1800, 900, 600)
    assert (core.maintenance_max_s, core.approval_expires_s, core.rearm_rounds) == (28800, 1800, 3)


def test_a_tool_that_writes_on_and_off_as_booleans_says_the_same(tmp_path: Path) -> None:
    """YAML 1.1 reads the words as true and false; who loads the reference with it and writes it again has the same configuration."""
    text = REFERENCE.read_text(encoding="utf-8").replace("automation: on", "automation: true").replace("rate_limit: 200", "rate_limit: false")
    config = built(tmp_path, text)
    assert config.authoritative is not None and config.authoritative.rate_limit == 0
    assert not config.services["core"].settings.observe
    with pytest.raises(ConfigError, match="expected on or observe"):
        built(tmp_path, text.replace("automation: true", "automation: false"))


def test_every_commented_key_works_too(tmp_path: Path) -> None:
    config = built(tmp_path, live(tmp_path))
    core = config.services["core"]
    assert config.api.tls is not None
    assert config.api.tls.client_ca_file == tmp_path / "file"
    assert config.api.tokens_file == tmp_path / "file"
    assert [one.kind for one in config.notify] == ["url", "webhook"]
    assert core.settings.follows == "other-service"
    target = core.targets["core-a"]
    assert target.connect == "10.1.1.10"
    assert target.tls.server_name == "core-a.example.com"
    assert target.tls.pin_sha256 is not None
    assert core.settings.member("core-b").freshness == Freshness(5400, unknown_blocks=True)
    assert core.settings.member("core-b").driven
    assert core.drives["core-b"].ssh == ("core-b.example.com", 22)
    assert core.freshness["core-b"].kind == "ssh"
    assert [one.id for one in core.actuators] == ["authoritative:core.gtm.example.com", "rfc2136:core.example.com"]
    assert core.actuators[1].settings["tsig"].secret_file == tmp_path / "file"
    assert core.actuators[1].settings["servers"] == (("192.0.2.53", 53),)
    assert core.settings.actuators == tuple(one.id for one in core.actuators)


def test_a_virtual_address_works_where_this_build_has_them(tmp_path: Path) -> None:
    text = live(tmp_path).replace("      # - vip:", "      - vip:")
    if "vip" in ACTUATOR_KINDS:
        assert built(tmp_path, text).services["core"].actuators[2].id == "vip:203.0.113.9"
    else:
        with pytest.raises(ConfigError, match="the actuator vip is not available in this build"):
            built(tmp_path, text)


def test_no_comment_of_the_reference_hides_a_key_that_was_forgotten() -> None:
    commented = re.findall(r"^\s*# (?:- )?([a-z_]+):", REFERENCE.read_text(encoding="utf-8"), re.MULTILINE)
    tried = {word for old in UNCOMMENTED for word in re.findall(r"# (?:- )?([a-z_]+):", old)}
    assert set(commented) - tried == {"state", "vip"}, "both have a test of their own"


def test_several_controllers_are_refused_with_a_clear_word(tmp_path: Path) -> None:
    text = REFERENCE.read_text(encoding="utf-8").replace("state: /var/lib/lbctl/state.db ", "state: etcd://10.0.0.1:2379/lbctl")
    with pytest.raises(ConfigError, match="not available in this build"):
        built(tmp_path, text)


@pytest.mark.parametrize(("profile", "settings"), [
    ("careful", ProbeSettings()),
    ("standard", ProbeSettings("standard", 1.0, 0.25, 1.0, 3, 2, 10, 0.0)),
    ("fast", ProbeSettings("fast", 0.05, 0.01, 0.05, 2, 2, 10, 0.0)),
])
def test_the_profiles_are_the_contracts(tmp_path: Path, profile: str, settings: ProbeSettings) -> None:
    config = built(tmp_path, REFERENCE.read_text(encoding="utf-8").replace("profile: careful}", f"profile: {profile}}}"))
    assert config.services["core"].settings.member("core-b").probe == settings
