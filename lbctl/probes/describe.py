"""A look in words, phase by phase, for `lbctl probe`; and the look that a bare url asks for."""

from __future__ import annotations

from lbctl.model.looks import ProbeResult
from lbctl.probes import PROBES
from lbctl.probes.base import CLIENT, Probe, Target, Tls, target_at
from lbctl.probes.engine import Engine
from lbctl.probes.http import HttpProbe, Settings
from lbctl.statuspage import HASTATUS_PATH, STATUS_PATH

PHASES = ("resolve", "connect", "tls", "firstbyte", "body")
_DAY_S = 86400.0


def aims_of(url: str, engine: Engine, *, connect: str | None = None, tls: Tls | None = None, timeout_s: float = 3.0) -> list[tuple[Probe, Target]]:
    """What to look at for a url: with one of the guide's paths that page, without a path both, `tcp://` a connection, else any page with 200.

    ValueError says what is wrong with the url.
    """
    def target(address: str, page: str) -> Target:
        return target_at(address, member=url, page=page, connect=connect, tls=tls, timeout_s=timeout_s)

    whole = target(url, "http")
    if whole.scheme == "tcp":
        return [(PROBES["tcp"].make(PROBES["tcp"].settings(), engine), target(url, "tcp"))]
    core = PROBES["core"].make(PROBES["core"].settings(), engine)
    for page, path in (("status", STATUS_PATH), ("hastatus", HASTATUS_PATH)):
        # Taken off again: the kind puts its own path behind the url's, and both would be asked for.
        if whole.path.endswith(path):
            return [(core, target(url.rstrip("/").removesuffix(path), page))]
    if not whole.path:
        return [(core, target(url, page)) for page in core.pages]
    # The url's path is the page's: nothing is to be put behind it.
    return [(HttpProbe(Settings(path=""), engine), whole)]


WAYS = {"": "", "4": " over IPv4", "6": " over IPv6", "direct": " directly", CLIENT: " by the clients' path"}


def describe(result: ProbeResult, way: str = "") -> list[str]:
    """Lines for a person: verdict, reason, what was seen, how long each phase took. `way`: which one the look took, where there are several."""
    took = (result.ended - result.started) * 1000
    page = result.page + WAYS[way]
    lines = [f"{page}: {result.verdict}" + (f" ({result.reason})" if not result.good else "") + f" in {took:.1f} ms"]
    if result.detail:
        lines.append(f"  {result.detail}")
    lines += [f"  {phase:<10}{result.phases[phase] * 1000:9.2f} ms" for phase in PHASES if phase in result.phases]
    if result.http_status is not None:
        lines.append(f"  HTTP status {result.http_status}")
    if result.not_after is not None:
        lines.append(f"  certificate ends in {(result.not_after - result.ended) / _DAY_S:.1f} days")
    if result.skew_s is not None:
        lines.append(f"  its clock is {abs(result.skew_s):.1f} s {'ahead' if result.skew_s > 0 else 'behind'} (to half a second)")
    if result.suspicious:
        lines.append(f"  perhaps from a cache: {result.suspicious}")
    if result.void:
        lines.append(f"  counts for nothing: {result.void}")
    return lines
