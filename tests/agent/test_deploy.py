"""The files for sites with a virtual address are accepted by the programs that they are for."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

DEPLOY = Path(__file__).parents[2] / "deploy" / "vip"


@pytest.mark.peer("systemd")
def test_the_agents_unit_is_valid_and_has_two_capabilities(tmp_path: Path) -> None:
    text = (DEPLOY / "lbctl-agent.service").read_text()
    lines = dict(line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))
    assert lines["AmbientCapabilities"] == lines["CapabilityBoundingSet"] == "CAP_NET_ADMIN CAP_NET_RAW"
    (tmp_path / "lbctl-agent.service").write_text(text.replace("/usr/bin/lbctl", "/bin/true"))
    words = ["systemd-analyze", "verify", "--man=no", str(tmp_path / "lbctl-agent.service")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.peer("haproxy")
def test_haproxys_file_is_valid(tmp_path: Path) -> None:
    file = tmp_path / "haproxy.cfg"
    file.write_text((DEPLOY / "haproxy.cfg").read_text().replace(" group lbctl", ""))
    done = subprocess.run(["/usr/sbin/haproxy", "-c", "-f", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
