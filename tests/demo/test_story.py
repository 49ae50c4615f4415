"""`lbctl demo --act`, as `make demo ACT=1` runs it: real Cores, the real controller, real DNS queries (contract section 1)."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

LBCTL = [sys.executable, "-m", "lbctl.cli"]

STORY = (
    r"up: core\.gtm\.example\.com sends clients to core-a",
    r"core-b has replicated from core-a: 500 devices",
    r"kill -9: core-a is gone",
    r"answers moved: clients are sent to core-b .*, [0-9.]+ s after the kill",
    r"core-b has promoted itself",
    r"core-a is back, and still says Mode: Primary",
    r"answers stay: core-b in \d+ queries",
    r"`lbctl resume core` is refused \(exit code 3\)",
    r"refused by active-standby",
    r"synced back and roles returned",
    r"answers returned to core-a, [0-9.]+ s",
    r"nothing was lost: core-a has all 520 devices",
    r"every step was seen from outside",
)


def test_the_whole_story_plays_without_a_terminal(tmp_path: Path) -> None:
    """G-LB3, G-LB4, G-ST, H9: from the kill to the resume, each step seen from outside."""
    done = subprocess.run([*LBCTL, "demo", "--act", "--directory", str(tmp_path)], capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    position = 0
    for wished in STORY:
        found = re.search(wished, done.stdout[position:])
        assert found, f"{wished} is missing after {position} in\n{done.stdout}"
        position += found.end()


def test_interrupted_it_leaves_no_process_behind(tmp_path: Path) -> None:
    with subprocess.Popen([*LBCTL, "demo", "--directory", str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = ""
        try:
            while "Ctrl-C ends it" not in told:
                line = process.stdout.readline()
                assert line, told
                told += line
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0
        finally:
            process.kill()
    assert "dig +short @127.0.0.1" in told and "page    http://127.0.0.1:" in told and "status core" in told
    assert not [entry for entry in Path("/proc").iterdir() if entry.name.isdigit() and str(tmp_path) in _words(entry)]


def _words(process: Path) -> str:
    try:
        return (process / "cmdline").read_text()
    except OSError:
        return ""
