"""What is left of the values once the mistakes in them are set aside, so that everything else is still checked in the same run.

A person who mends one mistake and is then told of the next, ten times over, has been served badly. The models refuse a block as a whole, though,
and what must agree between values can be asked of whole blocks only. So what a model refuses is taken out, no more than that (an unknown key, a
value whose default stands in, an item of a list, at last a service), until the rest is valid.

Two things follow. What is missing now may be missed by the rest: `lost` tells a check that what it misses was taken out, and was complained of
already. And an item's number is not the one in the file any more: `path` gives the place in the file.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

from lbctl.config.load import ValuePath

_GONE: Any = object()
_STAND_IN = {"none": {"members": [{"name": "none", "role": "primary", "address": "192.0.2.1"}]}}
"""Where no service is left: one that nobody can complain of, so that the blocks beside `services` are judged all the same."""


class Remains:
    """The values of a document, less what has been dropped. `gone`: what was, in the file's own numbering."""

    def __init__(self, values: dict[str, Any]) -> None:
        self._tree = copy.deepcopy(values)
        self.gone: set[ValuePath] = set()

    def values(self) -> dict[str, Any]:
        """What is left, for the models."""
        left: dict[str, Any] = _left(self._tree)
        return {**left, "services": _STAND_IN} if self.gone and not self.served else left

    @property
    def served(self) -> bool:
        """Whether any service is left."""
        services = self._tree.get("services")
        return isinstance(services, dict) and any(value is not _GONE for value in services.values())

    def path(self, loc: ValuePath) -> ValuePath:
        """A path among what is left -> in the file. What a validator has put in between (a view's name, a mark) is left out."""
        found: Any = self._tree
        path: list[str | int] = []
        for at, part in enumerate(loc):
            if isinstance(found, list) and isinstance(part, int):
                there = [number for number, value in enumerate(found) if value is not _GONE]
                if part >= len(there):
                    return (*path, *loc[at:])
                part = there[part]
            elif not (isinstance(found, dict) and part in found):
                if part in ("", "[key]"):
                    continue
                return (*path, *loc[at:])
            path.append(part)
            found = found[part]
        return tuple(path)

    def drop(self, mistakes: Iterable[ValuePath], meant: Iterable[ValuePath] = ()) -> bool:
        """Takes out what stands at the path of each of one reading's mistakes; False: nothing new. `meant`: what else was lost by them."""
        before = frozenset(self.gone)
        self.gone.update(meant)
        for path in mistakes:
            # What was taken out before and is a mistake again is missing now: it is the block that cannot be without it.
            self._drop(path[:-1] if path in before else path)
        return self.gone != before

    def _drop(self, path: ValuePath) -> None:
        """Where nothing stands there, the block that misses it goes."""
        self.gone.add(path)
        holder: Any = self._tree
        for at, part in enumerate(path):
            if not _has(holder, part):
                self._drop(path[:at])
                return
            if holder[part] is _GONE:
                return
            if at == len(path) - 1:
                holder[part] = _GONE
            holder = holder[part]

    def follows(self, path: ValuePath) -> bool:
        """Whether a mistake at `path` can be the consequence of what was dropped: it has lost something."""
        return any(gone[: len(path)] == path for gone in self.gone)

    def lost(self, scope: ValuePath, words: Iterable[str]) -> bool:
        """Whether something that one of `words` names was dropped under `scope`: a key, or an item of that list."""
        wanted = frozenset(words)
        return any(path[: len(scope)] == scope and not wanted.isdisjoint(_named(path)) for path in self.gone)


def _has(holder: Any, part: str | int) -> bool:
    return part in holder if isinstance(holder, dict) else isinstance(holder, list) and isinstance(part, int) and part < len(holder)


def _named(path: ValuePath) -> frozenset[str | int]:
    """The keys by which the last item on a path has lost something; for an item itself the name of its list."""
    last = max((at for at, part in enumerate(path) if isinstance(part, int)), default=-1)
    return frozenset(path[last + 1 :] or path[last - 1 :])


def _left(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _left(inner) for key, inner in value.items() if inner is not _GONE}
    if isinstance(value, list):
        return [_left(inner) for inner in value if inner is not _GONE]
    return value
