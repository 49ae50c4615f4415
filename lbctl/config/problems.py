"""What pydantic found -> problems with a place, what was expected, and what the author may have meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel

from lbctl.config.blocks import ANY_URL, INTERFACE, MAILBOX, OCTETS, PAGE, URL, WEB
from lbctl.config.load import Document, ValuePath, dotted
from lbctl.errors import Problem

WORDS = {
    "missing": "is missing", "bool_parsing": "expected true or false", "int_parsing": "expected a whole number",
    "bool_type": "expected true or false", "int_type": "expected a whole number", "none_required": "expected nothing",
    "string_type": "expected a text", "model_type": "expected a block of keys", "model_attributes_type": "expected a block of keys",
    "dict_type": "expected a block of keys", "tuple_type": "expected a list",
    "string_too_short": "must not be empty", "too_short": "must not be empty",
}
FORMS = {
    URL: "a url with its host, such as https://core-a.example.com", WEB: "a url with its host, such as https://hooks.example.com/lbctl",
    ANY_URL: "a url, such as mailto:ops@example.com", MAILBOX: "a mail address such as ops@example.com",
    INTERFACE: "the name of a network interface, such as eth0", PAGE: "a path that begins with /", OCTETS: "5 to 32 octets in hex",
}
"""What the patterns of the models stand for."""


def problem(item: dict[str, Any], document: Document, root: type[BaseModel]) -> Problem:
    """A mistake as people read it. A value that came from the environment is not repeated."""
    path: ValuePath = item["loc"]
    if item["type"] == "extra_forbidden":
        known = _keys(root, path[:-1])
        return Problem(str(document.place(path, key=True)), dotted(path), "unknown key", suggestion(str(path[-1]), known) or _listed(known))
    if item["type"] == "missing":
        return Problem(str(document.place(path[:-1], key=True)), dotted(path), "is missing")
    known_path = _longest(path, document)
    message = WORDS.get(item["type"]) or _expected(item)
    given = item.get("input")
    if isinstance(given, str) and known_path not in document.hidden:
        message += f", not {given[:60]!r}"
    choices = [choice.strip("' ") for choice in str(item.get("ctx", {}).get("expected", "")).replace(" or ", ",").split(",")]
    return Problem(str(document.place(known_path)), dotted(known_path), message, suggestion(str(given), choices))


def _expected(item: dict[str, Any]) -> str:
    if item["type"] == "literal_error":
        return f"expected {item['ctx']['expected']}".replace("'", "")
    if item["type"] == "string_pattern_mismatch":
        return f"expected {FORMS.get(item['ctx']['pattern'], 'another form: ' + item['ctx']['pattern'])}"
    return str(item["msg"]).removeprefix("Value error, ").replace("Input should be", "must be")


def _longest(path: ValuePath, document: Document) -> ValuePath:
    """The longest beginning of `path` that is in the file: validators may have put values into a form that is not."""
    while path and path not in document.places:
        path = path[:-1]
    return path


def _listed(known: list[str]) -> str:
    return "known here: " + ", ".join(known) if known and len(known) <= 12 else ""


def meant(item: dict[str, Any], root: type[BaseModel]) -> list[ValuePath]:
    """The key that an unknown one was perhaps meant to be: what asks for it need not complain again."""
    path: ValuePath = item["loc"]
    unknown = item["type"] == "extra_forbidden"
    return [(*path[:-1], word) for word in _nearest(str(path[-1]), _keys(root, path[:-1]))] if unknown else []


def suggestion(word: str, known: list[str]) -> str:
    """The nearest of the known words, as a question; empty where none is near."""
    return "".join(f"did you mean {near!r}?" for near in _nearest(word, known))


def _nearest(word: str, known: list[str]) -> list[str]:
    return difflib.get_close_matches(word, [one for one in known if one], n=1, cutoff=0.6)


def _keys(root: type[BaseModel], path: ValuePath) -> list[str]:
    """The keys that are known at `path`."""
    model: type[BaseModel] | None = root
    index = 0
    while model and index < len(path):
        field = model.model_fields.get(str(path[index]))
        index += 1
        if field is None:
            return []
        inner = next(_models(field.annotation), None)
        if inner and inner not in _direct(field.annotation):
            index += 1  # the entry of a map or of a list
        model = inner
    return list(model.model_fields) if model else []


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models inside an annotation, outermost first."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)


def _direct(annotation: Any) -> list[Any]:
    """The models that stand in an annotation itself or in its unions, not inside a map or a list."""
    if getattr(annotation, "__origin__", None) in (tuple, list, dict):
        return []
    found = [annotation] if isinstance(annotation, type) else []
    for inner in get_args(annotation):
        found += _direct(inner)
    return found
