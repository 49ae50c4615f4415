"""HTML as values: text is escaped unless it is `Html` already, so that forgetting it is not possible."""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import TypeAlias

Attribute: TypeAlias = str | int | bool | None


class Html(str):
    """Text that is markup already. Only this module makes it from text."""

    __slots__ = ()


Child: TypeAlias = "str | Html | Iterable[Child] | None"

_EMPTY = frozenset({"input", "link", "meta", "br"})


def tag(name: str, /, *children: Child, **attributes: Attribute) -> Html:
    """`<name …>children</name>`. `class_` is `class`, `data_x` is `data-x`; None and False leave an attribute out, True writes it bare."""
    shown = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _EMPTY:
        return Html(f"<{name}{shown}>")
    return Html(f"<{name}{shown}>{join(children)}</{name}>")


def join(children: Iterable[Child]) -> Html:
    """Children one after another; None is nothing."""
    return Html("".join(_text(child) for child in children))


def _text(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, Html):
        return str(child)
    if isinstance(child, str):
        return html.escape(child)
    return join(child)


def _attribute(key: str, value: Attribute) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{html.escape(str(value))}"'
