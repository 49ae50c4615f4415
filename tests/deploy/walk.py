"""The newcomer's walk of the manual, typed into a real shell: `walk.md` is the script, and its printed outputs are what this shell printed.

usage: python -m tests.deploy.walk        types every command at a reader's pace and writes what it really printed into the page

The page names the loopback addresses of `configs/`. Here they are replaced by addresses of our own, so that walks run side by side.
A command is repeated until it prints what the page says: a reader waits a moment too. Numbers may differ, words may not.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.core.cores import hosts

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "deploy" / "manual" / "walk.md"
FENCE = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"\d[\w.:,+-]*(?: (?:ms|s|min|h|d)\b)?")
USER = re.compile(r"by \S+$")
PATIENCE_S = 60.0
TYPING_S = 5.0
"""Between two commands of a reader, when the page is written."""


@dataclass(frozen=True, slots=True)
class Typed:
    """One command of the page and what stands below it."""

    command: str
    printed: str


def typed(block: str) -> Iterator[Typed]:
    """The commands of one console block."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, printed = part.partition("\n")
        yield Typed(command, printed)


def masked(text: str) -> list[str]:
    """Its lines with every number and the user as #, and one blank where there are several."""
    return [line for line in (USER.sub("by #", " ".join(NUMBER.sub("#", line).split())) for line in text.splitlines()) if line]


def missing(wanted: str, seen: str) -> list[str]:
    """Lines of the page that were not printed."""
    lines = masked(seen)
    return [line for line in masked(wanted) if line not in lines]


class Shell:
    """A bash in a directory of its own, with the pages' addresses replaced by ours in both directions."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        here = ("127.0.0.11", "127.0.0.12", "127.0.0.1")
        self._ours = dict(zip(here, hosts(3), strict=True))
        self._bash: asyncio.subprocess.Process | None = None

    def theirs(self, text: str) -> str:
        """From our addresses to the page's."""
        for page, ours in self._ours.items():
            text = re.sub(rf"{re.escape(ours)}(?!\d)", page, text)
        return text.replace(str(self.directory), "~/lbctl")

    def ours(self, text: str) -> str:
        """From the page's addresses to ours."""
        return re.sub(r"127\.0\.0\.\d+", lambda found: self._ours.get(found[0], found[0]), text)

    async def start(self) -> None:
        """The files of `configs/` are there, as in a checkout; `lbctl` is this environment's."""
        for file in (ROOT / "configs").glob("core-*.yaml"):
            self.write(f"configs/{file.name}", file.read_text())
        programs = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        environment = {**os.environ, "PATH": programs, "COLUMNS": "140", "NO_COLOR": "1", "HOME": str(self.directory)}
        self._bash = await asyncio.create_subprocess_exec(
            "bash", "--norc", cwd=self.directory, env=environment, start_new_session=True,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, limit=1 << 22)

    def write(self, name: str, text: str) -> None:
        """A file of the page."""
        (self.directory / name).parent.mkdir(exist_ok=True)
        (self.directory / name).write_text(self.ours(text))

    async def type(self, command: str) -> str:
        """What the command prints, in the page's addresses."""
        assert self._bash is not None
        assert self._bash.stdin is not None
        assert self._bash.stdout is not None
        self._bash.stdin.write(f"{self.ours(command)}\ncode=$?; printf '\\004'; (exit $code)\n".encode())
        async with asyncio.timeout(PATIENCE_S):
            text = (await self._bash.stdout.readuntil(b"\004"))[:-1].decode()
        return self.theirs(re.sub(r"^bash: line .*\n", "", text, flags=re.MULTILINE))

    async def close(self) -> None:
        """Ends the shell and everything that it started."""
        assert self._bash is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._bash.pid, signal.SIGKILL)
        await self._bash.wait()


@contextlib.asynccontextmanager
async def shell(directory: Path) -> AsyncIterator[Shell]:
    """A started one, closed afterwards."""
    made = Shell(directory)
    await made.start()
    try:
        yield made
    finally:
        await made.close()


async def rewrite() -> None:
    """Types the page and puts what was printed into it."""
    with tempfile.TemporaryDirectory() as folder:
        async with shell(Path(folder)) as bash:
            text = PAGE.read_text()
            made, end = "", 0
            for found in FENCE.finditer(text):
                made += text[end:found.start(3)]
                end = found.end(3)
                made += await _filled(bash, found[1], found[2], found[3])
            PAGE.write_text(made + text[end:])


async def _filled(bash: Shell, kind: str, name: str | None, block: str) -> str:
    if kind == "yaml" and name:
        bash.write(name, block)
    if kind != "console" or name:
        return block
    made = ""
    for line in typed(block):
        await asyncio.sleep(TYPING_S)
        made += f"$ {line.command}\n{(await bash.type(line.command)).rstrip()}".rstrip() + "\n"
    return made


if __name__ == "__main__":
    asyncio.run(rewrite())
