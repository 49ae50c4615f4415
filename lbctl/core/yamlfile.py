"""A YAML file with the place of every value, so that a mistake can be told as `file:line:column`. A key given twice is a mistake too."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from lbctl.errors import ConfigError, Problem

FILE_BYTES_MAX = 1 << 20
DEPTH_MAX = 20

ValuePath = tuple[str | int, ...]


@dataclass(slots=True)
class Document:
    """The values of one file and where each stands."""

    file: Path
    values: Any = None
    places: dict[ValuePath, str] = field(default_factory=dict)

    def error(self, mistakes: Iterable[tuple[ValuePath, str]]) -> ConfigError:
        """All mistakes, each at the nearest value that stands in the file."""
        problems = []
        for path, message in mistakes:
            at = path
            while at and at not in self.places:
                at = at[:-1]
            problems.append(Problem(self.places.get(at, str(self.file)), ".".join(map(str, path)), message.removeprefix("Value error, ")))
        return ConfigError(problems)


def read(file: Path) -> Document:
    """Reads the file. Raises `ConfigError` where it is not there, too large or not YAML."""
    document = Document(file)
    try:
        with file.open("rb") as stream:
            raw = stream.read(FILE_BYTES_MAX + 1)
        if len(raw) > FILE_BYTES_MAX:
            raise document.error([((), f"larger than {FILE_BYTES_MAX >> 20} MiB")])
        root = yaml.compose(raw, Loader=yaml.SafeLoader)
    except OSError as error:
        raise document.error([((), f"cannot be read: {error.strerror}")]) from None
    except yaml.YAMLError as error:
        raise document.error([((), "not YAML: " + " ".join(str(error).split()))]) from None
    document.values = _value(document, root, ()) if root else {}
    return document


def _value(document: Document, node: yaml.Node, path: ValuePath) -> Any:
    """One node. A scalar stays a text (`no` is no boolean, 12:30 no number) unless it is empty; the models say what it should be."""
    mark = node.start_mark
    document.places[path] = f"{document.file}:{mark.line + 1}:{mark.column + 1}"
    if len(path) > DEPTH_MAX:
        raise document.error([(path, "nested too deeply")])
    if isinstance(node, yaml.SequenceNode):
        return [_value(document, child, (*path, number)) for number, child in enumerate(node.value)]
    if isinstance(node, yaml.ScalarNode):
        return node.value if node.value or node.style else None
    values: dict[str, Any] = {}
    for key, child in node.value:
        here = (*path, str(key.value))
        if key.value in values:
            raise document.error([(here, "given twice")])
        values[str(key.value)] = _value(document, child, here)
    return values
