"""May this lbctl act at all? With one controller: whoever holds the lock beside the state file.

Two processes on one state file would overtake each other at every turn, and two that each have an embedded DNS server would tell clients two
stories. The lock is the kernel's, so that it ends with the process however that ended; a lock file that was left behind means nothing.
Where the lock cannot even be written (a read-only disk) nothing can be saved either, so that nothing can be decided twice.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Protocol

from lbctl.errors import LeaseLost


class Lease(Protocol):
    """The right to act, for a time."""

    @property
    def held(self) -> bool: ...

    def acquire(self) -> None:
        """Raises `LeaseLost` where somebody else holds it."""
        ...

    def release(self) -> None: ...


class Alone:
    """Always held: a store that no other process can reach."""

    held = True

    def acquire(self) -> None:
        """Nobody else is there."""

    def release(self) -> None:
        """Nothing is held."""


class FileLease:
    """Held while this process lives and has not released it."""

    def __init__(self, state: Path) -> None:
        self._path = state.with_name(state.name + ".lock")
        self._file: int | None = None
        self.held = False

    def acquire(self) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            self.held = True
            return
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(file, 20).decode(errors="replace").strip() or "another process"
            os.close(file)
            raise LeaseLost(f"{self._path} is held by process {holder}: another lbctl runs on this state") from error
        # Kept open: closing the file would give the lock back.
        self._file, self.held = file, True
        # The number is for people; nothing is judged by it.
        os.ftruncate(file, 0)
        os.pwrite(file, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        self.held = False
        if self._file is not None:
            os.close(self._file)
            self._file = None
