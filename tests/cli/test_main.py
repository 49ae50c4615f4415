"""The command as a process: its ends, whoever reads its output or nobody does; never a traceback, with every warning an error."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.conftest import Terminal

LBCTL = [sys.executable, "-W", "error", "-m", "lbctl.cli"]


def typed(terminal: Terminal, *words: str, stdout: int | None = subprocess.PIPE) -> subprocess.Popen[str]:
    env = {**os.environ, "LBCTL_API": f"unix:{terminal.socket}"}
    return subprocess.Popen([*LBCTL, *words], env=env, stdout=stdout, stderr=subprocess.PIPE, text=True)


def told(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit code and standard error."""
    _, said = process.communicate(timeout=60)
    return process.returncode, said


@pytest.mark.parametrize("words", [("events", "-n", "1000"), ("events", "--since", "0"), ("audit", "export"), ("-o", "json", "status")],
                         ids=["events", "all-events", "export", "json"])
def test_a_reader_that_has_seen_enough_is_no_failure(terminal: Terminal, words: tuple[str, ...]) -> None:
    """`| head -1`."""
    for number in range(1000):
        terminal.controller.write("note", str(number))
    process = typed(terminal, *words)
    assert process.stdout
    process.stdout.close()
    assert told(process) == (0, "")


def test_output_that_nobody_can_take_is_an_error_in_one_line(terminal: Terminal) -> None:
    with Path("/dev/full").open("w") as full:
        code, said = told(typed(terminal, "status", stdout=full.fileno()))
    assert (code, said) == (1, "lbctl: error: the output: No space left on device\n")


def test_without_any_output_it_still_says_by_its_code(terminal: Terminal) -> None:
    words = " ".join([*LBCTL, "--api", f"unix:{terminal.socket}", "status", "nobody"])
    done = subprocess.run(["/bin/sh", "-c", f"{words} >&-"], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2 and done.stderr == "lbctl: error: no service is called 'nobody'\n"


@contextmanager
def listening() -> Iterator[str]:
    """Somebody who takes connections and says nothing."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_ctrl_c_ends_it_as_a_shell_expects() -> None:
    with listening() as url, subprocess.Popen([*LBCTL, "--api", url, "status"], stderr=subprocess.PIPE, text=True) as process:
        connections = Path(f"/proc/{process.pid}/net/tcp")
        port = f"{int(url.rsplit(':', 1)[1]):04X}"
        while not any(line.split()[2].endswith(f":{port}") and line.split()[3] == "01" for line in connections.read_text().splitlines()[1:]):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        code, said = told(process)
    assert code == 130 and "Traceback" not in said


@pytest.mark.parametrize("words", [
    ("replay", "core", "--set", "fall=2"), ("probe", "core/core-a"), ("check",), ("run",), ("token", "list"), ("import-f5", "nowhere"),
], ids=lambda words: words[0])
def test_a_configuration_that_is_none_is_told_in_words(tmp_path: Path, words: tuple[str, ...]) -> None:
    file = tmp_path / "lbctl.yaml"
    file.write_text("services: {x: 1}\napi: {tokens_file: lbctl.yaml}\n")
    done = subprocess.run([*LBCTL, "-c", str(file), *words], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 7 and "Traceback" not in done.stderr and done.stderr + done.stdout != ""


@pytest.mark.parametrize(("kind", "word"), [("file", "is it running"), ("nothing", "is it running"), ("left", "is it running")])
def test_a_socket_that_nobody_answers_at(tmp_path: Path, kind: str, word: str) -> None:
    place = tmp_path / "s"
    if kind == "file":
        place.write_text("")
    if kind == "left":
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(str(place))
    done = subprocess.run([*LBCTL, "--api", f"unix:{place}", "status"], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1 and word in done.stderr and done.stdout == ""


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_of_another_alphabet_is_no_reason_to_fall(terminal: Terminal, encoding: str) -> None:
    """Texts of the product hold more than ASCII."""
    terminal.controller.write("note", "\u2026 \u2192 h\u00e9")
    env = {**os.environ, "LBCTL_API": f"unix:{terminal.socket}", "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0", "LC_ALL": "C"}
    for words in (("events",), ("--help",), ("status", "core"), ("history",), ("-o", "yaml", "events")):
        done = subprocess.run([*LBCTL, *words], env=env, capture_output=True, check=False, timeout=60)
        assert (done.returncode, done.stderr) == (0, b""), words
