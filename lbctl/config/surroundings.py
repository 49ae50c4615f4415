"""What must agree around the services: between them, with the controller's memory, with the network, with the files on disk."""

from __future__ import annotations

import importlib.util
import pkgutil
from collections.abc import Callable, Iterator

from pydantic import BaseModel

from lbctl.config.context import Complaint, Context, canary
from lbctl.config.kinds import Tsig
from lbctl.config.load import ValuePath
from lbctl.config.problems import suggestion
from lbctl.dns.settings import tsig_key

Complaints = Iterator[Complaint]
_PACKAGE = importlib.util.find_spec("lbctl.actuators")
ACTUATOR_KINDS = frozenset(module.name for module in pkgutil.iter_modules(_PACKAGE.submodule_search_locations if _PACKAGE else ()))
"""Files of `lbctl/actuators/`; a test holds them against the dictionary."""


def memory(context: Context) -> Complaints:
    """One controller keeps its state in SQLite; several need a store in common, which this build does not have."""
    controller = context.file.controller
    if controller.state.startswith("etcd://"):
        yield Complaint(("controller", "state"), "a cluster store (etcd) is not available in this build", "give a file: one controller, SQLite")
    elif "://" in controller.state:
        yield Complaint(("controller", "state"), "expected the path of a file")
    elif controller.quorum > 1:
        yield Complaint(("controller", "quorum"), "a quorum needs several controllers, which need a store in common",
                        "with a SQLite file there is one observer: `quorum: 1`")


def listening(context: Context) -> Complaints:
    """Beyond loopback everything is encrypted; no two listeners want one socket."""
    api = context.file.api
    for number, at in enumerate(api.listen):
        if not at.loopback and api.tls is None and not context.lost(("api",), "tls"):
            yield Complaint(("api", "listen", number), f"{at} is reachable from other hosts and has no TLS", "add `tls: {cert_file, key_file}`")
        if context.file.authoritative and at.port and at in context.file.authoritative.listen:
            yield Complaint(("authoritative", "listen"), f"{at} is the API's already")


def following(context: Context) -> Complaints:
    """`follows` names another service and does not go round."""
    links = {name: service.follows for name, service in context.services()}
    for name, service in context.services():
        path = ("services", name, "follows")
        if service.follows is None:
            continue
        if service.follows not in context.names:
            yield Complaint(path, f"there is no service {service.follows}", suggestion(service.follows, sorted(context.names)))
        elif _goes_round(name, links):
            yield Complaint(path, "a loop of services that follow one another")


def _goes_round(start: str, links: dict[str, str | None]) -> bool:
    seen: set[str] = set()
    here: str | None = start
    while here and here not in seen:
        seen.add(here)
        here = links.get(here)
    return here == start


def kinds(context: Context) -> Complaints:
    """Each actuator is of a kind that this build has. A kind is a file: seen by its name, because importing all of them takes longer than a check."""
    for name, service in context.services():
        for number, actuator in enumerate(service.actuators):
            if actuator.kind not in ACTUATOR_KINDS:
                path = ("services", name, "actuators", number, actuator.kind)
                yield Complaint(path, f"the actuator {actuator.kind} is not available in this build")


def targets(context: Context) -> Complaints:
    """No two actuators write the same thing: each would undo the other for ever (H43). An address can be had once, whatever views lead to it."""
    holders: dict[str, str] = {}
    for name, service in context.services():
        for number, actuator in enumerate(service.actuators):
            key = actuator_id(actuator.kind, actuator.settings)
            key = key.split("/")[0] if actuator.kind == "vip" else key
            if key in holders and not context.lost(("services",), "view"):
                yield Complaint(("services", name, "actuators", number), f"{key} is written by the service {holders[key]} already",
                                "two writers would undo one another")
            holders.setdefault(key, name)


def actuator_id(kind: str, settings: BaseModel) -> str:
    """What an actuator writes, in a form that is stable and fit for a metric label."""
    view = getattr(settings, "view", "")
    match kind:
        case "authoritative" | "rfc2136" | "exec":
            target = getattr(settings, "name", "")
        case "vip":
            target = str(getattr(settings, "address", "")).split("/")[0]
        case _:
            target = f"{getattr(settings, 'backend', '')}@{getattr(settings, 'socket', '')}"
    return f"{kind}:{target}" + (f"/{view}" if view else "")


def canaries(context: Context) -> Complaints:
    """Canaries are urls or addresses."""
    lists: list[tuple[ValuePath, tuple[str, ...]]] = [(("safety", "canaries"), context.file.safety.canaries)]
    lists += [(("sites", name, "canaries"), site.canaries) for name, site in context.file.sites.items()]
    for path, texts in lists:
        for number, text in enumerate(texts):
            try:
                canary(text)
            except ValueError as error:
                yield Complaint((*path, number), str(error), "https://HOST/, ADDRESS or ADDRESS:PORT")


def files(context: Context) -> Complaints:
    """Every named file is there and can be read, now and not at three in the morning."""
    for path, text in _named_files((), context.file):
        if path != ("controller", "state") and (why := context.unreadable(text)):
            yield Complaint(path, why)


def keys(context: Context) -> Complaints:
    """A TSIG key can be read and is one."""
    named: list[tuple[ValuePath, Tsig]] = []
    for name, service in context.services():
        named += [(("services", name, "actuators", number, "rfc2136", "tsig"), one.rfc2136.tsig)
                  for number, one in enumerate(service.actuators) if one.rfc2136 and one.rfc2136.tsig]
    if context.file.authoritative:
        named += [(("authoritative", "zones", name, "tsig"), zone.tsig) for name, zone in context.file.authoritative.zones.items() if zone.tsig]
    for path, tsig in named:
        if not context.unreadable(tsig.secret_file):
            try:
                tsig_key(tsig.name, tsig.algorithm, context.path(tsig.secret_file).read_text())
            except ValueError as error:
                yield Complaint((*path, "secret_file"), str(error))


def _named_files(path: ValuePath, value: object) -> Iterator[tuple[ValuePath, str]]:
    if isinstance(value, BaseModel):
        for key in value.model_fields_set:
            inner = getattr(value, key)
            if key.endswith("_file") and isinstance(inner, str):
                yield (*path, key), inner
            elif not isinstance(inner, (str, int, float)):
                yield from _named_files((*path, key), inner)
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _named_files((*path, key), inner)
    elif isinstance(value, tuple):
        for number, inner in enumerate(value):
            yield from _named_files((*path, number), inner)


CHECKS: tuple[Callable[[Context], Complaints], ...] = (memory, listening, following, kinds, targets, canaries, files, keys)
