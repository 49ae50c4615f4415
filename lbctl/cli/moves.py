"""The verbs that an operator moves traffic and its rules by. Each shows what it came to, and ends with 0 only when that was seen from outside."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from lbctl.cli.client import Client
from lbctl.cli.complete import member_names, service_names
from lbctl.cli.conflict import send
from lbctl.cli.failure import ACCEPTED, ERROR, OK, USAGE, Failure
from lbctl.cli.options import Globals, verb
from lbctl.cli.show import ATTENTION, BAD, GOOD, clean, dumps, paint
from lbctl.clock import SystemClock

F = TypeVar("F", bound=Callable[..., Any])
POLL_S = 0.2
SEEN_S, RUN_S = 15.0, 900.0

service_argument = click.argument("service", shell_complete=service_names)
reason_required = click.option("--reason", required=True, help="Why; it is journaled and shown.")
reason_optional = click.option("--reason", help="Why; it is journaled and shown.")
attest = click.option("--attest-synced", is_flag=True, help="You say that the member has all that was written; needs --reason.")
wait_option = click.option("--wait", "wait_s", type=click.FloatRange(0), metavar="SECONDS",
                           help=f"How long to wait until it is seen from outside; {SEEN_S:.0f} by default, {RUN_S:.0f} for --drive.")


def act(options: Globals, service: str, verb_name: str, body: Mapping[str, Any], *, wait_s: float | None = None) -> None:
    """Sends one command with the revision seen now, waits for its effect, prints, and ends with the contract's code."""
    client = Client(options)
    seen = client.get("services", service)
    answer = send(client, seen, verb_name, body)
    finish(options, client, service, answer, wait_s, before=seen["active"])


def finish(options: Globals, client: Client, service: str, answer: dict[str, Any], wait_s: float | None, *, before: str | None = None) -> None:
    """6 becomes 0 when every actuator shows the epoch in time, and 1 when a run on the Cores ended without moving traffic off `before`."""
    if answer["code"] == ACCEPTED and "approval" not in answer["evidence"]:
        answer = settled(client, service, answer, wait_s, before)
    if options.output != "table":
        click.echo(dumps(options, answer))
    else:
        report(answer)
    click.get_current_context().exit(answer["code"])


def settled(client: Client, service: str, answer: dict[str, Any], wait_s: float | None, before: str | None) -> dict[str, Any]:
    """Asks until what was accepted is seen or has failed, or the time is over; Ctrl-C stops the asking and not the command."""
    clock = SystemClock()
    driven = "run" in answer["evidence"] or "drain" in answer["evidence"]
    end = clock.now() + ((RUN_S if driven else SEEN_S) if wait_s is None else wait_s)
    shown, told = answer["service"], ""
    if driven:
        click.echo(f"  {clean(answer['message'])}", err=True)  # a gap is announced before it comes (SEMANTICS section 8)
    try:
        while not _ended(shown) and clock.now() < end:
            asyncio.run(clock.sleep(POLL_S))
            shown = client.get("services", service)
            told = _progress(shown, told)
    except KeyboardInterrupt:
        click.echo("lbctl: not waiting any longer; the command goes on", err=True)
    outcome = _outcome(shown, answer["message"], before if driven else None)
    if driven and outcome["code"] == OK and shown is not None:
        gap = _gap(client, service, int((answer["service"] or shown)["revision"]))
        outcome["message"] = f"traffic of {service} is on {shown['active']}, seen everywhere{gap}"
    return {**answer, "service": shown, **outcome}


def _gap(client: Client, service: str, revision: int) -> str:
    """How long clients were refused, as the journal has it of this run; empty where they were not."""
    lines = client.get("events", service=service, newest="true", limit=50)["events"]
    told = [line["text"].partition(": ")[2] for line in lines if line["kind"] == "gap" and line["revision"] >= revision]
    return f"; {told[-1]}" if told else ""


def _ended(shown: Mapping[str, Any] | None) -> bool:
    run = shown.get("run") if shown else None
    drain = shown.get("drain") if shown else None
    return shown is None or bool(run and run["failed"]) or (run is None and drain is None and _in_sync(shown))


def _in_sync(shown: Mapping[str, Any]) -> bool:
    return all(actuator["in_sync"] for actuator in shown["actuators"])


def _outcome(shown: Mapping[str, Any] | None, message: str, before: str | None) -> dict[str, Any]:
    """Code and message by what is seen now."""
    run = shown.get("run") if shown else None
    if run and run["failed"]:
        return {"code": ERROR, "message": f"{run['kind']} stopped at {run['step']}: {run['failed']}"}
    if shown is not None and (run or shown.get("drain") or not _in_sync(shown)):
        return {"code": ACCEPTED, "message": message}
    if shown is not None and before is not None and shown["active"] == before:
        return {"code": ERROR, "message": f"the run has ended and traffic is still on {before}: `lbctl history {shown['name']}` tells why"}
    return {"code": OK, "message": message}


def _progress(shown: Mapping[str, Any], told: str) -> str:
    """Each step of a run, once, on standard error."""
    run = shown.get("run") or {"kind": "", "step": ""}
    if run["step"] and run["step"] != told:
        click.echo(f"  {run['kind']}: {run['step']}", err=True)
    return str(run["step"])


def report(answer: Mapping[str, Any]) -> None:
    """One sentence, then what is still to come."""
    shown = answer.get("service")
    words = {OK: paint("done", GOOD), ERROR: paint("failed", BAD)}
    click.echo(f"{words.get(answer['code']) or paint('accepted, not verified yet', ATTENTION)}: {clean(answer['message'])}")
    if answer["code"] == ACCEPTED and shown and "approval" not in answer["evidence"]:
        for actuator in shown["actuators"]:
            if not actuator["in_sync"]:
                error = f": {clean(actuator['error'])}" if actuator["error"] else ""
                click.echo(f"  {actuator['id']}: wanted {actuator['wanted']}, applied {actuator['applied']}, verified {actuator['verified']}{error}")
        click.echo(f"  `lbctl status {shown['name']} --watch` shows it arrive")


def _attested(attest_synced: bool, reason: str | None) -> None:
    if attest_synced and not reason:
        raise Failure(USAGE, "--attest-synced needs --reason: it is your word that is written down")


@verb
@service_argument
@click.option("--to", metavar="MEMBER", shell_complete=member_names, help="To whom; the next in order by default.")
@click.option("--drive", is_flag=True, help="Drive the Cores' side over SSH (needed for `monitor: core`).")
@click.option("--drain", is_flag=True, help="Let the old TTL run out first.")
@reason_optional
@wait_option
def switchover(options: Globals, service: str, to: str | None, drive: bool, drain: bool, reason: str | None, wait_s: float | None) -> None:
    """A planned move between healthy members."""
    act(options, service, "switchover", {"to": to, "drive": drive, "drain": drain, "reason": reason}, wait_s=wait_s)


@verb
@service_argument
@click.option("--to", metavar="MEMBER", required=True, shell_complete=member_names, help="To whom.")
@reason_required
@click.option("--force", is_flag=True, help="Override the rules that --accept names.")
@click.option("--accept", metavar="RULE[,RULE]", help="Which rules; losing writes is re-synced.")
@wait_option
def failover(options: Globals, service: str, to: str, reason: str, force: bool, accept: str | None, wait_s: float | None) -> None:
    """An unplanned move, by you."""
    rules = [rule.strip() for rule in (accept or "").split(",") if rule.strip()]
    if force != bool(rules):
        raise Failure(USAGE, "--force and --accept RULE go together: say which rule you override")
    act(options, service, "failover", {"to": to, "reason": reason, "force": force, "accept": rules}, wait_s=wait_s)


@verb
@service_argument
@click.option("--drive", is_flag=True, help="Sync back, change modes and move, step by step, over SSH.")
@click.option("--drain", is_flag=True, help="Let the old TTL run out first.")
@attest
@reason_optional
@wait_option
def resume(options: Globals, service: str, drive: bool, drain: bool, attest_synced: bool, reason: str | None, wait_s: float | None) -> None:
    """Manual Resume: traffic back to the primary."""
    _attested(attest_synced, reason)
    act(options, service, "resume", {"drive": drive, "drain": drain, "attest_synced": attest_synced, "reason": reason}, wait_s=wait_s)


@verb
@service_argument
@attest
@reason_required
@wait_option
def swap_roles(options: Globals, service: str, attest_synced: bool, reason: str, wait_s: float | None) -> None:
    """Primary and active exchange roles; traffic does not move."""
    act(options, service, "swap-roles", {"attest_synced": attest_synced, "reason": reason}, wait_s=wait_s)


@verb
@service_argument
@click.option("--member", metavar="MEMBER", shell_complete=member_names, help="Who is active; needs --reason.")
@reason_optional
@wait_option
def adopt(options: Globals, service: str, member: str | None, reason: str | None, wait_s: float | None) -> None:
    """Accept what is published as the truth; moves nothing."""
    if member and not reason:
        raise Failure(USAGE, "--member needs --reason: actuators that show something else are written")
    act(options, service, "adopt", {"member": member, "reason": reason}, wait_s=wait_s)


@verb
@service_argument
@click.option("--member", metavar="MEMBER", shell_complete=member_names, help="Unlatch this one.")
@attest
@reason_required
def ack(options: Globals, service: str, member: str | None, attest_synced: bool, reason: str) -> None:
    """End a lockout, arm at once; with --member, unlatch it where it is re-synced."""
    act(options, service, "ack", {"member": member, "attest_synced": attest_synced, "reason": reason})


@verb
@service_argument
@reason_required
def hold(options: Globals, service: str, reason: str) -> None:
    """Stop automatic moves until released."""
    act(options, service, "hold", {"reason": reason})


@verb
@click.argument("services", metavar="SERVICE…", nargs=-1, shell_complete=service_names)
@click.option("--all", "every", is_flag=True, help="Every service.")
@reason_optional
def release(options: Globals, services: tuple[str, ...], every: bool, reason: str | None) -> None:
    """Allow automatic moves again; a mass move is judged anew."""
    many(options, "release", services, every, {"reason": reason})


def _nothing_more(_answer: Mapping[str, Any], _now: float) -> str:
    return ""


def many(options: Globals, verb_name: str, services: tuple[str, ...], every: bool, body: Mapping[str, Any],
         more: Callable[[Mapping[str, Any], float], str] = _nothing_more) -> None:
    """The same command to several services. All names are checked before any is sent; ends with the first bad code.

    `more(answer, now)` is a line below each answer.
    """
    if bool(services) == every:
        raise Failure(USAGE, "name the services, or say --all")
    client = Client(options)
    found = client.get("services", brief="true")["services"] if every else [client.get("services", service) for service in services]
    seen = {shown["name"]: shown for shown in found}
    answers: list[Any] = []
    worst = OK
    for service, shown in seen.items():
        try:
            answers.append(send(client, shown, verb_name, body))
        except Failure as failure:
            if len(seen) == 1:
                raise
            Failure(failure.exit_code, f"{service}: {failure.message}", failure.problem).show()
            worst = worst or failure.exit_code
            answers.append(dict(failure.problem))
        else:
            if options.output == "table":
                report(answers[-1])
                if said := more(answers[-1], client.now):
                    click.echo(said)
    if options.output != "table":
        click.echo(dumps(options, answers[0] if len(answers) == 1 else {"answers": answers}))
    click.get_current_context().exit(worst)
