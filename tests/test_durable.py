"""A file that is replaced is never half a file, whenever the power goes (H26)."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from lbctl import durable


def test_the_content_is_on_the_disk_before_the_name_and_the_name_before_anybody_is_told(tmp_path: Path) -> None:
    file, seen = tmp_path / "mark", list[tuple[str, bytes]]()
    file.write_bytes(b"old")

    def sync(descriptor: int) -> None:
        found = os.fstat(descriptor)
        where = "directory" if stat.S_ISDIR(found.st_mode) else f"{found.st_size} bytes"
        seen.append((where, file.read_bytes()))

    durable.replace(file, b"newer", 0o640, sync)
    assert seen == [("5 bytes", b"old"), ("directory", b"newer")]


def test_where_the_disk_refuses_the_old_content_stays(tmp_path: Path) -> None:
    file = tmp_path / "mark"
    file.write_bytes(b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        durable.replace(file, b"newer", 0o640, full)
    assert file.read_bytes() == b"old"


def test_what_a_crash_left_behind_is_no_hindrance_and_lends_no_permissions(tmp_path: Path) -> None:
    left = tmp_path / "key.new"
    left.write_bytes(b"half")
    left.chmod(0o666)
    durable.replace(tmp_path / "key", b"secret", 0o600)
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["key"]
