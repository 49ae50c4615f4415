"""The rows of the audit: one function each, in the order of their weight (G-BP, H1, H12, H17, H23, the promotion race).

A row gives a finding for each service or for the whole file; it never looks at anything but the configuration and the files that it names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from lbctl.config.audit import Audit, Finding, ServiceAudit, Severity, figures, total_load
from lbctl.config.tree import BuiltService, Config
from lbctl.policy.budget import LOAD_MAX, Load, Winner, spell

Findings = Iterator[Finding]
WORLD_READABLE = 0o004
DRIVE = "drive: {ssh: …, user: …, key_file: …, known_hosts_file: …}"


def audit(config: Config) -> Audit:
    """Judges a valid configuration."""
    rows = figures(config)
    load = total_load(config)
    findings = [finding for practice in PRACTICES for finding in practice(config, rows, load)]
    return Audit(rows, load, tuple(findings))


def _each(config: Config, *, kind: str = "failover", cores: bool = False) -> Iterator[tuple[str, BuiltService]]:
    for name, service in config.services.items():
        if service.settings.kind == kind and (service.settings.monitor.modes or not cores):
            yield name, service


def two_layers(config: Config, rows: tuple[ServiceAudit, ...], load: Load) -> Findings:
    """The outer layer leaves the inner one its time (H12)."""
    for name, service in config.services.items():
        if service.monitor.kind == "site" and service.monitor.inner_failover_s is None:
            yield Finding(Severity.WARNING, "two-layers", name, "does not know how long its sites need for their own failover",
                          f"services.{name}.monitor.site.inner_failover: what `lbctl check` says at the site, plus the promotion")
    for row in rows:
        for layers in row.layers:
            if not layers.holds:
                yield Finding(Severity.ERROR, "two-layers", row.name, layers.sentence,
                              f"services.{row.name}.probe.min_outage: {layers.min_outage_needed_s + 1:.0f}s")


def probe_load(config: Config, rows: tuple[ServiceAudit, ...], load: Load) -> Findings:
    """Looks come in time (H23)."""
    if not load.holds:
        yield Finding(Severity.ERROR, "probe-load", "", f"{load.sentence}; above {LOAD_MAX:.0%} looks come late",
                      "a longer defaults.probe.interval, or `connection: keep`")


def no_standby(config: Config, rows: tuple[ServiceAudit, ...], load: Load) -> Findings:
    """Somebody can take over."""
    for name, service in _each(config):
        members = service.settings.members
        if len(members) == 1:
            yield Finding(Severity.WARNING, "no-standby", name, "has one member: nobody can take over", f"services.{name}.members: add a secondary")
        elif all(member.manual_approval for member in members if member.name != service.settings.primary):
            yield Finding(Severity.NOTE, "no-standby", name, "every candidate has `approval: manual`: nothing moves without a person")


def no_actuator(config: Config, rows: tuple[ServiceAudit, ...], load: Load) -> Findings:
    """A decision has an effect."""
    for name, service in config.services.items():
        if not service.actuators:
            yield Finding(Severity.WARNING, "no-actuator", name, "writes nothing anywhere: a decision has no effect", f"services.{name}.actuators")


def promotion_race(config: Config, rows: tuple[ServiceAudit, ...], load: Load) -> Findings:
    """lbctl decides before the Secondary promotes itself."""
    for row in rows:
        for race in row.races:
            if race.winner in (Winner.OPEN, Winner.CORE) and config.services[row.name].settings.on_self_promoted != "adopt":
                yield Finding(Severity.WARNING, "promotion-race", row.name, race.sentence,
                              f"on {race.member}: Consecutive Heartbeat failures before failover = {race.failures_needed}; or a shorter min_outage")


def identity(config: Config, rows: tuple[ServiceAudit, ...], load: Load) -> Findings:
    """The member that answers is the member that is meant (H17)."""
    for name, service in config.services.items():
        blind = [member for member, target in service.targets.items()
                 if target.url.startswith("https:") and not target.tls.verify and not target.tls.pin_sha256]
        if blind:
            yield Finding(Severity.WARNING, "identity", name, f"takes any certificate of {', '.join(blind)}",
                          f"services.{name}.members[].tls: ca_file or pin_sha256")
        plain = [member for member, target in service.targets.items() if target.url.startswith("http:")]
        if plain and service.settings.monitor.modes:
            yield Finding(Severity.NOTE, "identity", name, f"looks at {', '.join(plain)} without TLS: anybody on the way can answer for it")


def same_place(config: Config, rows: tuple[ServiceAudit, ...], load: Load) -> Findings:
    """Each member is looked at where it is: a slip of copy and paste would make one server vouch for two (H17)."""
    for name, service in config.services.items():
        seen: dict[tuple[str, str | None], str] = {}
        for member, target in service.targets.items():
            first = seen.setdefault((target.url, target.connect), member)
            if first != member:
                yield Finding(Severity.WARNING, "same-place", name, f"looks at {target.connect or target.url} for {first} and for {member} alike",
                              f"services.{name}.members[].url (or `connect`) of {member}")


def families(config: Config, rows: tuple[ServiceAudit, ...], load: Load) -> Findings:
    """What is published is what was looked at (H22)."""
    for name, service in config.services.items():
        both = [member.name for member in service.settings.members if not service.targets[member.name].families
                for view in member.address.values() if len({":" in address for address in view}) > 1]
        if both:
            yield Finding(Severity.WARNING, "families", name,
                          f"publishes IPv4 and IPv6 of {', '.join(dict.fromkeys(both))} and looks over one: a dead path in the other is not seen",
                          f"services.{name}.probe.families: any (or all)")


def pool_of_cores(config: Config, rows: tuple[ServiceAudit, ...], load: Load) -> Findings:
    """A pool sends clients to every healthy member, so each must be able to serve."""
    for name, _ in _each(config, kind="pool", cores=True):
        yield Finding(Severity.WARNING, "pool-of-cores", name, "is a pool of Cores: clients would be sent to a Standby too",
                      f"services.{name}.kind: failover, or a monitor of its own")


def canaries(config: Config, rows: tuple[ServiceAudit, ...], load: Load) -> Findings:
    """A cut controller is told from dead members (SEMANTICS section 4, blind)."""
    members = sum(len(service.settings.members) for service in config.services.values())
    for name, service in _each(config):
        witnesses = len(config.canaries) + members - len(service.settings.members)
        if witnesses < 3:
            yield Finding(Severity.WARNING, "canaries", name,
                          f"has {witnesses} other things to look at; with three, a cut of this controller is known from a dead service for sure",
                          "safety.canaries: a gateway, a resolver, something outside")
            return


def site_vantage(config: Config, rows: tuple[ServiceAudit, ...], load: Load) -> Findings:
    """Something to look at stands outside the standby's site, or a cut there looks like a dead primary."""
    for name, service in _each(config):
        sites = {member.site for member in service.settings.members if member.site}
        for site in sorted(sites):
            if len(sites) > 1 and not config.safety.sites.get(site) and not config.safety.canaries:
                yield Finding(Severity.WARNING, "site-vantage", name, f"no canary tells a cut site {site} from a dead member in it",
                              f"sites.{site}.canaries: something at {site} that is not a member")
            elif len(sites) > 1 and not config.safety.sites.get(site):
                yield Finding(Severity.NOTE, "site-vantage", name, f"the site {site} has no canary: cut or dead, it will look the same",
                              f"sites.{site}.canaries: something at {site} that is not a member")


def freshness(config: Config, rows: tuple[ServiceAudit, ...], load: Load) -> Findings:
    """The standby's copy is not days old (H1)."""
    for name, service in _each(config, cores=True):
        unknown = [m for m in service.settings.members if m.name != service.settings.primary and m.freshness is None]
        if unknown:
            copies = ", ".join(member.name for member in unknown)
            # `source: ssh` reads over the drive: without one the advice alone would make the file invalid.
            first = "" if all(member.driven for member in unknown) else f"{DRIVE}, then "
            yield Finding(Severity.WARNING, "freshness", name, f"does not know how old the copy of {copies} is: a failover may lose days",
                          f"services.{name}.members[].{first}freshness: {{source: ssh, max_staleness: 90m}}")


def one_holder(config: Config, rows: tuple[ServiceAudit, ...], load: Load) -> Findings:
    """Who holds a virtual address can be replaced, and who lends it is missed (SEMANTICS section 8; several controllers need a store in common)."""
    for name, service in config.services.items():
        for vip in (actuator for actuator in service.actuators if actuator.kind == "vip"):
            agents = list(vip.settings.get("agents") or ())
            if len(agents) < 2:
                holder = f"the host of the agent {agents[0]}" if agents else "this host"
                yield Finding(Severity.NOTE, "one-holder", name, f"{vip.id} goes with {holder}: nobody else may hold it",
                              f"services.{name}.actuators[].vip.agents: two hosts with `lbctl agent`")
            elif vip.settings.get("forward"):
                yield Finding(Severity.NOTE, "one-holder", name,
                              f"{vip.id} is lent by this controller alone: on a third host, or the death of a host that has both takes the address "
                              "from the other as well")


def notifications(config: Config, rows: tuple[ServiceAudit, ...], load: Load) -> Findings:
    """Somebody is told (G-BP)."""
    if not config.notify:
        yield Finding(Severity.WARNING, "notifications", "", "nobody is told of anything", "notify: - webhook, email or syslog")


def drive(config: Config, rows: tuple[ServiceAudit, ...], load: Load) -> Findings:
    """Planned moves can be driven."""
    for name, service in _each(config, cores=True):
        missing = [member.name for member in service.settings.members if not member.driven]
        if missing:
            yield Finding(Severity.NOTE, "drive", name, f"`switchover` and `resume --drive` need SSH to {', '.join(missing)}",
                          f"services.{name}.members[].{DRIVE}")


def patience(config: Config, rows: tuple[ServiceAudit, ...], load: Load) -> Findings:
    """What the profile risks: a Core pair takes minutes to promote and never comes back by itself."""
    for row in rows:
        if row.patience_s < 10 and row.kind == "failover" and config.services[row.name].settings.monitor.modes:
            blips = ", ".join(f"{blip} s" for blip in (1, 3, 10) if blip >= row.patience_s)
            yield Finding(Severity.NOTE, "patience", row.name,
                          f"profile {row.profile}: an outage of {blips} may move traffic, and the way back is a person's (`careful` waits 20 s)")


def caches(config: Config, rows: tuple[ServiceAudit, ...], load: Load) -> Findings:
    """A TTL is short enough to matter (H49)."""
    for name, service in _each(config):
        for actuator in service.actuators:
            if actuator.ttl_s > 60:
                yield Finding(Severity.WARNING, "ttl", name, f"{actuator.id}: caches keep the old answer up to {spell(actuator.ttl_s)} after a move",
                              f"services.{name}.actuators[].{actuator.kind}.ttl: 30")


def lockout(config: Config, rows: tuple[ServiceAudit, ...], load: Load) -> Findings:
    """Flapping moves traffic once (H6)."""
    for name, service in _each(config):
        if service.settings.lockout_s < 60:
            yield Finding(Severity.WARNING, "lockout", name, f"lockout {spell(service.settings.lockout_s)}: a flapping pair moves again and again",
                          f"services.{name}.lockout: 30m")


def following(config: Config, rows: tuple[ServiceAudit, ...], load: Load) -> Findings:
    """`follows` goes by site (G-FS)."""
    for name, service in config.services.items():
        if service.settings.follows and service.settings.monitor.modes:
            yield Finding(Severity.NOTE, "follows", name, "is a pair of Cores, which moves only when it fails (G-LB3): `follows` only alerts")
        for one in [name, service.settings.follows] if service.settings.follows else []:
            if one and not all(member.site for member in config.services[one].settings.members):
                yield Finding(Severity.WARNING, "follows", name, f"`follows` goes by site, and not every member of {one} has one",
                              f"services.{one}.members[].site")


def observing(config: Config, rows: tuple[ServiceAudit, ...], load: Load) -> Findings:
    """Who only watches."""
    quiet = [name for name, service in config.services.items() if service.settings.observe]
    if quiet:
        yield Finding(Severity.NOTE, "observe", "", f"decides and records, moves nothing: {', '.join(quiet[:5])}{' …' if len(quiet) > 5 else ''}")


def beats_unknown(config: Config, rows: tuple[ServiceAudit, ...], load: Load) -> Findings:
    """The promotion race can be computed."""
    for name, service in _each(config, cores=True):
        unknown = [m.name for m in service.settings.members if m.name not in service.heartbeats and m.name != service.settings.primary]
        if unknown:
            yield Finding(Severity.NOTE, "promotion-race", name, f"the Fail Over Controls of {', '.join(unknown)} are not known here",
                          f"services.{name}.members[].heartbeat: {{interval: 60s, failures: 5, recheck: 30s, on_failure: promote}}")


def tokens(config: Config, rows: tuple[ServiceAudit, ...], load: Load) -> Findings:
    """Whoever may read beyond loopback has a token or a certificate."""
    api = config.api
    beyond = [str(at) for at in api.listen if not at.loopback]
    if beyond and not api.tokens_file and not (api.tls and api.tls.client_ca_file):
        yield Finding(Severity.WARNING, "tokens", "", f"nobody can use the API at {', '.join(beyond)}: there are no tokens", "api.tokens_file")


def secrets(config: Config, rows: tuple[ServiceAudit, ...], load: Load) -> Findings:
    """A secret is not for everybody to read."""
    for path in sorted(_secret_files(config)):
        if path.exists() and path.stat().st_mode & WORLD_READABLE:
            yield Finding(Severity.WARNING, "secrets", "", f"everybody on this host may read {path}", f"chmod o-r {path}")


def _secret_files(config: Config) -> set[Path]:
    found = {config.api.tokens_file, config.api.tls.key_file if config.api.tls else None}
    for one in config.notify:
        found |= {Path(one.settings[key]) for key in ("secret_file", "password_file") if key in one.settings}
    for service in config.services.values():
        found |= {drive.key_file for drive in service.drives.values()}
        found |= {tsig.secret_file for actuator in service.actuators if (tsig := actuator.settings.get("tsig"))}
    for zone in config.authoritative.zones.values() if config.authoritative else ():
        found |= {zone.tsig.secret_file} if zone.tsig else set()
    return {path for path in found if path}


Practice = Callable[[Config, tuple[ServiceAudit, ...], Load], Findings]
PRACTICES: tuple[Practice, ...] = (
    two_layers, probe_load, no_standby, no_actuator, pool_of_cores, promotion_race, same_place, identity, lockout, canaries, site_vantage, caches,
    freshness, notifications, one_holder, following, tokens, secrets, patience, families, beats_unknown, drive, observing,
)
