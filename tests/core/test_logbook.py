"""The module logs: readable, bounded, harmless."""

from __future__ import annotations

from pathlib import Path

import pytest

from lbctl.clock import SystemClock
from lbctl.core.logbook import FILE_BYTES_MAX, HIGH_AVAILABILITY, SYSTEM, Logbook, stamp


def test_a_line_has_time_level_and_text_and_modules_are_apart(tmp_path: Path) -> None:
    """G-TP task 5: View Module Logs, HighAvailability."""
    log = Logbook(tmp_path, SystemClock())
    log.write(HIGH_AVAILABILITY, "heartbeat ok")
    log.write(SYSTEM, "started")
    (line,) = log.tail(HIGH_AVAILABILITY)
    time, level, text = line.split(" ", 2)
    assert time.endswith("Z")
    assert (level, text) == ("INFO", "heartbeat ok")


def test_what_a_peer_sends_cannot_forge_a_line(tmp_path: Path) -> None:
    log = Logbook(tmp_path, SystemClock())
    log.write(SYSTEM, "peer says: x\n2026-01-01T00:00:00Z INFO forged\x1b[31m")
    assert len(log.tail(SYSTEM)) == 1
    assert "\x1b" not in log.tail(SYSTEM)[0]


def test_a_log_is_bounded(tmp_path: Path) -> None:
    log = Logbook(tmp_path, SystemClock())
    (tmp_path / "System.log").write_text("x" * (FILE_BYTES_MAX + 1))
    log.write(SYSTEM, "the first of the new file")
    assert len(log.tail(SYSTEM)) == 1
    assert (tmp_path / "System.log.1").exists()


def test_a_disk_that_takes_nothing_does_not_stop_the_core(tmp_path: Path) -> None:
    log = Logbook(tmp_path / "logs", SystemClock())
    (tmp_path / "logs").rmdir()
    log.write(SYSTEM, "lost")
    assert log.tail(SYSTEM) == []


def test_only_modules_that_exist_can_be_read(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        Logbook(tmp_path, SystemClock()).tail("../state")


def test_stamps_are_utc() -> None:
    assert stamp(1_800_000_000) == "2027-01-15T08:00:00Z"
