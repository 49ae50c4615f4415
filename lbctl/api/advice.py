"""What helps now: sentences, each with the command to type, the most urgent first; told by `explain`, shown by the page and in the terminal alike.

It decides nothing and guesses nothing: all of it is read from the service and from the policy's own rows in `explain`, so what is offered here is
what the controller would accept at this moment. Where two ways are open, the one that loses no writes stands first. A hint that was right for one
state can destroy data in another (syncing the old primary from a member that was never promoted overwrites the newer copy), so each names its state.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Shown = Mapping[str, Any]
Way = dict[str, str]
"""`text` and `command`; the command is empty where there is none to type."""

UNPROVEN = frozenset({"normal", "failed-over", "partial", "re-arming"})
"""States that say nothing about an active member that has begun to fail."""

STATES: dict[str, tuple[str, str]] = {
    "all-down": ("Repair any member; what is published follows by the rules. What fails, phase by phase:", "lbctl probe {service}/{active}"),
    "dual-primary": ("Find out which one takes the writes. On the other one: `failover mode secondary`; then let it sync.", ""),
    "blind": ("Check the network and the resolver of the controller's own host; nothing moves meanwhile.", ""),
    "common-mode": ("Look for one cause: certificate, authority, resolver, something in between.", "lbctl probe {service}/{active}"),
    "re-arming": ("It arms itself after clean rounds. At once:", "lbctl ack {service} --reason …"),
}

ALERTS: dict[str, tuple[str, str]] = {
    "TrafficOnUnpromoted": ("Promote {member}, which has the traffic: `failover mode primary` there.", ""),
    "RolesSwappedOutside": ("If the exchange was meant, let lbctl follow:", "lbctl swap-roles {service} --reason …"),
    "MassMoveHeld": ("Find the common cause of so many failures at once. Then:", "lbctl release {service}"),
    "MaintenanceEnding": ("Not ready yet? Take more time:", "lbctl maintenance extend {service} --for 1h --reason …"),
    "NotArmed": ("Automatic moves are still off. If you know better:", "lbctl ack {service} --reason …"),
    "UpgradeUnfinished": ("Only the last step of the upgrade is missing:", "lbctl upgrade {service} next"),
    "PoolShort": ("{member} is down and still gets clients, because too few others are up. Look at it:", "lbctl probe {service}/{member}"),
    "MemberDown": ("{member} is down; the others serve. Look at it:", "lbctl probe {service}/{member}"),
    "ClientPathDown": ("{member} is well, and its clients do not reach it: look at the gateway or proxy before it. See both paths:",
                       "lbctl probe {service}/{member}"),
    "PathsDisagree": ("Directly and by the clients' path {member} looks different. See both:", "lbctl probe {service}/{member}"),
    "WrongServer": ("Looks at {member} are answered by another member; nothing moves meanwhile. Compare certificate and address:",
                    "lbctl probe {service}/{member}"),
    "FamilyWithheld": ("One address family of {member} does not answer; its clients are sent over the other. See which:",
                       "lbctl probe {service}/{member}"),
    "StandbyDown": ("Look at {member}, which could not take over:", "lbctl probe {service}/{member}"),
    "Rogue": ("Find out who promoted {member}; if nobody is to use it: `failover mode secondary` there. See what it says:",
              "lbctl probe {service}/{member}"),
    "SelfPromotedNotAdopted": ("Make sure that nobody else writes, then accept {member}:", "lbctl failover {service} --to {member} --reason …"),
    "RunFailed": ("The run on the Cores has stopped, and nothing goes on by itself. Repair what it names, then:", "lbctl resume {service} --drive"),
    "NotSaved": ("lbctl decides nothing that it cannot save. Look at the disk of its state file, on its own host.", ""),
    "HeldLong": ("Held for more than eight hours. If that is forgotten:", "lbctl release {service}"),
    "FollowNotPossible": ("It cannot follow to where its clients are. Repair its members at that site:", "lbctl explain {service}"),
    "UnknownMode": ("See what {member} really says:", "lbctl probe {service}/{member}"),
}
"""By alert. `OldPrimaryReturned` and `NoEligibleStandby` depend on more than their name; `ApprovalPending` is a question with its own answer."""


def helpful(shown: Shown, explained: Shown) -> dict[str, Any]:
    """What `explain` tells beside the policy's own rows: what helps, and whether the active is failing while the state does not say so yet."""
    active = failing(shown)
    return {"suspect": active["name"] if active else None, "advice": advice(shown, explained)}


def advice(shown: Shown, explained: Shown) -> list[Way]:
    """What helps this service now; empty where nothing has to be done."""
    run = shown["run"]
    # Half-way through an exchange of roles nobody serves for a moment: what helps against a failure would do harm now.
    if run and not run["failed"] and run["kind"] not in ("upgrade", "promote"):
        return [_way(f"A {run['kind']} is under way on the Cores, and for a moment none of them serves: that is no failure. Wait for its end; it "
                     "takes its steps by itself.", f"lbctl status {shown['name']} --watch")]
    ways = [*_suspect(shown, explained), *_unpromoted(shown, explained), *_state(shown, explained), *_alerts(shown, explained)]
    return _once([*ways, *_way_back(shown, explained)])


def _once(ways: list[Way]) -> list[Way]:
    """Each command where it is most urgent: a state and an alert of the same trouble often lead to one."""
    first = {way["command"]: number for number, way in reversed(list(enumerate(ways)))}
    return [way for number, way in enumerate(ways) if not way["command"] or first[way["command"]] == number]


def _way(text: str, command: str = "") -> Way:
    return {"text": text, "command": command}


def failing(shown: Shown) -> Shown | None:
    """The active member while its decisive page fails and no condition says so yet: `fall` or `min_outage` still has to be proven."""
    if shown["kind"] == "pool" or shown["state"] not in UNPROVEN:
        return None
    active = _member(shown, shown["active"])
    return active if active and (active["verdict"] == "failed" or active["health"] == "down") else None


def _member(shown: Shown, name: str | None) -> Shown | None:
    return next((member for member in shown["members"] if member["name"] == name), None)


def _suspect(shown: Shown, explained: Shown) -> Iterator[Way]:
    """The seconds before a decision: the moment in which people look, and in which most harm is done by typing."""
    active = failing(shown)
    if active is None:
        return
    rows = (row for candidate in explained["candidates"] for row in candidate["rules"] if row["rule"] == "active-down")
    seen = next((row["evidence"] for row in rows), active["detail"])
    would = (explained["if_active_failed"] or {}).get("text", "nothing moves")
    if active["verdict"] == "failed":
        text = f"Nothing to type yet: {active['name']} fails, and it is not proven down ({seen}). If that goes on, {would}."
    else:
        text = f"Nothing to type: {active['name']} answers again, not yet often enough to count as up ({seen})."
    yield _way(text, f"lbctl status {shown['name']} --watch")


def _unserved(shown: Shown) -> str:
    """The active Core while it has the traffic, is well as a Standby, and serves nobody; empty otherwise."""
    active = _member(shown, shown["active"])
    if shown["monitor"] != "core" or shown["kind"] == "pool" or active is None or active["promoted"] or active["health"] != "up":
        return ""
    return "" if active["monitors"]["status"]["verdict"] == "ok" else str(active["name"])


def _unpromoted(shown: Shown, explained: Shown) -> Iterator[Way]:
    name = _unserved(shown)
    if not name:
        return
    if shown["run"] and shown["run"]["kind"] == "promote" and not shown["run"]["failed"]:
        yield _way(f"lbctl makes {name} the Primary itself, over SSH. Wait for it.")
        return
    # Resumable without a sync: nothing was written on this side, so going back costs nothing.
    if _open(explained):
        yield _way(f"Nothing was written on {name} since the move, and {shown['primary']} serves again. Back, without loss:",
                   f"lbctl resume {shown['name']}")
        yield _way(f"Only if {shown['primary']} is not to be used: promote {name} (`failover mode primary` there).")
        return
    # Two Primaries are worse than none: who else says so has to be settled first (`_returned`, or the alert of an exchange).
    if any(_says_primary(member) for member in shown["members"]):
        return
    yield _way(f"Promote {name}, unless it does so by itself: on its command line, `enable`, then", "failover mode primary")


def _state(shown: Shown, explained: Shown) -> Iterator[Way]:
    state, name = shown["state"], shown["name"]
    if state == "stranded":
        yield from _stranded(shown, explained)
    elif state == "down" and shown["kind"] != "pool":
        yield from _down(shown, explained)
    elif state == "uninitialised":
        yield _adopt(shown)
    elif state == "partial":
        for item in shown["actuators"]:
            if not item["in_sync"]:
                yield _way(f"{item['id']} does not show what was decided: {item['error'] or 'no error was told'}. lbctl goes on trying by itself.")
    elif state in STATES:
        text, command = STATES[state]
        yield _way(text, command.format(service=name, active=shown["active"] or "MEMBER"))


def _adopt(shown: Shown) -> Way:
    shows = {item["shows"] for item in shown["actuators"]}
    if len(shows) == 1 and _member(shown, next(iter(shows))):
        return _way("Accept what is published as the truth, once you have looked at it:", f"lbctl adopt {shown['name']}")
    return _way("Nothing that could be accepted is published everywhere. Find out who serves as Primary, then:",
                f"lbctl adopt {shown['name']} --member MEMBER --reason …")


def _move(shown: Shown, to: str) -> str:
    """A yes where lbctl has asked for this move, else the command."""
    asked = next((one["id"] for one in shown["approvals"] if one["to"] == to), "")
    return f"lbctl approve {asked}" if asked else f"lbctl failover {shown['name']} --to {to} --reason …"


def _stranded(shown: Shown, explained: Shown) -> Iterator[Way]:
    for candidate in explained["candidates"]:
        one = _member(shown, candidate["member"])
        if one is None or not _says_primary(one):
            continue
        if not candidate["for_failover"]:
            yield _way(f"Make sure that {shown['active']} takes no writes any more. Then send clients to {one['name']}, which says Primary:",
                       _move(shown, one["name"]))
        elif one["name"] != shown["primary"]:  # of the primary, the way back tells
            yield from _lacking(shown, candidate)


def _down(shown: Shown, explained: Shown) -> Iterator[Way]:
    """Whom a person may send clients to; else what is missing for the nearest one."""
    candidates = sorted(explained["candidates"], key=lambda one: len(one["for_failover"]))
    if not candidates:
        yield _way(f"Repair {shown['active']}: there is nobody else.", f"lbctl probe {shown['name']}/{shown['active']}")
        return
    nearest = candidates[0]
    if nearest["for_failover"]:
        yield from _lacking(shown, nearest)
    else:
        stops = ", ".join(row["rule"] for row in nearest["rules"] if not row["holds"]) or "nothing"
        yield _way(f"{nearest['member']} could take over; what stops lbctl from doing it by itself is {stops}. A person may:",
                   _move(shown, nearest["member"]))
    yield _way(f"Or repair {shown['active']}. What fails, phase by phase:", f"lbctl probe {shown['name']}/{shown['active']}")


def _lacking(shown: Shown, candidate: Shown) -> Iterator[Way]:
    first = candidate["for_failover"][0]
    more = len(candidate["for_failover"]) - 1
    others = f" (and {more} more)" if more else ""
    opens = first["opens"].replace("SERVICE", shown["name"]).replace("MEMBER", candidate["member"])
    yield _way(f"{candidate['member']} may not take over, {first['rule']}{others}: {first['evidence']}. It opens with: {opens}.",
               f"lbctl explain {shown['name']} --to {candidate['member']}")
    # `failover` takes no word that it is synced, and `ack` takes it only for a Standby: a person has this way alone, and knows what it may cost.
    if first["rule"] == "re-synced" and not more:
        yield _way(f"If you know that {candidate['member']} holds all that was written, or give up what is missing there (it is lost):",
                   f"lbctl failover {shown['name']} --to {candidate['member']} --force --accept re-synced --reason …")


def _alerts(shown: Shown, explained: Shown) -> Iterator[Way]:
    for alert in shown["alerts"]:
        kind, member = alert["kind"], alert["member"] or "MEMBER"
        # Where everything fails, the state has told what to do: that a standby is among it is no news.
        if shown["state"] in ("all-down", "blind", "common-mode") and kind in ("NoEligibleStandby", "StandbyDown"):
            continue
        if kind == "OldPrimaryReturned":
            yield from _returned(shown, explained, member)
        elif kind == "NoEligibleStandby" and shown["active"] == shown["primary"]:  # after a move, the way back tells
            yield _way("Nobody could take over. Each practice that is not kept:", f"lbctl readiness {shown['name']}")
        elif kind in ALERTS and not (kind == "TrafficOnUnpromoted" and _unserved(shown)):
            text, command = (part.format(service=shown["name"], member=member) for part in ALERTS[kind])
            yield _way(text, command)


def _returned(shown: Shown, explained: Shown, member: str) -> Iterator[Way]:
    active = shown["active"]
    if _open(explained):
        return
    if _says_primary(_member(shown, active)):
        yield _way(f"On {member}, so that clients with old answers cannot write there: `failover client-connection disable`, "
                   f"`failover mode secondary`; then sync it from {active}.")
        return
    # A sync now could overwrite the newer copy with the older one, and a promotion make two that take writes.
    yield _way(f"{member} says Primary, and {active}, which has the traffic, does not: find out which of them took the last writes before anything "
               f"is synced. If {member} has them all:", f"lbctl resume {shown['name']} --attest-synced --reason …")
    if _unserved(shown):
        yield _way(f"If {active} has them: `failover mode secondary` on {member} first, then `failover mode primary` on {active}.")


def _says_primary(member: Shown | None) -> bool:
    return member is not None and any(page["verdict"] == "primary" for page in member["monitors"].values())


def _open(explained: Shown) -> bool:
    return bool(explained["resume"] and explained["resume"]["open"])


def _way_back(shown: Shown, explained: Shown) -> Iterator[Way]:
    """The ways out of a failover: back to the primary, or stay and exchange the roles. Only what would not be refused for a reason known now."""
    resume, name, active = explained["resume"], shown["name"], shown["active"]
    primary = _member(shown, shown["primary"])
    # While nobody with the traffic serves, and the primary does, the ways above are the ways back.
    if resume is None or primary is None or (_unserved(shown) and _says_primary(primary)):
        return
    if resume["open"]:
        yield _way(f"The way back to {primary['name']} is open:", f"lbctl resume {name}")
    elif failing(shown) is not None or shown["state"] not in (*UNPROVEN, "stranded"):
        return  # an outage comes first: what it lacks is told by its state
    elif primary["health"] == "down":
        if shown["state"] in UNPROVEN:
            yield _way(f"Repair {primary['name']}: until then nobody can take over from {active}. Traffic stays when it comes back.")
    else:
        yield _way(f"The way back to {primary['name']} is not open yet, {resume['rule']}: {resume['evidence']}. It opens with: {resume['opens']}.")
        yield from _drive(shown, explained, primary)
    yield from _swap(shown, primary)


def _drive(shown: Shown, explained: Shown, primary: Shown) -> Iterator[Way]:
    # The drive syncs from the active: offered against a Standby it would lead to an exchange in the wrong direction.
    if explained["resume"].get("driven") and _says_primary(_member(shown, shown["active"])):
        first = "" if primary["verdict"] == "standby" else f"once {primary['name']} says Standby (`failover mode secondary` there), "
        yield _way(f"Or {first}let lbctl do all of it over SSH, the last sync included:", f"lbctl resume {shown['name']} --drive")


def _swap(shown: Shown, primary: Shown) -> Iterator[Way]:
    """Refused unless the old primary is down, or a Standby that was synced (SEMANTICS section 3)."""
    if shown["state"] not in UNPROVEN or failing(shown) is not None:
        return
    standby = primary["verdict"] == "standby"
    ready = primary["health"] == "down" or (standby and not primary["needs_resync"])
    once = "" if ready else f"once {primary['name']} {'' if standby else 'says Standby and '}is synced from {shown['active']}, "
    yield _way(f"Or {once}let {shown['active']} be the primary; traffic stays:", f"lbctl swap-roles {shown['name']} --reason …")
