"""What every page of the portal has around it: header, menu, notes; and the small parts that forms are made of. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from lbctl.core.portal.markup import Child, Html, join, tag

ROOT = "/mics"

MENU: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    ("Settings", (("Services", "/services"),)),
    ("Maintenance", (("HA Configuration", "/ha"), ("Manage Trusted Hosts", "/ha/trusted-hosts"), ("Sync History", "/ha/sync-history"))),
    ("Troubleshooting", (("Logs", "/logs"),)),
)


@dataclass(frozen=True, slots=True)
class Header:
    """What the top of a page says. `now` in UTC seconds; `notes` are (kind, text) with kind `good`, `bad` or `info`."""

    core: str
    version: str
    mode: str
    state: str
    ha_enabled: bool
    now: float
    user: str
    csrf: str
    notes: Sequence[tuple[str, str]] = ()


def page(header: Header, title: str, path: str, *body: Child) -> str:
    """A whole page behind the login; `path` is its place in the menu."""
    return _document(
        f"{title} - {header.core}",
        _top(header),
        tag("div", _menu(path), tag("main", tag("h1", title), _notes(header.notes), *body, id="content"), class_="columns"),
    )


def bare(title: str, *body: Child) -> str:
    """A page without menu: the login."""
    return _document(title, tag("main", *body, class_="alone"))


def gmt(at: float | None, otherwise: str = "–") -> str:
    """UTC seconds for people."""
    return otherwise if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S GMT")


def section(title: str, *body: Child, class_: str = "") -> Html:
    """A titled part of a page."""
    return tag("section", tag("h2", title), *body, class_=class_ or None)


def row(label: Child, *body: Child, for_: str | None = None, error: str = "", advice: str = "", class_: str = "") -> Html:
    """A field: its label, its control, and what is wrong with it or advised."""
    messages = (
        tag("p", error, class_="error", id=f"{for_}-error", role="alert") if error else None,
        tag("p", advice, class_="advice") if advice and not error else None,
    )
    name = tag("label", label, for_=for_) if for_ else tag("span", label, class_="label")
    return tag("div", name, tag("div", *body, *messages, class_="control"), class_=f"row {class_}".strip())


def radios(name: str, options: Mapping[str, str], chosen: str) -> Html:
    """A choice of few; `options` are value -> label."""
    items = (
        tag("label", tag("input", type="radio", name=name, value=value, id=f"{name}-{value}".lower(), checked=value == chosen), tag("span", label))
        for value, label in options.items()
    )
    return tag("div", items, class_="radios", role="radiogroup")


def select(name: str, options: Mapping[str, str], chosen: str) -> Html:
    """A drop-down menu."""
    items = (tag("option", label, value=value, selected=value == chosen) for value, label in options.items())
    return tag("select", items, name=name, id=name)


def text(name: str, value: str, *, kind: str = "text", error: str = "", **more: str | int | bool | None) -> Html:
    """A line of text."""
    described = f"{name}-error" if error else None
    return tag("input", type=kind, name=name, id=name, value=value, aria_invalid="true" if error else None, aria_describedby=described, **more)


def button(label: str, action: str, *, kind: str = "", disabled: bool = False) -> Html:
    """A button that sends its form with that action."""
    return tag("button", label, type="submit", name="action", value=action, class_=kind or None, disabled=disabled)


def form(csrf: str, action: str, *body: Child, class_: str = "") -> Html:
    """A POST form of this session. Messages are ours, so the browser's own are off."""
    token = tag("input", type="hidden", name="csrf", value=csrf)
    return tag("form", token, *body, method="post", action=ROOT + action, novalidate=True, class_=class_ or None, autocomplete="off")


def facts(pairs: Sequence[tuple[str, Child]]) -> Html:
    """Names and values."""
    return tag("dl", (join((tag("dt", name), tag("dd", value))) for name, value in pairs))


def table(titles: Sequence[str], rows: Sequence[Sequence[Child]], empty: str) -> Html:
    """A table, or a sentence where it would be empty."""
    if not rows:
        return tag("p", empty, class_="empty")
    head = tag("tr", (tag("th", title, scope="col") for title in titles))
    return tag("table", tag("thead", head), tag("tbody", (tag("tr", (tag("td", cell) for cell in one)) for one in rows)))


def badge(label: str, kind: str) -> Html:
    """A word that is seen at once: `good`, `bad`, `busy`, `plain`. The word itself says it; the colour only helps."""
    return tag("span", label, class_=f"badge {kind}")


def result_badge(result: str) -> Html:
    """How a run or a task ended."""
    return badge(result, {"Success": "good", "Failed": "bad", "Running": "busy"}.get(result, "plain"))


def _document(title: str, *body: Child) -> str:
    head = tag(
        "head", tag("meta", charset="utf-8"), tag("meta", name="viewport", content="width=device-width, initial-scale=1"), tag("title", title),
        tag("link", rel="stylesheet", href=f"{ROOT}/static/portal.css"), tag("script", src=f"{ROOT}/static/portal.js", defer=True),
        tag("link", rel="icon", href=f"{ROOT}/static/icon.svg", type="image/svg+xml"),
    )
    return f"<!doctype html>{tag('html', head, tag('body', *body), lang='en')}"


def _top(header: Header) -> Html:
    state = f"{header.mode} / {header.state}"
    leave = form(header.csrf, "/logout", tag("span", header.user, class_="user"), button("Sign Out", "logout", kind="plain"), class_="leave")
    return tag(
        "header",
        tag("a", tag("span", class_="mark", aria_hidden="true"), tag("span", "System Manager"), href=f"{ROOT}/ha", class_="brand"),
        tag(
            "div", tag("strong", header.core), tag("span", f"Version {header.version}"),
            badge(state if header.ha_enabled else f"{state} · HA disabled", "good" if header.state == "Active" else "plain"),
            tag("span", gmt(header.now), class_="clock"), class_="about",
        ),
        leave,
    )


def _menu(path: str) -> Html:
    groups = (
        join((
            tag("h3", title),
            tag("ul", (tag("li", tag("a", name, href=ROOT + place, aria_current="page" if place == path else None)) for name, place in entries)),
        ))
        for title, entries in MENU
    )
    return tag("nav", groups, aria_label="Main menu")


def _notes(notes: Sequence[tuple[str, str]]) -> Html:
    return join(tag("p", words, class_=f"note {kind}", role="status") for kind, words in notes)
