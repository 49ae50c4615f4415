"""The Admin Portal's first page: the counts by which an administrator sees that a standby holds what its Primary holds (G-TP task 3). Pure."""

from __future__ import annotations

from collections.abc import Mapping

from lbctl.core.portal.frame import badge, facts, gmt
from lbctl.core.portal.markup import Child, Html, tag

COUNTED = {"devices": "Devices", "users": "Users", "apps": "Apps", "policies": "Policies", "configs": "Configurations"}


def admin_page(core: str, version: str, mode: str, state: str, counts: Mapping[str, int], now: float) -> str:
    """A whole page; `counts` are rows by table, `now` is in UTC seconds."""
    numbers: list[tuple[str, Child]] = [
        (COUNTED[name], tag("strong", f"{count}", id="device-count" if name == "devices" else None)) for name, count in counts.items()
    ]
    head = tag("head", tag("meta", charset="utf-8"), tag("title", f"Admin Portal - {core}"),
               tag("link", rel="stylesheet", href="/mifs/static/portal.css"))
    top = tag("header", tag("span", "Admin Portal", class_="brand"), tag(
        "div", tag("strong", core), tag("span", f"Version {version}"), badge(f"{mode} / {state}", "good" if state == "Active" else "plain"),
        tag("span", gmt(now), class_="clock"), class_="about",
    ))
    body = tag("div", tag("main", tag("h1", "Devices & Users"), _card(facts(numbers))), class_="page")
    return f"<!doctype html>{tag('html', head, tag('body', top, body), lang='en')}"


def _card(content: Html) -> Html:
    return tag("section", tag("h2", "On this server"), content)
