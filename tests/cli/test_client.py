"""How the command line finds the controller, and what it says when it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from lbctl.cli.client import address
from lbctl.cli.failure import Failure
from lbctl.cli.options import Globals
from tests.cli.conftest import Terminal


@pytest.mark.parametrize(("text", "expected"), [
    ("services: {}\n", "unix:/run/lbctl/lbctl.sock"),
    ("api:\n  socket: /tmp/x.sock\nservices:\n  api: {socket: /no}\n", "unix:/tmp/x.sock"),
    ("# api: {socket: /no}\napi: {socket: /tmp/y.sock, listen: 127.0.0.1:1}\n", "unix:/tmp/y.sock"),
    ("api:\n  socket: null\n  listen: 127.0.0.1:9\n", "http://127.0.0.1:9"),
    ("api:\n  socket:\n  listen: [192.0.2.1:9]\n  tls: {cert_file: a, key_file: b}\n", "https://192.0.2.1:9"),
    ("api:\n  socket: ${LBCTL_TEST_DIR}/s\nservices:\n", "unix:/from/environment/s"),
    ("api:\n  socket: ${LBCTL_TEST_NOTHING:-/default}/s\nservices:\n", "unix:/default/s"),
    ("api: [\n", "unix:/run/lbctl/lbctl.sock"),
])
def test_the_configuration_says_where_the_socket_is(tmp_path: Path, text: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LBCTL_TEST_DIR", "/from/environment")
    (tmp_path / "c.yaml").write_text(text)
    assert address(Globals(config=str(tmp_path / "c.yaml"))) == expected


def test_a_relative_socket_stands_beside_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("api: {socket: s}\n")
    assert address(Globals(config=str(tmp_path / "c.yaml"))) == f"unix:{tmp_path}/s"


def test_api_wins_over_the_configuration(tmp_path: Path) -> None:
    assert address(Globals(api="https://lb.example.com", config=str(tmp_path / "none.yaml"))) == "https://lb.example.com"


def test_a_configuration_that_was_asked_for_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(Failure) as failure:
        address(Globals(config=str(tmp_path / "none.yaml")))
    assert failure.value.exit_code == 2


def test_over_tcp_a_token_says_who_is_acting(terminal: Terminal) -> None:
    token = {"LBCTL_TOKEN": terminal.texts["otto"]}
    assert terminal.type("--api", terminal.url, "hold", "core", "--reason", "x", env=token).exit_code == 0
    assert terminal.controller.commands[0].by == "otto"


def test_over_tcp_without_a_token_reading_is_allowed_and_writing_is_not(terminal: Terminal) -> None:
    assert terminal.type("--api", terminal.url, "status").exit_code == 0
    result = terminal.type("--api", terminal.url, "hold", "core", "--reason", "x")
    assert result.exit_code == 8 and "not allowed" in result.stderr and terminal.controller.commands == []
    assert "$LBCTL_TOKEN" in result.stderr, "who types has no header to set"


def test_a_viewer_is_not_an_operator(terminal: Terminal) -> None:
    file = terminal.directory / "mine"
    file.write_text(terminal.texts["vera"] + "\n")
    assert terminal.type("--api", terminal.url, "hold", "core", "--reason", "x", env={"LBCTL_TOKEN_FILE": str(file)}).exit_code == 8


@pytest.mark.parametrize("token", ["lbctl_one\ntwo", "lbctl_one two", "lbctl_ö"])
def test_a_token_that_cannot_be_sent_is_a_usage_error_and_stays_secret(terminal: Terminal, token: str) -> None:
    """H54: a line end in the variable is no traceback with the secret in it."""
    result = terminal.type("--api", terminal.url, "status", env={"LBCTL_TOKEN": token})
    assert result.exit_code == 2 and "one word" in result.stderr and "lbctl_" not in result.output


@pytest.mark.parametrize("api", ["ftp://x", "lb.example.com", "https://", "http://127.0.0.1:99999", "https://[::1", "http://127.0.0.1:x"])
def test_a_place_that_is_none_is_a_usage_error(terminal: Terminal, api: str) -> None:
    assert terminal.type("--api", api, "status").exit_code == 2


def test_a_name_that_looks_like_a_path_stays_a_name(terminal: Terminal) -> None:
    for name in ("core?", "core/explain", "co re", "../core"):
        result = terminal.type("status", name)
        assert result.exit_code == 2 and "Traceback" not in result.output, name
