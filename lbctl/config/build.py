"""Models -> one frozen `Config`; every mistake of a reading at once.

`read(file)` is all that anybody outside needs. What the models refuse is set aside (`config.remains`) and the rest is still checked, so that a
person sees all mistakes in one run and not one run for each.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lbctl.config import checks, surroundings
from lbctl.config.context import Context, canary
from lbctl.config.load import Document, load
from lbctl.config.problems import meant, problem
from lbctl.config.remains import Remains
from lbctl.config.service import built_service
from lbctl.config.services import File
from lbctl.config.tree import (
    ApiConfig,
    AuthoritativeConfig,
    Canary,
    Config,
    ControllerConfig,
    NotifyConfig,
    ServerTls,
    TsigConfig,
    ZoneConfig,
)
from lbctl.errors import ConfigError, Problem
from lbctl.model.settings import MassMove, SafetySettings


def read(file: Path | str, environ: Mapping[str, str] | None = None) -> Config:
    """The configuration of a file. Raises `ConfigError` with all of its problems."""
    return build(load(Path(file), environ))


def build(document: Document) -> Config:
    """The configuration of a document. Raises `ConfigError` with all of its problems, in the order of their places."""
    problems = list(document.problems)
    context = _validated(document, problems)
    problems += [context.problem(complaint) for check in surroundings.CHECKS for complaint in check(context)]
    for check in checks.CHECKS:
        problems += [context.problem(complaint) for name, service in context.services() for complaint in check(context, name, service)]
    if problems:
        raise ConfigError(sorted(set(problems), key=_order))
    return _config(context)


def _order(problem: Problem) -> tuple[str, int, int, str]:
    file, line, column = ([*problem.where.rsplit(":", 2), "0", "0"])[:3]
    return file, int(line) if line.isdigit() else 0, int(column) if column.isdigit() else 0, problem.path


def _validated(document: Document, problems: list[Problem]) -> Context:
    """The models of all that they accept; the problems of the rest are added."""
    services = document.values.get("services")
    names = frozenset(services) if isinstance(services, dict) else frozenset()
    remains = Remains(document.values)
    while True:
        try:
            return Context(File.model_validate(remains.values()), document, names, remains)
        except ValidationError as error:
            told = [item for item in error.errors(include_url=False) if not _only_refused(item)]
            items: list[dict[str, Any]] = [{**item, "loc": remains.path(item["loc"])} for item in told]
        problems += [problem(item, document, File) for item in items if not remains.follows(item["loc"])]
        if not remains.drop([item["loc"] for item in items], [path for item in items for path in meant(item, File)]):
            raise ConfigError(sorted(set(problems), key=_order))  # never without end, whatever the models refuse


def _only_refused(item: Mapping[str, Any]) -> bool:
    """A list "too short" for its refused items alone: whoever has written two members with a mistake in each has not written none."""
    return item["type"] == "too_short" and bool(len(item["input"]) >= item["ctx"]["min_length"])


def _config(context: Context) -> Config:
    file = context.file
    every = _canaries(file)
    return Config(
        file=context.document.file.absolute(),
        controller=_controller(context),
        api=_api(context),
        authoritative=_authoritative(context),
        notify=tuple(NotifyConfig(one.kind, _notify(context, one.settings)) for one in file.notify),
        safety=_safety(file, every),
        canaries=every,
        services={name: built_service(context, name, service) for name, service in context.services()},
    )


def _controller(context: Context) -> ControllerConfig:
    controller = context.file.controller
    return ControllerConfig(
        name=controller.name or socket.gethostname().split(".")[0], state=context.path(controller.state),
        journal_keep_s=controller.journal.keep, journal_bytes_max=controller.journal.size_max, quorum=controller.quorum,
    )


def _api(context: Context) -> ApiConfig:
    api = context.file.api
    tls = None
    if api.tls:
        authority = context.path(api.tls.client_ca_file) if api.tls.client_ca_file else None
        tls = ServerTls(context.path(api.tls.cert_file), context.path(api.tls.key_file), authority)
    return ApiConfig(
        socket=context.path(api.socket) if api.socket else None, listen=api.listen, tls=tls,
        tokens_file=context.path(api.tokens_file) if api.tokens_file else None,
    )


def _authoritative(context: Context) -> AuthoritativeConfig | None:
    server = context.file.authoritative
    if server is None:
        return None
    zones = {
        name: ZoneConfig(
            name, dict(zone.ns), zone.allow_transfer, zone.also_notify,
            TsigConfig(zone.tsig.name, zone.tsig.algorithm, context.path(zone.tsig.secret_file)) if zone.tsig else None,
            zone.negative_ttl, zone.verify, zone.dnssec,
        )
        for name, zone in server.zones.items()
    }
    return AuthoritativeConfig(server.listen, server.rate_limit, zones)


def _notify(context: Context, settings: Any) -> Mapping[str, Any]:
    if isinstance(settings, str):
        return {"url": settings}
    given = settings.model_dump(exclude_unset=True, exclude_none=True)
    return {key: str(context.path(value)) if key.endswith("_file") else value for key, value in given.items()}


def _canaries(file: File) -> tuple[Canary, ...]:
    inside = [canary(text, name) for name, site in file.sites.items() for text in site.canaries]
    return tuple([canary(text) for text in file.safety.canaries] + inside)


def _safety(file: File, every: tuple[Canary, ...]) -> SafetySettings:
    mass = file.safety.mass_move
    return SafetySettings(
        mass_move=MassMove(mass.share, mass.at_least, mass.window, mass.then),
        canaries=tuple(one.name for one in every if not one.site), stall_limit_s=file.safety.stall_limit,
        sites={name: tuple(site.canaries) for name, site in file.sites.items()},
    )
