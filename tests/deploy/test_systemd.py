"""The units: systemd understands them, they give away next to nothing, and what they name exists."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SYSTEMD = Path(__file__).parents[2] / "deploy" / "systemd"
EXPOSURE_MAX = 1.5


def settings(name: str) -> dict[str, list[str]]:
    """Key -> values, in order."""
    found: dict[str, list[str]] = {}
    for line in (SYSTEMD / name).read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


@pytest.mark.peer("systemd-analyze")
def test_systemd_understands_the_units(tmp_path: Path) -> None:
    """With a stand-in for the command and the manual page, because neither is installed here."""
    for unit in ("lbctl.service", "lbctl-dns.socket"):
        text = (SYSTEMD / unit).read_text().replace("/usr/bin/lbctl", "/bin/true").replace("Documentation=man:lbctl(1)\n", "")
        (tmp_path / unit).write_text(text)
    command = ["systemd-analyze", "verify", "--man=no", str(tmp_path / "lbctl.service"), str(tmp_path / "lbctl-dns.socket")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    ours = [line for line in (done.stdout + done.stderr).splitlines() if "lbctl" in line]
    assert done.returncode == 0 and not ours, done.stderr


@pytest.mark.peer("systemd-analyze")
def test_the_service_is_next_to_harmless_if_it_is_taken_over() -> None:
    """systemd-analyze security: 0 is safe, 10 is root without walls."""
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(SYSTEMD / "lbctl.service")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    figure = re.search(r"Overall exposure level for lbctl\.service: ([\d.]+)", done.stdout)
    assert figure, done.stdout + done.stderr
    print(f"systemd-analyze security: {figure[1]}")
    assert float(figure[1]) <= EXPOSURE_MAX


def test_the_service_has_no_capability_and_drop_ins_give_only_what_they_say() -> None:
    assert settings("lbctl.service")["CapabilityBoundingSet"] == [""] == settings("lbctl.service")["AmbientCapabilities"]
    assert settings("port53.conf")["AmbientCapabilities"] == ["CAP_NET_BIND_SERVICE"]
    assert settings("vip.conf")["AmbientCapabilities"] == ["CAP_NET_ADMIN CAP_NET_RAW"]


def test_the_socket_bears_the_name_that_the_controller_looks_for() -> None:
    assert settings("lbctl-dns.socket")["FileDescriptorName"] == ["dns"] and settings("lbctl-dns.socket")["Service"] == ["lbctl.service"]


def test_the_socket_has_the_addresses_of_the_reference_configuration() -> None:
    found = settings("lbctl-dns.socket")
    assert found["ListenDatagram"] == found["ListenStream"] == ["127.0.0.1:5300"]


def test_every_library_works_without_writable_executable_memory() -> None:
    """MemoryDenyWriteExecute=yes, by the kernel's own switch (prctl PR_SET_MDWE, kept over execve; Linux 6.3)."""
    walls = (
        "import ctypes, os, sys\n"
        "if ctypes.CDLL(None).prctl(65, 1, 0, 0, 0): sys.exit(77)\n"
        "os.execv(sys.executable, [sys.executable, '-c', sys.argv[1]])\n"
    )
    work = (
        "import asyncio, mmap\n"
        "try:\n    mmap.mmap(-1, 4096, prot=mmap.PROT_WRITE | mmap.PROT_EXEC)\n    raise SystemExit('the wall is not there')\n"
        "except PermissionError: pass\n"
        "import lbctl.app, lbctl.cli.root, uvloop\n"
        "uvloop.run(asyncio.sleep(0))\n"
    )
    done = subprocess.run([sys.executable, "-c", walls, work], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode in (0, 77), done.stderr
    if done.returncode == 77:
        print("this kernel has no PR_SET_MDWE")


def test_the_reload_of_the_unit_is_a_verb() -> None:
    assert settings("lbctl.service")["ExecReload"][0].endswith(" reload") and settings("lbctl.service")["ExecStart"][0].endswith(" run")
    assert shutil.which("systemd-analyze"), "apt-get install systemd"
