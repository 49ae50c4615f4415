"""File -> values, each with its line and column.

YAML is read as people mean it, not as version 1.1 of its standard does: a scalar is a *text* until the models say what it should be. So `no`
stays a country, `on` a word, `12:30:00` a text and `010` a name, unless the key wants a number or a yes/no. A key given twice is an error.
`${NAME}` and `${NAME:-default}` take a value from the environment (`$${` writes the characters themselves); such a value is never echoed.
`include: [conf.d/*.yaml]` adds the `services` of other files, which keep their own places. All mistakes are collected, none raised but those
that leave nothing to read; every read has a bound.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from lbctl.errors import ConfigError, Problem

FILE_BYTES_MAX = 16 << 20
VALUES_MAX = 1_000_000
LOADER: Any = type("TextLoader", (getattr(yaml, "CSafeLoader", yaml.SafeLoader),), {"yaml_implicit_resolvers": {}})
"""Resolves nothing: every scalar is a text, which also halves the time to read a large file."""
NULLS = frozenset({"", "~", "null", "Null", "NULL"})
VARIABLE = re.compile(r"\$(\$)?\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
PLAIN_TAGS = frozenset({"tag:yaml.org,2002:" + kind for kind in ("str", "int", "float", "bool", "null", "timestamp", "value", "merge")})

ValuePath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A position in a file, counted from 1 as editors do."""

    file: str
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(slots=True)
class Document:
    """The values of a configuration and where each stands. `hidden` are the paths whose text came from the environment."""

    file: Path
    values: dict[str, Any] = field(default_factory=dict)
    keys: dict[ValuePath, Place] = field(default_factory=dict)
    places: dict[ValuePath, Place] = field(default_factory=dict)
    hidden: set[ValuePath] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)

    def value(self, path: ValuePath) -> Any:
        """What stands at `path`; None where nothing does."""
        found: Any = self.values
        for part in path:
            inside = (isinstance(found, dict) and part in found) or (isinstance(found, list) and isinstance(part, int) and part < len(found))
            found = found[part] if inside else None
        return found

    def place(self, path: ValuePath, *, key: bool = False) -> Place:
        """Where the value (or its key) stands; the nearest one above it that is in the file where it is not."""
        while path:
            found = self.keys.get(path) if key else self.places.get(path)
            if found or (found := self.places.get(path)):
                return found
            path = path[:-1]
        return self.places.get((), Place(str(self.file)))


def load(file: Path, environ: Mapping[str, str] | None = None, *, text: str | None = None) -> Document:
    """Reads `file` (or `text` in its place) and what it includes.

    Raises `ConfigError` where nothing can be read at all; everything else is in `problems`.
    """
    document = Document(file)
    reader = _Reader(document, os.environ if environ is None else environ, text)
    values = reader.read(file, ())
    if isinstance(values, dict):
        document.values = values
        _include(document, reader)
    else:
        document.problems.append(Problem(str(document.place(())), "", "a configuration is a map of keys", "only `services:` is required"))
    if document.problems and not document.values:
        raise ConfigError(document.problems)
    return document


def _include(document: Document, reader: _Reader) -> None:
    """Adds the services of the files that `include:` names, in the order of their names."""
    patterns = document.values.pop("include", None)
    for number, pattern in enumerate([patterns] if isinstance(patterns, str) else patterns or ()):
        where = str(document.place(("include", number)))
        files = sorted(document.file.parent.glob(str(pattern))) if not Path(str(pattern)).is_absolute() else [Path(str(pattern))]
        if not files:
            document.problems.append(Problem(where, "include", f"no file matches {pattern!r}"))
        for file in files:
            _add_services(document, _Reader(part := Document(file), reader.environ), part)


def _add_services(document: Document, reader: _Reader, part: Document) -> None:
    """One included file: a map with `services` and nothing else."""
    values = reader.read(part.file, ())
    document.problems += part.problems
    if not isinstance(values, dict) or set(values) - {"services"} or not isinstance(values.get("services"), dict):
        document.problems.append(Problem(str(Place(str(part.file))), "", "an included file holds `services:` and nothing else"))
        return
    services = document.values.setdefault("services", {})
    for name, value in values["services"].items():
        if name in services:
            where = part.place(("services", name), key=True)
            first = document.place(("services", name), key=True)
            document.problems.append(Problem(str(where), f"services.{name}", f"there is a service of this name already, at {first}"))
            continue
        services[name] = value
        document.keys.update({path: place for path, place in part.keys.items() if path[:2] == ("services", name)})
        document.places.update({path: place for path, place in part.places.items() if path[:2] == ("services", name)})
    document.hidden |= part.hidden


def _raw(file: Path) -> bytes:
    with file.open("rb") as stream:
        return stream.read(FILE_BYTES_MAX + 1)


class _Reader:
    """Walks the nodes of one file into a document."""

    def __init__(self, document: Document, environ: Mapping[str, str], text: str | None = None) -> None:
        self.document = document
        self.text = text
        self.environ = environ
        self.left = VALUES_MAX

    def read(self, file: Path, path: ValuePath) -> Any:
        root = self._compose(file)
        return self.value(root, path) if root is not None else {}

    def _compose(self, file: Path) -> yaml.Node | None:
        try:
            raw = _raw(file) if self.text is None else self.text.encode()
            if len(raw) > FILE_BYTES_MAX:
                raise ConfigError([Problem(str(file), "", f"larger than {FILE_BYTES_MAX >> 20} MiB")])
            return yaml.compose(raw.decode("utf-8"), Loader=LOADER)
        except OSError as error:
            raise ConfigError([Problem(str(file), "", f"cannot be read: {error.strerror}")]) from None
        except UnicodeDecodeError as error:
            raise ConfigError([Problem(str(file), "", f"is not UTF-8 (byte {error.start})")]) from None
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            place = Place(str(file), mark.line + 1, mark.column + 1) if mark else Place(str(file))
            raise ConfigError([Problem(str(place), "", f"not YAML: {error.problem or error.context}", _yaml_hint(error))]) from None
        except yaml.YAMLError as error:
            raise ConfigError([Problem(str(file), "", f"not YAML: {str(error).splitlines()[0]}")]) from None
        except RecursionError:
            raise ConfigError([Problem(str(file), "", "nested too deeply")]) from None

    def value(self, node: yaml.Node, path: ValuePath) -> Any:
        self.left -= 1
        if self.left < 0 or len(path) > 40:
            raise ConfigError([Problem(str(self._place(node)), "", f"more than {VALUES_MAX} values, or nested too deeply")])
        self.document.places[path] = self._place(node)
        match node:
            case yaml.MappingNode():
                return self._mapping(node, path)
            case yaml.SequenceNode():
                return [self.value(child, (*path, number)) for number, child in enumerate(node.value)]
            case _:
                return self._scalar(node, path)

    def _mapping(self, node: yaml.MappingNode, path: ValuePath) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key, child in _pairs(node):
            if not isinstance(key, yaml.ScalarNode):
                self._problem(key, path, "a key is a word, not a list or a map")
                continue
            name = str(key.value)
            here = (*path, name)
            if name in values:
                self._problem(key, here, f"given twice; the first is at {self.document.keys[here]}")
                continue
            self.document.keys[here] = self._place(key)
            values[name] = self.value(child, here)
        return values

    def _scalar(self, node: yaml.Node, path: ValuePath) -> str | None:
        if node.tag not in PLAIN_TAGS:
            self._problem(node, path, f"the tag {node.tag.rsplit(':', 1)[-1]} means nothing here")
            return None
        text = str(node.value)
        if not getattr(node, "style", None) and text in NULLS:
            return None
        return VARIABLE.sub(lambda found: self._variable(found, node, path), text) if "${" in text else text

    def _variable(self, found: re.Match[str], node: yaml.Node, path: ValuePath) -> str:
        if found[1]:
            return found[0][1:]
        self.document.hidden.add(path)
        default: str | None = found[3]
        value = self.environ.get(found[2], default)
        if value is None:
            self._problem(node, path, f"the environment has no {found[2]}", f"export it, or write ${{{found[2]}:-default}}")
        return value or ""

    def _place(self, node: yaml.Node) -> Place:
        return Place(str(self.document.file), node.start_mark.line + 1, node.start_mark.column + 1)

    def _problem(self, node: yaml.Node, path: ValuePath, message: str, hint: str = "") -> None:
        self.document.problems.append(Problem(str(self._place(node)), dotted(path), message, hint))


def _pairs(node: yaml.MappingNode) -> Iterator[tuple[yaml.Node, yaml.Node]]:
    """The pairs of a map, with `<<` merged in: what stands in the map itself wins."""
    own = {key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)}
    for key, child in node.value:
        if not (isinstance(key, yaml.ScalarNode) and key.value == "<<"):
            yield key, child
            continue
        for source in child.value if isinstance(child, yaml.SequenceNode) else [child]:
            if isinstance(source, yaml.MappingNode):
                yield from ((k, v) for k, v in _pairs(source) if k.value not in own)


def _yaml_hint(error: yaml.MarkedYAMLError) -> str:
    problem = f"{error.problem} {error.context}"
    if "cannot start any token" in problem:
        return "indent with spaces, not tabs; put a value that begins with @ or ` into quotes"
    return "a colon or a dash may lack its space, or the indentation has changed" if "mapping" in problem or "block" in problem else ""


def dotted(path: ValuePath) -> str:
    """A path as people write it: `services.core.members[0].probe`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
