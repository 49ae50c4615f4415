"""The syntax of `bigip_gtm.conf`: statements of words, each with an optional block in braces; a line's end closes a statement.

Own tokenizer, because the format is no known one: words are separated by blanks, texts stand in double quotes with backslash escapes, `#` begins
a comment. iRules (`… rule NAME { Tcl }`) are kept as one block whose lines are not read: Tcl has a syntax of its own.

`tmsh list gtm … one-line` writes a whole object on one line, where nothing but the words themselves tells where a setting ends. There the words
are cut by what each setting takes (`cut`): mostly one value, none for a flag, several for a few.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from lbctl.errors import ConfigError, Problem

DEPTH_MAX = 40
ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}
FLAGS = frozenset({"enabled", "disabled"})
NAMES = frozenset({
    "addresses", "aliases", "depends-on", "devices", "members", "members-cname", "metadata", "persist", "pools", "pools-cname", "profiles",
    "region-members", "router-addresses", "rules", "virtual-servers", "vlans",
})
"""Settings whose block holds names, not settings: there is nothing to cut in it."""
TYPES = frozenset({"a", "aaaa", "cname", "mx", "naptr", "srv"})


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

    def statements(self, depth: int, *, opened: int = 0, names: bool = False) -> list[Statement]:
        """Up to the closing brace of this block, `opened` in that line, or to the end of the file; `names`: what it holds has a name each."""
        if depth > DEPTH_MAX:
            raise self.error("nested too deeply")
        found: list[Statement] = []
        while self.skip_blank(newlines=True):
            if self.text[self.at] == "}":
                if depth == 0:
                    raise self.error("a closing brace without an opening one")
                self.at += 1
                return found
            found += self.statement(depth, cutting=self.line == opened and not names)
        if depth:
            raise self.error("the file ends inside a block")
        return found

    def statement(self, depth: int, *, cutting: bool) -> list[Statement]:
        """One statement; several where they share the line of the brace before them (`cutting`)."""
        begun, words, quoted = self.line, list[str](), set[int]()
        block: list[Statement] | None = None
        while self.skip_blank(newlines=False) and self.text[self.at] not in "\n}":
            if self.text[self.at] == "{":
                self.at += 1
                block = self.block(words, depth, begun)
                break
            if self.text[self.at] == '"':
                quoted.add(len(words))
                words.append(self.quoted())
            else:
                words.append(self.word())
        whole = Statement(tuple(words), begun, self.line, block, quoted=frozenset(quoted))
        return cut(whole) if cutting else [whole]

    def block(self, words: list[str], depth: int, begun: int) -> list[Statement]:
        """What stands in the braces after these words."""
        if depth == 0 and "rule" in words[1:2]:
            return self.raw(begun)
        return self.statements(depth + 1, opened=self.line, names=depth > 0 and bool(words) and words[-1] in NAMES | {"of"})

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


def cut(whole: Statement) -> list[Statement]:
    """A statement of a one-line object into its settings; the block belongs to the last."""
    words, found, at = whole.words, list[Statement](), 0
    while at < len(words):
        end = min(at + _taken(words[at:], blocked=whole.block is not None), len(words))
        last = end == len(words)
        quoted = frozenset(number - at for number in whole.quoted if at <= number < end)
        found.append(Statement(words[at:end], whole.line, whole.last, whole.block if last else None, quoted=quoted))
        at = end
    return found or [whole]


def _taken(words: tuple[str, ...], *, blocked: bool) -> int:
    """How many of these words the first setting takes, itself included. `blocked`: a block follows the last of them."""
    if words[0] in FLAGS:
        return 1
    if words[0] == "monitor" and words[1:2] == ("min",):
        return 4  # monitor min 1 of { … }
    if words[0] == "monitor":
        return 2 + 2 * next((number for number, word in enumerate(words[2::2]) if word != "and"), len(words[2::2]))
    if words[0] == "user-defined" or (words[0] == "last-resort-pool" and words[1:2] and words[1] in TYPES):
        return 3
    # A flag that is not known here must not swallow the name of the block after it, and with it all members.
    return 1 if blocked and len(words) == 2 and words[1] in NAMES else 2
