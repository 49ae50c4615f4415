"""Saved roles that are not the file's are told by `check`, with the edit (H38, G-LB5)."""

from __future__ import annotations

from pathlib import Path

from lbctl.config import read
from lbctl.config.drift import drift
from lbctl.config.report import checked, lines
from lbctl.model.state import Saved
from lbctl.stores.sqlite import SqliteStore

TEXT = """
controller: {state: state.db}
services:
  core:
    members: [{name: a, role: primary, address: 192.0.2.1}, {name: b, address: 192.0.2.2}]
"""


def written(folder: Path) -> Path:
    (folder / "lbctl.yaml").write_text(TEXT)
    return folder / "lbctl.yaml"


async def save(folder: Path, primary: str) -> None:
    store = SqliteStore(folder / "state.db")
    await store.save(Saved("core", epoch=2, active="b", primary=primary, file_primary="a"), expected=0, steps=[])
    await store.close()


async def test_swapped_roles_are_told_with_the_edit(tmp_path: Path) -> None:
    await save(tmp_path, "b")
    result = checked(written(tmp_path), {})
    text = "\n".join(line for line, _ in lines(result))
    assert "write `role: primary` at b and `role: secondary` at a [drift]" in text
    assert result.code == 0


async def test_equal_roles_are_no_drift(tmp_path: Path) -> None:
    await save(tmp_path, "a")
    assert drift(read(written(tmp_path), {})) == ()


async def test_a_state_in_use_is_read_beside_its_owner(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "state.db")
    await store.save(Saved("core", primary="b", file_primary="a"), expected=0, steps=[])
    assert len(drift(read(written(tmp_path), {}))) == 1
    await store.close()


def test_what_cannot_be_read_says_nothing_and_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_bytes(b"no database at all")
    assert drift(read(written(tmp_path), {})) == ()
    assert (tmp_path / "state.db").read_bytes() == b"no database at all"


def test_no_state_is_made_by_asking(tmp_path: Path) -> None:
    assert drift(read(written(tmp_path), {})) == ()
    assert not (tmp_path / "state.db").exists()
