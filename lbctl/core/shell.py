"""The command line's grammar (G-CLI): words, their unambiguous beginnings, `enable`, and what a person sees when a word is wrong. Pure but for
the commands themselves.

Commands are rows: words, whether they need *enable* mode, a sentence of help, what they do. In a pattern `<name>` takes any one word. A line
may hold several commands parted by `;`, so that a single SSH exec can say `enable; failover mode primary`: the exec form asks for *enable*
exactly as the interactive one does.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from lbctl.core.base import Core

OK, FAILED, USAGE, REFUSED = 0, 1, 2, 3
"""Exit codes of the exec form: done, went wrong, no such command, not allowed."""

LINE_MAX = 1000

Print = Callable[[str], None]
Ask = Callable[[str], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Call:
    """One command being run: by whom, on what Core, with which arguments; `print` writes a line while it runs."""

    core: Core
    user: str
    arguments: tuple[str, ...]
    print: Print

    @property
    def cause(self) -> str:
        """For the log: who wanted this."""
        return f"command line, {self.user}"


@dataclass(frozen=True, slots=True)
class Command:
    """One row. `run` returns the exit code."""

    pattern: str
    privileged: bool
    help: str
    run: Callable[[Call], Awaitable[int]]

    @property
    def words(self) -> tuple[str, ...]:
        return tuple(self.pattern.split())


@dataclass(slots=True)
class Shell:
    """One session. `ask` reads a line without echo (the enable secret); `ended` after `exit`."""

    core: Core
    user: str
    commands: Sequence[Command]
    print: Print
    ask: Ask
    enabled: bool = False
    ended: bool = False
    code: int = field(default=OK)

    @property
    def prompt(self) -> str:
        return f"{self.core.settings.name}{'#' if self.enabled else '>'} "

    async def line(self, text: str) -> None:
        """Runs the commands of one line in order; the first that fails ends it."""
        self.code = OK
        for part in text[:LINE_MAX].split(";"):
            words = tuple(part.split())
            if words and self.code == OK and not self.ended:
                self.code = await self._command(words)

    async def _command(self, words: tuple[str, ...]) -> int:
        first = words[0].lower()
        if first in ("exit", "quit", "logout", "end"):
            self.ended = True
        elif first == "disable" and len(words) == 1:
            self.enabled = False
        elif first == "enable" and len(words) == 1:
            return await self._enable()
        elif words[-1] == "?" or first == "help":
            self._help(words[:-1] if words[-1] == "?" else words[1:])
        else:
            return await self._dispatch(words)
        return OK

    async def _dispatch(self, words: tuple[str, ...]) -> int:
        found = resolve(self.commands, words)
        if isinstance(found, str):
            self.print(found)
            return USAGE
        command, arguments = found
        if command.privileged and not self.enabled:
            self.print(f"% '{command.pattern}' needs enable mode: type 'enable' first")
            return REFUSED
        return await command.run(Call(self.core, self.user, arguments, self.print))

    async def _enable(self) -> int:
        secret = self.core.users.enable_secret()
        if secret and await self.ask("Password: ") != secret:
            self.print("% Access denied")
            return REFUSED
        self.enabled = True
        return OK

    def _help(self, words: tuple[str, ...]) -> None:
        rows = [("enable", "Turn on privileged commands"), ("exit", "Leave")] if not words else []
        rows += [(one.pattern, one.help) for one in self.commands if _begins(one.words, words) and (self.enabled or not one.privileged)]
        for pattern, sentence in rows:
            self.print(f"  {pattern:44} {sentence}")


def resolve(commands: Sequence[Command], words: Sequence[str]) -> tuple[Command, tuple[str, ...]] | str:
    """The command that is meant and its arguments, or what is wrong with the line."""
    left = [one for one in commands if _begins(one.words, words)]
    exact = [one for one in left if len(one.words) == len(words)]
    literal = [one for one in exact if all(_is_literal(p, w) for p, w in zip(one.words, words, strict=True))]
    chosen = literal if len(literal) == 1 else exact
    if len(chosen) == 1:
        return chosen[0], tuple(w for p, w in zip(chosen[0].words, words, strict=True) if p.startswith("<"))
    if len(chosen) > 1:
        return "% Ambiguous command: " + ", ".join(one.pattern for one in chosen)
    if left:
        return "% Incomplete command; it may go on as: " + ", ".join(one.pattern for one in left[:8])
    known = max((n for n in range(len(words)) if any(_begins(one.words, words[:n]) for one in commands)), default=0)
    return f"% Invalid input at '{words[known][:60]}'; type '?' for the commands"


def _begins(pattern: tuple[str, ...], words: Sequence[str]) -> bool:
    """Whether `words` can be the beginning of the pattern."""
    if len(words) > len(pattern):
        return False
    return all(p.startswith(("<", w.lower())) for p, w in zip(pattern, words, strict=False))


def _is_literal(pattern: str, word: str) -> bool:
    return pattern.startswith("<") or pattern == word.lower()
