"""The Core's log, one file a module, as *Troubleshooting > Logs > View Module Logs* shows it (`HighAvailability`, `SSH`, `System`).

Bounded: a file that reaches its limit becomes `.1` and takes the place of the former one.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from lbctl.clock import Clock

FILE_BYTES_MAX = 1 << 20
LINE_MAX = 500

HIGH_AVAILABILITY = "HighAvailability"
SSH = "SSH"
SYSTEM = "System"
MODULES = (HIGH_AVAILABILITY, SSH, SYSTEM)


def stamp(now: float) -> str:
    """UTC seconds as people and programs read them: `2026-11-23T09:50:12Z`."""
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Logbook:
    """Writes `DIR/<module>.log`. Losing a line (disk full) never stops a Core."""

    def __init__(self, directory: Path, clock: Clock) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._clock = clock

    def write(self, module: str, text: str, *, level: str = "INFO") -> None:
        """One line. Control characters are made harmless: what peers send may stand in it."""
        shown = "".join(c if c.isprintable() else "?" for c in text)[:LINE_MAX]
        path = self._path(module)
        try:
            if path.exists() and path.stat().st_size > FILE_BYTES_MAX:
                path.replace(path.with_suffix(".log.1"))
            with path.open("a", encoding="utf-8") as stream:
                stream.write(f"{stamp(self._clock.now())} {level} {shown}\n")
        except OSError:
            return

    def tail(self, module: str, lines: int = 200) -> list[str]:
        """The last lines of a module, oldest first; none where it has written nothing. Raises KeyError for a module that does not exist."""
        if module not in MODULES:
            raise KeyError(module)
        try:
            with self._path(module).open("rb") as stream:
                stream.seek(max(0, self._path(module).stat().st_size - lines * LINE_MAX))
                return stream.read(lines * LINE_MAX).decode("utf-8", "replace").splitlines()[-lines:]
        except OSError:
            return []

    def _path(self, module: str) -> Path:
        return self._directory / f"{module}.log"
