"""The syntax of `bigip_gtm.conf`: statements of words, each with an optional block in braces; a line's end closes a statement.

Own tokenizer, because the format is no known one: words are separated by blanks, texts stand in double quotes with backslash escapes, `#` begins
a comment. iRules (`… rule NAME { Tcl }`) are kept as one block whose lines are not read: Tcl has a syntax of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from lbctl.errors import ConfigError, Problem

DEPTH_MAX = 40
ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


@dataclass(slots=True, eq=False)
class Statement:
    """One statement: its words and, where it has a block, what stands in it. `used` is set by whoever has read it; `last` is its last line."""

    words: tuple[str, ...]
    line: int
    last: int
    block: list[Statement] | None = None
    used: bool = False
    quoted: frozenset[int] = field(default_factory=frozenset)

    @property
    def text(self) -> str:
        """As it was written, without its block."""
        return " ".join(f'"{word}"' if number in self.quoted else word for number, word in enumerate(self.words))

    def find(self, *keys: str) -> Statement | None:
        """The first statement in the block that begins with one of these words; it is marked as used."""
        for inner in self.block or ():
            if inner.words and inner.words[0] in keys:
                inner.used = True
                return inner
        return None

    def value(self, key: str, default: str = "") -> str:
        """The second word of `key VALUE` in the block."""
        found = self.find(key)
        return found.words[1] if found and len(found.words) > 1 else default

    def walk(self) -> Iterator[Statement]:
        """The statement and all in it."""
        yield self
        for inner in self.block or ():
            yield from inner.walk()


def parse(text: str, file: str = "bigip_gtm.conf") -> list[Statement]:
    """The statements of a file. Raises `ConfigError` with the line where it cannot be read."""
    return _Parser(text, file).statements(0)


class _Parser:
    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file
        self.at = 0
        self.line = 1

    def statements(self, depth: int) -> list[Statement]:
        """Up to the closing brace of this block, or to the end of the file."""
        if depth > DEPTH_MAX:
            raise self.error("nested too deeply")
        found: list[Statement] = []
        while self.skip_blank(newlines=True):
            if self.text[self.at] == "}":
                if depth == 0:
                    raise self.error("a closing brace without an opening one")
                self.at += 1
                return found
            found.append(self.statement(depth))
        if depth:
            raise self.error("the file ends inside a block")
        return found

    def statement(self, depth: int) -> Statement:
        begun, words, quoted = self.line, list[str](), set[int]()
        block: list[Statement] | None = None
        while self.skip_blank(newlines=False) and self.text[self.at] not in "\n}":
            if self.text[self.at] == "{":
                self.at += 1
                block = self.raw(begun) if depth == 0 and "rule" in words[1:2] else self.statements(depth + 1)
                break
            if self.text[self.at] == '"':
                quoted.add(len(words))
                words.append(self.quoted())
            else:
                words.append(self.word())
        return Statement(tuple(words), begun, self.line, block, quoted=frozenset(quoted))

    def skip_blank(self, *, newlines: bool) -> bool:
        """Skips blanks and comments; False at the end of the file."""
        while self.at < len(self.text):
            here = self.text[self.at]
            if here == "#" and (self.at == 0 or self.text[self.at - 1].isspace()):
                end = self.text.find("\n", self.at)
                self.at = len(self.text) if end < 0 else end
            elif here == "\n" and newlines:
                self.line += 1
                self.at += 1
            elif here == "\\" and self.text[self.at + 1:self.at + 2] == "\n":
                self.line += 1
                self.at += 2
            elif here in " \t\r":
                self.at += 1
            else:
                return True
        return False

    def word(self) -> str:
        begun = self.at
        while self.at < len(self.text) and self.text[self.at] not in " \t\r\n{}":
            self.at += 1
        return self.text[begun:self.at]

    def quoted(self) -> str:
        begun, parts = self.line, list[str]()
        self.at += 1
        while self.at < len(self.text):
            here = self.text[self.at]
            self.at += 1
            if here == '"':
                return "".join(parts)
            if here == "\\" and self.at < len(self.text):
                parts.append(self.escaped())
                continue
            self.line += here == "\n"
            parts.append(here)
        raise ConfigError([Problem(f"{self.file}:{begun}:1", "", "a text in quotes does not end")])

    def escaped(self) -> str:
        """What follows a backslash; doubled ones before a letter (`\\\\r\\\\n` in `send`) mean the same as single ones."""
        here = self.text[self.at]
        self.at += 1
        if here == "\\" and self.text[self.at:self.at + 1] in ("r", "n"):
            here = self.text[self.at]
            self.at += 1
        self.line += here == "\n"
        return ESCAPES.get(here, here if here in '"\\{}[]$;' else "\\" + here)

    def raw(self, begun: int) -> list[Statement]:
        """A block of Tcl: skipped by its braces."""
        depth = 1
        while self.at < len(self.text):
            here = self.text[self.at]
            self.at += 2 if here == "\\" else 1
            self.line += here == "\n"
            depth += (here == "{") - (here == "}")
            if depth == 0:
                return []
        raise ConfigError([Problem(f"{self.file}:{begun}:1", "", "the rule does not end")])

    def error(self, message: str) -> ConfigError:
        return ConfigError([Problem(f"{self.file}:{self.line}:1", "", message)])
