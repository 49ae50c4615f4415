"""Planned moves and caches (H49, SEMANTICS section 8): the TTL is lowered, the old one runs out everywhere, then traffic moves.

`switchover --drain` and `resume --drain` pass their checks at once and are then kept as a `Drain`: every actuator that caches remember (`Cached`)
publishes the same answer with `LOW_S`, and tells for how long a cache may still hold what it gave before; when that is over at all of them, the
command is judged again like a new one and done. Nothing else waits: a failover in between goes its way, and any move ends the drain. So do a
`hold`, a restart (an operator's move is never completed by one) and `GIVE_UP_S` without a lowered TTL. The move's own epoch brings the TTL back.

Where both members can serve (custom monitors) the one that is left goes on serving: `Farewell` tells when no cache sends clients to it any more. Of a
pair of Cores one may take writes: the gap, from refused clients to the last cache, is announced before and reported after.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from lbctl.model.commands import Code, Command, Resume, Switchover
from lbctl.model.events import Drained
from lbctl.model.state import Drain, Farewell
from lbctl.policy.case import Case
from lbctl.policy.seen import put
from lbctl.policy.turn import Turn

LOW_S = 5.0
"""What the TTL is lowered to (the floor of SEMANTICS section 8)."""
ROUNDING_S = 2.0
"""Caches count in whole seconds and give the last one away: one second each, for the resolver and a forwarder before it. A resolver that was given a
TTL of 5 was seen to tell the old answer for 5.4 s."""
GIVE_UP_S = 120.0
"""How long every actuator has for lowering its TTL."""


def begin(turn: Turn, verb: str, target: str, command: Switchover | Resume) -> bool:
    """Opens the drain that the command asks for. False where there is nothing to wait for: none asked, done already, or no TTL above the floor."""
    # At the floor already there is nothing to run out: the move goes at once, as without `--drain`.
    if not command.drain or turn.settings.ttl_s <= LOW_S:
        return False
    attested = isinstance(command, Resume) and command.attest_synced
    turn.save(drain=Drain(verb, target, command.by, command.reason, command.drive, attested, turn.now))
    # What actuators told in an earlier drain was about another TTL.
    turn.set(drained={})
    text = f"{verb}: TTL is lowered to {LOW_S:.0f} s first; traffic moves from {turn.case.active} to {target} in about {turn.settings.ttl_s:.0f} s"
    turn.note("drain-begun", text, member=target, by=command.by)
    turn.answer(Code.ACCEPTED, text + gap(turn.case, drained=True), drain=target)
    return True


def refused(turn: Turn) -> bool:
    """One planned move at a time."""
    # `moving` is the drain's own command, which comes by here to be judged again.
    if turn.saved.drain is None or turn.saved.drain.moving:
        return False
    opens = f"it moves by itself, or `lbctl hold {turn.settings.name} --reason …` ends it"
    turn.refuse("not-held", f"a {turn.saved.drain.verb} to {turn.saved.drain.target} waits for old TTLs to pass: {opens}")
    return True


def gap(case: Case, *, drained: bool = False) -> str:
    """What clients of Cores will feel, in words; "" where both members can serve."""
    if not case.modes:
        return ""
    ttl = 1 + (min(LOW_S, case.settings.ttl_s) if drained else case.settings.ttl_s)  # a cache gives the last second away
    return f"; clients are refused while the Cores change roles, and up to {ttl:.0f} s longer where a cache holds the old answer"


def heard(turn: Turn, event: Drained) -> None:
    """One actuator publishes the low TTL; older answers live on in caches for a while."""
    # A report of a drain that was cancelled, or of an actuator that a reload removed, is nobody's any more.
    if turn.saved.drain is not None and event.actuator in turn.settings.actuators:
        turn.set(drained=put(turn.state.drained, event.actuator, turn.now + event.left_s))


def due(turn: Turn) -> Command | None:
    """The command whose time has come, to be judged like a new one."""
    drain = turn.saved.drain
    # Once only: `moving` is saved, so that no second turn gives the same command again.
    if drain is None or drain.moving or turn.state.uninitialised:
        return None
    # All actuators: the caches of the slowest decide when nobody is sent to the old member.
    if drain.until is None and all(name in turn.state.drained for name in turn.settings.actuators):
        drain = replace(drain, until=max(turn.now, *turn.state.drained.values()) if turn.state.drained else turn.now)
        turn.save(drain=drain)
    if drain.until is None:
        # A name server that cannot be written must not leave the others at the low TTL for ever.
        if turn.now >= drain.began + GIVE_UP_S:
            late = [name for name in turn.settings.actuators if name not in turn.state.drained]
            cancel(turn, f"the TTL could not be lowered at {', '.join(late)}")
        return None
    return _command(turn, drain) if turn.now >= drain.until else None


def _command(turn: Turn, drain: Drain) -> Command:
    turn.save(drain=replace(drain, moving=True))
    if drain.verb == "resume":
        return Resume(service=turn.settings.name, by=drain.by, reason=drain.reason, drive=drain.drive, attest_synced=drain.attested)
    return Switchover(service=turn.settings.name, by=drain.by, reason=drain.reason, to=drain.target, drive=drain.drive)


def cancel(turn: Turn, why: str) -> None:
    """Nothing moves; TTLs go back to what is configured."""
    drain = turn.saved.drain
    if drain is not None:
        turn.save(drain=None)
        turn.set(drained={})
        turn.note("drain-ended", f"the {drain.verb} to {drain.target} does not happen: {why}", member=drain.target, by=drain.by)


def restarted(turn: Turn) -> None:
    """After a restart nothing planned is completed; a new epoch makes every actuator write the configured TTL."""
    if turn.saved.drain is not None:
        cancel(turn, "the controller was restarted; ask for it again if it is still wanted")
        turn.save(epoch=turn.saved.epoch + 1)


def low_ttl_s(case: Case) -> float | None:
    """The TTL to publish with while a planned move is near; None: as configured."""
    return LOW_S if case.saved.drain is not None else None


def watch_farewell(turn: Turn) -> None:
    """Tells when nobody is sent to the old member any more."""
    bye = turn.saved.farewell
    if bye is not None and turn.now >= bye.until:
        turn.save(farewell=None)
        # Traffic may have come back meanwhile: then nobody must be told that it may be stopped.
        if bye.member != turn.case.active:
            text = f"no cache sends clients to {bye.member} any more (those that ignore TTLs aside): it may be stopped"
            turn.note("drained", text, member=bye.member)


def farewell(turn: Turn, member: str, ttl_s: float) -> None:
    """The planned move off `member` is seen everywhere."""
    # Of a pair of Cores the old one serves nobody from the exchange on, whatever caches say.
    if ttl_s > 0 and not turn.case.modes:
        turn.save(farewell=Farewell(member, turn.now + ttl_s + ROUNDING_S))


def wake_times(case: Case) -> Iterator[float]:
    """When something here ends by itself."""
    drain, bye = case.saved.drain, case.saved.farewell
    if drain is not None and not drain.moving:
        yield drain.until if drain.until is not None else drain.began + GIVE_UP_S
    if bye is not None:
        yield bye.until
