"""`lbctl token`: made once, listed without secrets, revoked."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Terminal


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "lbctl.yaml"
    path.write_text("api:\n  tokens_file: t.yaml\nservices: {}\n")
    return str(path)


def test_a_token_is_shown_once_and_never_again(terminal: Terminal, config: str) -> None:
    """H54."""
    made = terminal.type("-c", config, "token", "create", "alice", "--role", "operator", "--for", "90d").stdout
    text = made.splitlines()[0]
    listed = terminal.type("-c", config, "token", "list").stdout
    assert "alice" in listed and "operator" in listed and text not in listed
    assert text.split("_", 2)[2] not in (Path(config).parent / "t.yaml").read_text()


def test_a_revoked_token_is_gone(terminal: Terminal, config: str) -> None:
    ident = terminal.json("-c", config, "token", "create", "bob", "--role", "viewer")["id"]
    assert terminal.type("-c", config, "token", "revoke", "feedbeef").exit_code == 2
    assert terminal.type("-c", config, "token", "revoke", ident).exit_code == 0
    assert terminal.type("-c", config, "token", "list").stdout == "no tokens\n"


def test_without_a_file_it_says_what_to_set(terminal: Terminal, tmp_path: Path) -> None:
    (tmp_path / "bare.yaml").write_text("services: {}\n")
    result = terminal.type("-c", str(tmp_path / "bare.yaml"), "token", "list")
    assert result.exit_code == 2 and "api.tokens_file" in result.stderr


def test_a_role_that_is_none_is_a_usage_error(terminal: Terminal, config: str) -> None:
    assert terminal.type("-c", config, "token", "create", "x", "--role", "king").exit_code == 2
