"""`lbctl cluster`: the controllers, who decides what, and how many must agree that a member failed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lbctl.cli.client import Client
from lbctl.cli.options import Globals, verb
from lbctl.cli.show import BAD, GOOD, clean, columns, emit, paint


@verb
def cluster(options: Globals) -> None:
    """The controllers, and who decides what."""
    found = Client(options).get("cluster")
    emit(options, found, told(found))


def told(found: Mapping[str, Any]) -> Iterator[str]:
    """One line a controller, then what each decides."""
    rows = [
        (clean(one["name"]), paint("decides", GOOD) if one["leader"] else "watches",
         paint("up", GOOD) if one["store_up"] else paint("down", BAD), clean(one["lease"]))
        for one in found["controllers"]
    ]
    yield from columns(rows, head=("CONTROLLER", "ROLE", "STORE", "LEASE"))
    many = len(found["decides"])
    yield f"{many} service{'s' * (many != 1)}; {found['quorum']} of {len(rows)} must agree that a member failed"
