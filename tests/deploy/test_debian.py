"""The Debian package: what is in it, and (in the long run) that it installs, runs without rights, upgrades and leaves."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.deploy.contract import VERBS

ROOT = Path(__file__).parents[2]
DEBIAN = ROOT / "deploy" / "debian"


def module(name: str) -> ModuleType:
    """A script of deploy/debian as a module."""
    spec = importlib.util.spec_from_file_location(f"debian_{name}", DEBIAN / f"{name}.py")
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def test_what_is_packed_is_what_is_locked_and_nothing_for_tests_or_builds() -> None:
    locked = dict(re.findall(r"^([A-Za-z0-9_.-]+)==([^\s;\\]+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    packed = {name: found.version for name, found in module("build").required().items() if name != "lbctl"}
    assert {name: locked[name] for name in packed} == packed
    assert not {"pip", "hatchling", "editables", "pytest", "mypy", "ruff", "playwright", "hypothesis"} & set(packed)
    assert {"aiohttp", "click", "cryptography", "dnspython", "pydantic", "pyyaml", "uvloop"} <= set(packed)


def test_the_manual_page_has_every_verb_and_option_and_no_mistake(tmp_path: Path) -> None:
    page = module("manpage").page()
    told = set(re.findall(r'^\.SS "lbctl ([a-z0-9-]+)', page.replace("\\-", "-"), re.MULTILINE))
    assert told <= VERBS and {"status", "failover", "maintenance", "run", "check"} <= told
    (tmp_path / "lbctl.1").write_text(page)
    done = subprocess.run(
        ["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", str(tmp_path / "lbctl.1")], capture_output=True, text=True, timeout=60, check=False,
        env={"MANWIDTH": "100", "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
    )
    assert done.returncode == 0 and not done.stderr, done.stderr
    plain = re.sub(r".\x08", "", done.stdout)
    for word in ("EXIT STATUS", "refused by a safety rule", "--attest-synced", "/etc/lbctl/lbctl.yaml", "maintenance on"):
        assert word in plain, word


@pytest.mark.parametrize("script", ["postinst", "prerm", "postrm"])
def test_a_maintainer_script_is_sound_and_does_nothing_when_asked_for_nothing(script: str) -> None:
    assert subprocess.run(["sh", "-n", str(DEBIAN / script)], check=False).returncode == 0
    assert subprocess.run(["sh", str(DEBIAN / script), "abort-upgrade"], check=False, capture_output=True).returncode == 0


def test_the_container_is_made_of_files_that_exist_and_runs_without_rights() -> None:
    text = (ROOT / "deploy" / "container" / "Containerfile").read_text()
    for sources in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE):
        assert all((ROOT / source).exists() for source in sources.split())
    assert re.search(r"^USER lbctl$", text, re.MULTILINE) and "http" not in text


@pytest.mark.slow
@pytest.mark.netns
def test_the_package_installs_runs_without_rights_upgrades_and_leaves(tmp_path: Path) -> None:
    """Issue 5, item 10. On a copy-on-write view of this machine: nothing of it stays."""
    built = subprocess.run([sys.executable, str(DEBIAN / "build.py"), str(tmp_path)], capture_output=True, text=True, timeout=600, check=False)
    assert built.returncode == 0, built.stderr
    package = built.stdout.strip()
    done = subprocess.run(
        ["unshare", "-m", "sh", str(Path(__file__).parent / "install.sh"), package], capture_output=True, text=True, timeout=300, check=False,
    )
    print(done.stdout)
    for line in (
        "owner root:lbctl 750", "user lbctl", "caps 0000000000000000", "socket lbctl:lbctl 660", "stranger no", "ended 0",
        "upgraded, state lbctl 600", "manual yes", "completion complete", "removed, state and configuration kept", "purged",
    ):
        assert line in done.stdout, f"{line}: {done.stdout}\n{done.stderr}"


@pytest.mark.slow
def test_the_same_input_gives_the_same_package(tmp_path: Path) -> None:
    packages = []
    for name in ("one", "two"):
        command = [sys.executable, str(DEBIAN / "build.py"), str(tmp_path / name)]
        environ = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000"}
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False, env=environ)
        assert done.returncode == 0, done.stderr
        packages.append(Path(done.stdout.strip()).read_bytes())
    assert packages[0] == packages[1]
