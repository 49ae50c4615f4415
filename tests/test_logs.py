"""Logs as people, the service manager's journal and machines read them; what the service manager is told (H55)."""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from lbctl import logs, systemd


@pytest.fixture(autouse=True)
def _reset() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def line(form: str) -> str:
    out = io.StringIO()
    logs.setup(out, form=form)
    structlog.get_logger().warning("moved to b\nnow", service="core", by="", epoch=None, detail="two words")
    return out.getvalue()


def test_in_the_journal_a_line_begins_with_its_priority_and_stays_one_line() -> None:
    assert line("journal") == '<4>moved to b\\x0anow service=core detail="two words"\n'


def test_on_a_terminal_a_line_begins_with_the_time() -> None:
    text = line("text")
    assert text[4] == "-"
    assert 'warning moved to b\\x0anow service=core detail="two words"\n' in text


def test_for_machines_a_line_is_an_object() -> None:
    found = json.loads(line("json"))
    assert (found["event"], found["level"], found["service"]) == ("moved to b\nnow", "warning", "core")


@pytest.mark.parametrize("abstract", [False, True])
def test_the_service_manager_hears_of_readiness_and_reloads(tmp_path: Path, abstract: bool) -> None:
    name = f"\0lbctl-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(name)
        manager.settimeout(5)
        environ = {"NOTIFY_SOCKET": name.replace("\0", "@")}
        assert systemd.ready("3 normal", environ=environ)
        assert manager.recv(1000) == b"READY=1\nSTATUS=3 normal"
        assert systemd.reloading(environ=environ)
        first, second = manager.recv(1000).split(b"\n")
        assert first == b"RELOADING=1"
        assert second.startswith(b"MONOTONIC_USEC=")
        assert systemd.stopping(environ=environ)
        assert manager.recv(1000).startswith(b"STOPPING=1")


@pytest.mark.parametrize("address", ["", "relative", "/nowhere/at/all"])
def test_without_a_service_manager_nothing_happens(address: str) -> None:
    assert systemd.notify("READY=1", environ={"NOTIFY_SOCKET": address}) is False


@pytest.mark.parametrize(("environ", "every_s"), [
    ({}, None), ({"WATCHDOG_USEC": "30000000"}, 15.0), ({"WATCHDOG_USEC": "0"}, None), ({"WATCHDOG_USEC": "x"}, None),
    ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None), ({"WATCHDOG_USEC": "2000000", "WATCHDOG_PID": str(os.getpid())}, 1.0),
])
def test_the_watchdog_is_fed_twice_as_often_as_it_asks(environ: dict[str, str], every_s: float | None) -> None:
    assert systemd.watchdog_s(environ) == every_s


_CHILD = """
import os
os.environ["LISTEN_PID"] = str(os.getpid())
from lbctl.systemd import passed_sockets
print({name: [sock.getsockname()[1] for sock in socks] for name, socks in passed_sockets().items()})
"""


def test_sockets_that_the_manager_holds_are_taken_by_name() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        environ = {**os.environ, "LISTEN_FDS": "1", "LISTEN_FDNAMES": "dns"}

        def put_in_place() -> None:
            os.dup2(held.fileno(), 3, inheritable=True)

        done = subprocess.run([sys.executable, "-W", "ignore", "-c", _CHILD], env=environ, preexec_fn=put_in_place, pass_fds=(3,),
                              capture_output=True, text=True, check=True, timeout=60)
        assert done.stdout.strip() == str({"dns": [held.getsockname()[1]]})


def test_sockets_meant_for_another_process_are_left_alone() -> None:
    assert systemd.passed_sockets({"LISTEN_PID": "1", "LISTEN_FDS": "3"}) == {}
