"""`lbctl check`: exit codes and forms; what it says is tested beside the configuration."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from lbctl.cli.root import cli

GOOD = "services:\n  core:\n    members: [{name: a, role: primary, address: 192.0.2.1}, {name: b, address: 192.0.2.2}]\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "lbctl.yaml"
    path.write_text(GOOD)
    return path


def test_a_valid_file_is_audited_and_ends_with_0(file: Path) -> None:
    run = CliRunner().invoke(cli, ["check", str(file)])
    assert run.exit_code == 0
    assert f"{file}: valid, 1 service" in run.stdout
    assert "\x1b" not in run.stdout


@pytest.mark.parametrize("words", [["-c", "FILE", "check"], ["check", "-c", "FILE"], ["check", "FILE"]], ids=" ".join)
def test_the_file_may_stand_before_and_after_the_verb(file: Path, words: list[str]) -> None:
    run = CliRunner().invoke(cli, [word.replace("FILE", str(file)) for word in words])
    assert run.exit_code == 0


def test_the_environment_names_the_file(file: Path) -> None:
    assert CliRunner(env={"LBCTL_CONFIG": str(file)}).invoke(cli, ["check"]).exit_code == 0


def test_an_invalid_file_ends_with_7_and_all_its_mistakes(file: Path) -> None:
    file.write_text(GOOD.replace("role", "rule").replace("192.0.2.2", "nowhere"))
    run = CliRunner().invoke(cli, ["check", str(file)])
    assert run.exit_code == 7
    assert f"{file}:3:25: services.core.members[0].rule: unknown key (did you mean 'role'?)" in run.stdout
    assert "expected an IPv4 or IPv6 address, not 'nowhere'" in run.stdout


def test_a_missing_file_ends_with_7(tmp_path: Path) -> None:
    run = CliRunner().invoke(cli, ["check", str(tmp_path / "none.yaml")])
    assert run.exit_code == 7
    assert "cannot be read" in run.stdout


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_machines_get_an_object(file: Path, form: str) -> None:
    run = CliRunner().invoke(cli, ["check", "-o", form, str(file)])
    found = json.loads(run.stdout) if form == "json" else yaml.safe_load(run.stdout)
    assert found["valid"] is True
    assert found["services"][0]["name"] == "core"


def test_the_schema_is_printed_for_editors() -> None:
    assert json.loads(CliRunner().invoke(cli, ["check", "--schema"]).stdout)["title"] == "lbctl.yaml"


def test_the_schema_is_printed_without_a_word_beside_it() -> None:
    """A pipe into an editor's file; defaults stand in it as an author writes them."""
    done = subprocess.run([sys.executable, "-W", "error", "-m", "lbctl.cli", "check", "--schema"], capture_output=True, check=True)
    assert done.stderr == b""
    assert json.loads(done.stdout)["$defs"]["Api"]["properties"]["listen"]["default"] == ["127.0.0.1:9653"]
