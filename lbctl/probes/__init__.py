"""Ways to look at a member: one file a kind, listed in `PROBES`.

`base` what a kind promises · `core`, `http`, `tcp`, `site` the kinds · `asking`, `exchange`, `route`, `wire`, `reply`, `tls`, `names`, `engine` how
they look · `ways` one page over IPv4, IPv6 and the clients' path · `tripwire` the hint between looks · `describe` a look in words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lbctl.probes import core, http, site, tcp
from lbctl.probes.base import Probe
from lbctl.probes.engine import Engine


@dataclass(frozen=True, slots=True)
class Kind:
    """A row of `PROBES`: what can be set, and how the probe is made from it. `pages` and `modes` are the made probe's, known beforehand."""

    settings: type[Any]
    make: Callable[[Any, Engine], Probe]
    pages: tuple[str, ...]
    modes: bool


# `site` is made by a function, because its token is read from a file first.
PROBES: Mapping[str, Kind] = {
    "core": Kind(core.Settings, core.CoreProbe, core.CoreProbe.pages, core.CoreProbe.modes),
    "http": Kind(http.Settings, http.HttpProbe, http.HttpProbe.pages, http.HttpProbe.modes),
    "site": Kind(site.Settings, site.make, site.SiteProbe.pages, site.SiteProbe.modes),
    "tcp": Kind(tcp.Settings, tcp.TcpProbe, tcp.TcpProbe.pages, tcp.TcpProbe.modes),
}
