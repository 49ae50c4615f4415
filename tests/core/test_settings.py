"""A Core's file: everything that is wrong is told at once, each with its place; the samples are right."""

from __future__ import annotations

from pathlib import Path

import pytest

from lbctl.core.settings import HaSettings, load
from lbctl.errors import ConfigError

SAMPLES = Path(__file__).parents[2] / "configs"
GOOD = "name: core-a\ndirectory: state\nlisten: {https: 127.0.0.1:0, portal: 127.0.0.1:0, ssh: '[::1]:22'}\n"


def written(base: Path, text: str) -> Path:
    file = base / "core.yaml"
    file.write_text(text)
    return file


def problems(base: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as error:
        load(written(base, text))
    return [str(problem).removeprefix(str(base)) for problem in error.value.problems]


@pytest.mark.parametrize("name", ["core-a", "core-b", "core-dr"])
def test_the_samples_are_accepted_and_belong_together(name: str) -> None:
    """G-SC2: three Cores on one machine that trust each other and share an authority."""
    settings = load(SAMPLES / f"{name}.yaml")
    others = [load(SAMPLES / f"{other}.yaml") for other in ("core-a", "core-b", "core-dr") if other != name]
    assert settings.name == name
    assert {host.host for host in settings.trusted_hosts} == {other.listen.https.host for other in others}
    assert {host.key_file.resolve() for host in settings.trusted_hosts} == {other.directory / "ssh" / "local_key.pub" for other in others}
    assert {other.tls.ca_directory for other in others} == {settings.tls.ca_directory}
    assert settings.ha.primary_host in {other.listen.https.host for other in others}


def test_the_defaults_are_the_windows() -> None:
    """G-HA: Disable; the Fail Over Controls' defaults, which the guide recommends to keep."""
    ha = HaSettings()
    assert (ha.enabled, ha.heartbeat_interval_s, ha.heartbeat_failures, ha.recheck_interval_s) == (False, 60, 5, 30)
    assert (ha.if_failure_detected, ha.run_every, ha.run_every_unit) == ("keep-standby", 60, "minutes")


def test_relative_paths_are_taken_from_the_files_directory(tmp_path: Path) -> None:
    settings = load(written(tmp_path, GOOD + "admin: {password_file: secret}\ntls: {ca_directory: ../ca}\n"))
    assert settings.directory == tmp_path / "state"
    assert settings.admin.password_file == tmp_path / "secret"
    assert settings.tls.ca_directory == tmp_path / ".." / "ca"


def test_all_mistakes_are_told_at_once_with_their_places(tmp_path: Path) -> None:
    text = GOOD + "version: eleven\nha:\n  mode: primary\n  start_time: 25:00\n  run_every: 0\n  email: nobody\n  heartbeat: 5\n"
    told = problems(tmp_path, text)
    assert len(told) == 6
    assert [one.split(": ")[0] for one in told] == [
        "/core.yaml:4:10", "/core.yaml:6:9", "/core.yaml:7:15", "/core.yaml:8:14", "/core.yaml:9:10", "/core.yaml:10:14"]
    assert any("e-mail address" in one for one in told)


@pytest.mark.parametrize(("text", "expected"), [
    ("", "name"), ("- a\n", "dictionary"), ("name: a\nname: b\n", "given twice"), ("name: [\n", "not YAML"),
    (GOOD + "listen2: 1\n", "listen2"), (GOOD.replace("127.0.0.1:0", "nowhere"), "expected ADDRESS:PORT"),
    (GOOD + "mail: {host: h, sender: a@example.com, user: u, security: none}\n", "without TLS"),
    (GOOD + "mail: {host: h, sender: a@example.com, security: ssl}\n", "starttls"),
], ids=["empty", "a list", "a key twice", "broken", "unknown key", "no port", "password in the clear", "no such security"])
def test_a_file_that_is_wrong_says_what_was_expected(tmp_path: Path, text: str, expected: str) -> None:
    assert any(expected in one for one in problems(tmp_path, text))


def test_a_file_that_is_not_there_is_a_problem_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "nothing.yaml")


@pytest.mark.parametrize(("text", "seconds"), [("500ms", 0.5), ("30", 30), ("5m", 300), ("2h", 7200)])
def test_durations_may_have_a_unit(text: str, seconds: float) -> None:
    assert HaSettings.model_validate({"heartbeat_interval": text}).heartbeat_interval_s == seconds
