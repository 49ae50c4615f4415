"""Which decision was carried out last, for places that have no room for an epoch of their own (H41, H43).

An older decision is refused with `Superseded`, and so is another one of the same number. Within one decision things may change hands without
the policy (a virtual address whose holder has died): then `turn` counts on, and an older turn is refused in the same way. The mark outlives the
process in a small file beside the state; a disk that cannot take it costs only that, not the move.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import structlog

from lbctl import durable
from lbctl.errors import Superseded
from lbctl.model.decision import Desired

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Mark:
    """One decision that was carried out: its number, the members, and their addresses as this place publishes them."""

    epoch: int
    members: tuple[str, ...]
    addresses: tuple[str, ...]
    turn: int = 0


class Fence:
    """`file` None: for the life of this process only."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self.mark = self._saved = _read(file) if file is not None else None
        self._writing: asyncio.Task[None] | None = None

    @property
    def epoch(self) -> int | None:
        """The number of the last decision."""
        return self.mark.epoch if self.mark is not None else None

    def check(self, place: str, desired: Desired, turn: int = 0) -> None:
        """Raises `Superseded` where this decision is not newer than, or the same as, the last one."""
        mark = self.mark
        if mark is None or (mark.epoch, mark.turn) < (desired.epoch, turn):
            return
        if (mark.epoch, mark.turn) == (desired.epoch, turn) and mark.members == desired.members:
            return
        known, ours = (f"{epoch}.{step}" if step else str(epoch) for epoch, step in ((mark.epoch, mark.turn), (desired.epoch, turn)))
        raise Superseded(f"{place} follows epoch {known} ({', '.join(mark.members)}), ours is {ours}", found_epoch=mark.epoch)

    def advance(self, place: str, desired: Desired, addresses: frozenset[str], turn: int = 0) -> None:
        """This decision is the last one from now on. Raises `Superseded`."""
        self.check(place, desired, turn)
        self.mark = Mark(desired.epoch, desired.members, tuple(sorted(addresses)), turn)

    async def save(self) -> None:
        """Writes the mark where it is not written yet; beside what it stands for or after it, because a disk may take longer than a move."""
        if self._writing is None or self._writing.done():
            self._writing = asyncio.get_running_loop().create_task(self._write_all(), name="mark")
        # Shielded: a thread cannot be taken back, so who is cancelled while he waits leaves the order of the writes as it is.
        await asyncio.shield(self._writing)

    async def _write_all(self) -> None:
        """One at a time: an older mark may not be written over a newer one."""
        while self._file is not None and self.mark is not None and self.mark != self._saved:
            self._saved = self.mark
            await asyncio.to_thread(_write, self._file, self.mark)


def file_of(memory: Path | None, name: str) -> Path | None:
    """Where the mark of a place stands: beside the state of this lbctl."""
    plain = "".join(letter if letter.isalnum() or letter in ".-" else "_" for letter in name)
    return memory.with_name(f"{memory.stem}.{plain}.mark") if memory is not None else None


def _read(file: Path) -> Mark | None:
    try:
        found = json.loads(file.read_text())
        return Mark(int(found["epoch"]), tuple(map(str, found["members"])), tuple(map(str, found["addresses"])), int(found.get("turn", 0)))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning("a mark cannot be read", file=str(file), why=str(error))
        return None


def _write(file: Path, mark: Mark) -> None:
    try:
        durable.replace(file, json.dumps(asdict(mark)).encode(), 0o644)
    except OSError as error:
        log.warning("a mark cannot be written", file=str(file), why=str(error))
