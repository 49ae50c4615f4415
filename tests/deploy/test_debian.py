"""The Debian package: what is in it, and that it installs, runs without rights, upgrades, downgrades and leaves."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.deploy.conftest import DEBIAN, built, module
from tests.deploy.contract import VERBS
from tests.deploy.crowd import crowd
from tests.deploy.machine import Machine, machine, pages
from tests.deploy.test_service import answer, configured, settled

ROOT = DEBIAN.parents[1]


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


@pytest.mark.netns
async def test_the_package_installs_upgrades_over_a_running_service_and_leaves(package: Path, tmp_path: Path) -> None:
    """Issue 5, item 10: on a machine with a real systemd."""
    newer = renumbered(package, tmp_path, "99.0")
    async with machine(tmp_path) as host, pages(host):
        await _installs(host, package)
        await _runs_without_rights(host)
        await _changes_version_while_it_runs(host, newer, package)
        await _leaves(host)


def renumbered(package: Path, tmp_path: Path, version: str) -> Path:
    """The same package with another version: only dpkg sees the difference."""
    root, made = tmp_path / "renumbered", tmp_path / f"lbctl_{version}.deb"
    for words in (["-R", str(package), str(root)], ["--root-owner-group", "-Znone", "--build", str(root), str(made)]):
        if words[0] != "-R":
            control = root / "DEBIAN" / "control"
            control.write_text(re.sub(r"^Version: .*", f"Version: {version}", control.read_text(), flags=re.MULTILINE))
        subprocess.run(["dpkg-deb", *words], check=True, capture_output=True)
    return made


async def _installs(host: Machine, package: Path) -> None:
    """It says what to do next, starts nothing without a configuration, and brings its papers."""
    told = await host.install(package)
    assert "write /etc/lbctl/lbctl.yaml" in told
    assert await host.run("stat", "-c", "%U:%G %a", "/etc/lbctl") == "root:lbctl 750"
    assert await host.run("systemctl", "is-enabled", "lbctl") == "enabled" and await host.show("ActiveState") == "inactive"
    assert (await host.run("man", "-w", "lbctl")).endswith("lbctl.1.gz")
    shell = ". /usr/share/bash-completion/completions/lbctl; complete -p lbctl; COMP_WORDS=(lbctl switch) COMP_CWORD=1; _lbctl_completion lbctl; "
    assert "switchover" in await host.run("bash", "-c", shell + 'echo "${COMPREPLY[@]}"')
    for example in (await host.run("sh", "-c", "ls /usr/share/doc/lbctl/examples/g*.yaml")).split():
        assert "valid" in await host.run("lbctl", "check", example)


async def _runs_without_rights(host: Machine) -> None:
    await configured(host)
    await host.run("systemctl", "start", "lbctl-dns.socket", "lbctl")
    await settled(host)
    status = await host.run("sh", "-c", "cat /proc/$(systemctl show --value -p MainPID lbctl)/status")
    user = await host.run("id", "-u", "lbctl")
    assert f"Uid:\t{user}\t{user}\t{user}\t{user}" in status and "NoNewPrivs:\t1" in status and "Seccomp:\t2" in status
    assert set(re.findall(r"^Cap\w+:\t(\w+)", status, re.MULTILINE)) == {"0" * 16}
    assert await host.run("stat", "-c", "%U:%G %a", "/run/lbctl", "/run/lbctl/lbctl.sock") == "lbctl:lbctl 750\nlbctl:lbctl 660"
    assert await host.run("stat", "-c", "%U %a", "/var/lib/lbctl", "/var/lib/lbctl/state.db") == "lbctl 700\nlbctl 600"
    await host.run("useradd", "--groups", "lbctl", "alice")
    as_alice, as_nobody = ("runuser", "-u", "alice", "--"), ("runuser", "-u", "nobody", "--")
    assert "core" in await host.run(*as_alice, "lbctl", "status")
    assert (await host.tried(*as_nobody, "lbctl", "status")).code != 0
    await host.run(*as_alice, "lbctl", "hold", "core", "--reason", "who am I")
    assert "held" in (held := await host.run("lbctl", "status", "core")) and "alice" in held
    await host.run("lbctl", "release", "core")


async def _changes_version_while_it_runs(host: Machine, newer: Path, older: Path) -> None:
    """Upgrade, then downgrade: dpkg restarts the service, no query is lost, nothing moves. A state of a newer version is left alone."""
    for package in (newer, older):
        pid = await host.show("MainPID")
        async with crowd("127.0.0.1", 5300, network=host.network, every_s=0.05) as clients:
            await host.install(package)
        assert set(clients.answers) == {"127.0.0.11"} and await host.show("MainPID") != pid
        assert "epoch 1," in await host.run("lbctl", "status", "core")
    await host.run("systemctl", "stop", "lbctl-dns.socket", "lbctl")
    version = "import sqlite3, sys; c = sqlite3.connect('/var/lib/lbctl/state.db'); print(c.execute(sys.argv[1]).fetchall()); c.commit()"
    await host.run("python3", "-c", version, "PRAGMA user_version = 99")
    await host.run("systemctl", "start", "lbctl-dns.socket", "lbctl")
    assert "the state file is of version 99" in await host.run("lbctl", "status", "core")
    assert await answer(host) == "127.0.0.11", "from its copy: nothing moves, and nobody is left without an answer"
    assert await host.run("python3", "-c", version, "PRAGMA user_version") == "[(99,)]"


async def _leaves(host: Machine) -> None:
    """Removed: stopped, sockets closed, state and configuration kept. Purged: nothing is left but the user."""
    await host.run("dpkg", "-r", "lbctl")
    assert (await host.tried("pgrep", "-u", "lbctl")).text == ""
    with pytest.raises(ConnectionRefusedError):
        await answer(host)
    await host.run("test", "-e", "/var/lib/lbctl/state.db")
    await host.run("test", "-e", "/etc/lbctl/lbctl.yaml")
    await host.run("dpkg", "-P", "lbctl")
    places = "/var/lib/lbctl /etc/lbctl /usr/lib/lbctl /usr/share/doc/lbctl /etc/systemd/system/*/lbctl*"
    assert await host.run("sh", "-c", f"ls -d {places} 2>/dev/null || true") == ""


def test_the_same_input_gives_the_same_package(package: Path, tmp_path: Path) -> None:
    """Byte by byte, built again by another process at another time from the same checkout."""
    assert built(package.parent / "src", tmp_path).read_bytes() == package.read_bytes()
