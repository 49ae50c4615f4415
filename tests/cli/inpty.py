"""`lbctl` on a real pseudo-terminal of a given size: what a person sees there, and when."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

PATIENCE_S = 60.0


@dataclass
class Pty:
    """A running `lbctl`; `seen` is all that it has written, as bytes would stand in a typescript."""

    process: subprocess.Popen[bytes]
    master: int
    seen: str = ""
    _raw: bytearray = field(default_factory=bytearray)
    _mark: int = 0

    def until(self, word: str) -> None:
        """Reads until `word` has been written after what was waited for before."""
        deadline = time.monotonic() + PATIENCE_S
        while (at := self.seen.find(word, self._mark)) < 0:
            assert time.monotonic() < deadline and self._read(), f"{word!r} was never written; last: {self.seen[-2000:]}"
        self._mark = at + len(word)

    def end(self) -> int:
        """Ctrl-C."""
        self.process.send_signal(2)
        return self.rest()

    def rest(self) -> int:
        """All until it ends; the exit code."""
        while self._read():
            pass
        return self.process.wait(PATIENCE_S)

    def _read(self) -> bool:
        try:
            ready, _, _ = select.select([self.master], [], [], PATIENCE_S)
            self._raw += os.read(self.master, 65536) if ready else b""
        except OSError:
            return False
        self.seen = self._raw.decode(errors="ignore").replace("\r\n", "\n")
        return bool(ready)

    @property
    def picture(self) -> list[str]:
        """The lines of the last whole picture that was painted in place."""
        whole = [part.split("\x1b[J")[0] for part in self.seen.split("\x1b[H") if "\x1b[J" in part]
        return plain(whole[-1]).splitlines()


def plain(text: str) -> str:
    """Without colours and cursor movements."""
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)


@contextlib.contextmanager
def inpty(*words: str, columns: int = 80, lines: int = 24, **env: str) -> Iterator[Pty]:
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "LINES", "LBCTL_API", "LBCTL_CONFIG")}
    around = {**kept, "TERM": "xterm", "PYTHONUTF8": "1", **env}
    process = subprocess.Popen([sys.executable, "-m", "lbctl.cli", *words], stdin=slave, stdout=slave, stderr=slave, env=around, close_fds=True)
    os.close(slave)
    try:
        yield Pty(process, master)
    finally:
        process.kill()
        process.wait(PATIENCE_S)
        os.close(master)
