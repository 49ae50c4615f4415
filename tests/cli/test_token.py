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


def test_what_a_shell_takes_from_create_is_the_token_alone(terminal: Terminal, config: str) -> None:
    made = terminal.type("-c", config, "token", "create", "ci", "--role", "viewer")
    assert made.stdout.strip() == made.stdout.split()[0] and "shown once" in made.stderr


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


@pytest.mark.parametrize(("folder", "made"), [(0o750, 0o640), (0o755, 0o600), (0o700, 0o600)], ids=oct)
def test_the_services_group_may_read_what_root_makes_in_its_directory(terminal: Terminal, config: str, folder: int, made: int) -> None:
    """/etc/lbctl is 0750: the service runs as lbctl and has to read the tokens that root made."""
    place = Path(config).parent
    place.chmod(folder)
    terminal.type("-c", config, "token", "create", "alice", "--role", "viewer")
    assert (place / "t.yaml").stat().st_mode & 0o777 == made and (place / "t.yaml").stat().st_gid == place.stat().st_gid
