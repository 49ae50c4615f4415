"""The shapes of requests and answers, typed; OpenAPI is generated from them.

Answers allow more fields than are named here (`policy.view` gives more, and may grow); requests forbid them, so that a misspelt option is an
error and not a different move. Booleans are taken literally: `"yes"` and `1` are not `true`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool

from lbctl.config.quantities import DURATION

State = Literal[
    "uninitialised", "normal", "failed-over", "all-down", "down", "dual-primary", "stranded", "partial", "blind", "common-mode", "re-arming"
]

_STEERING = r"\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069"
"""Control characters, line ends, and what turns the direction of writing."""
_LINE = rf"^[^{_STEERING}]*[^\x20{_STEERING}][^{_STEERING}]*$"
Reason = Annotated[str, Field(min_length=1, max_length=500, pattern=_LINE, examples=["network change 4711"])]
"""One line that says something: it is journaled, printed and mailed, so no control characters."""

Duration = Annotated[str, Field(pattern=f"^(0|{DURATION.pattern})$", max_length=40, examples=["2h"])]
Moment = Annotated[str, Field(max_length=40, json_schema_extra={"format": "date-time"}, examples=["2026-11-23T18:00:00Z"])]
Name = Annotated[str, Field(min_length=1, max_length=100, examples=["core-b"])]


class Answer(BaseModel):
    """An answer may carry more than is named."""

    model_config = ConfigDict(extra="allow")


class Request(BaseModel):
    """A request may not."""

    model_config = ConfigDict(extra="forbid")


class MonitorObject(Answer):
    """What one page of a member says."""

    verdict: str
    reason: str


class MemberObject(Answer):
    """One member: its health, the verdict of its decisive page, and why."""

    name: str
    role: Literal["primary", "secondary"]
    health: Literal["up", "down", "unknown"]
    promoted: bool
    latched: bool
    needs_resync: bool
    verdict: Literal["ok", "standby", "primary", "failed", "unknown"]
    reason: str
    since: str | None
    detail: str
    monitors: dict[str, MonitorObject]


class ActuatorObject(Answer):
    """The ledger of one actuator: epochs wanted, applied, and read back."""

    id: str
    wanted: int
    applied: int
    verified: int
    in_sync: bool
    error: str | None


class MaintenanceObject(Answer):
    """Automatic moves off, with an end."""

    on: bool
    by: str | None
    reason: str | None
    until: str | None


class ServiceObject(Answer):
    """A service (contract section 4)."""

    name: str
    state: State
    primary: str | None
    active: str | None
    epoch: int
    revision: int
    resume_pending: bool
    conditions: list[str]
    automation: Literal["on", "observe"]
    held: Any
    locked_out_until: str | None
    approvals: list[Any]
    maintenance: MaintenanceObject
    blocked_by: list[Any]
    members: list[MemberObject]
    actuators: list[ActuatorObject]


class Glance(Answer):
    """A service in an overview: the service object without what costs time where there are thousands (`?brief=true`)."""

    name: str
    state: State
    active: str | None
    revision: int


class Services(Answer):
    """All services, in the file's order."""

    services: list[ServiceObject] | list[Glance]


class Way(BaseModel):
    """What helps, and the command to type; the command is empty where there is none."""

    text: str
    command: str


class Explanation(Answer):
    """Why traffic is where it is, what blocks a move, and what helps now.

    `advice`: the most urgent first. `suspect`: the active member, while it fails and is not proven down yet.
    """

    suspect: str | None
    advice: list[Way]


class LookColumns(Answer):
    """One page over the last cells, oldest first and the last one still filling; null where there was no look. `verdict` and `reason` are the
    worst of the cell; counts end at 255."""

    fastest_s: list[float | None]
    slowest_s: list[float | None]
    good: list[int | None]
    failed: list[int | None]
    verdict: list[str | None]
    reason: list[str | None]


class Looks(Answer):
    """What recent looks have shown, by member and page: cells of `cell_s` seconds, the last of which ends at `until`. Not kept over a restart."""

    service: str
    cell_s: float
    until: str
    members: dict[str, dict[str, LookColumns]]


class Whoami(Answer):
    """Who is asking, as the journal would name them, and what they may do."""

    by: str
    role: Literal["viewer", "operator", "admin"]


class Readiness(Answer):
    """Every best practice with its evidence; `ready`: the standby would take over now."""

    service: str
    ready: bool
    kept: int
    of: int
    practices: list[dict[str, Any]]


class Cluster(Answer):
    """The controllers, who decides what, and how many observers must agree that a member failed."""

    controllers: list[dict[str, Any]]
    quorum: int
    decides: dict[str, str]


class UpgradeShown(Answer):
    """The guide's nine steps; `next` is the one that is due while a run is open."""

    service: str
    open: bool
    by: str | None
    next: str | None
    steps: list[dict[str, Any]]


class EventObject(Answer):
    """One line of the journal."""

    seq: int
    at: str
    service: str
    kind: str
    text: str
    by: str
    epoch: int
    revision: int
    data: dict[str, Any]


class Events(Answer):
    """A page of the journal; `next` is the `since` of the following page, absent where there is none."""

    events: list[EventObject]
    next: int | None = None


class Approvals(Answer):
    """Moves that wait for somebody's yes."""

    approvals: list[dict[str, Any]]


class Outcome(Answer):
    """What a command came to. `code` is the command line's exit code (contract section 2): 0 done and verified, 6 accepted and not verified yet."""

    code: int
    message: str
    evidence: dict[str, Any] = {}
    service: ServiceObject | None = None


class Audit(Answer):
    """Whether the journal's chain of hashes is whole as far as it was followed, and the first line that breaks it.

    `checked` is the last line that was followed, of `lines` written so far; `next` the `since` to go on with, absent at the end.
    """

    whole: bool
    broken_at: int | None
    checked: int
    lines: int
    next: int | None


class Notices(Answer):
    """What became of the notices: the newest lines of the delivery log, and how many still wait."""

    ways: list[str]
    waiting: int
    deliveries: list[dict[str, Any]]


class Deliveries(Answer):
    """How a test notice ended on each configured way."""

    delivered: bool
    deliveries: list[dict[str, Any]]


class Planned(Answer):
    """What a reload would change and publish."""


class Problem(Answer):
    """RFC 9457. `rule` and `evidence` where a safety rule refused; `code` is the command line's exit code."""

    type: str
    title: str
    status: int
    detail: str
    code: int
    rule: str | None = None
    evidence: dict[str, Any] | None = None
    errors: list[dict[str, Any]] | None = None


class EventQuery(Request):
    """Which part of the journal."""

    since: Annotated[int, Field(ge=0, le=2**53, description="only lines after this one")] = 0
    service: Annotated[str | None, Field(max_length=100, description="only this service's")] = None
    limit: Annotated[int, Field(ge=1, le=1000, description="at most so many lines")] = 200
    newest: Annotated[Literal["true", "false"], Field(description="the last lines instead of the first")] = "false"


class AuditQuery(Request):
    """Which part of the journal: a long one is followed a part at a time."""

    since: Annotated[int, Field(ge=0, le=2**53, description="go on after this line")] = 0
    limit: Annotated[int | None, Field(ge=1, le=1_000_000, description="at most about so many lines; without it all")] = None


class ServicesQuery(Request):
    """How much of each."""

    brief: Annotated[Literal["true", "false"], Field(description="only what an overview needs")] = "false"


class ExplainQuery(Request):
    """A move to whom."""

    to: Annotated[str | None, Field(max_length=100, description="explain a move to this member")] = None


class MaintenanceRequest(Request):
    """Automatic moves off; `for` or `until` is mandatory to switch it on or to extend it."""

    model_config = ConfigDict(extra="forbid", validate_by_name=True, validate_by_alias=True)

    action: Literal["on", "off", "extend"] = "on"
    for_: Annotated[Duration | None, Field(alias="for")] = None
    until: Moment | None = None
    from_: Annotated[Moment | None, Field(alias="from")] = None
    reason: Reason | None = None


class FailoverRequest(Request):
    """Unplanned; `accept` names the rules that `force` overrides."""

    to: Name
    reason: Reason
    force: StrictBool = False
    accept: Annotated[list[Name], Field(max_length=30)] = []


class SwitchoverRequest(Request):
    """Planned, between healthy members."""

    to: Name | None = None
    drive: StrictBool = False
    drain: StrictBool = False
    reason: Reason | None = None


class ResumeRequest(Request):
    """The guide's Manual Resume; attesting needs a reason."""

    drive: StrictBool = False
    drain: StrictBool = False
    attest_synced: StrictBool = False
    reason: Reason | None = None


class SwapRolesRequest(Request):
    """Primary and active exchange roles; traffic does not move."""

    reason: Reason
    attest_synced: StrictBool = False


class AdoptRequest(Request):
    """What is published is accepted as the truth; with a member, a reason is needed."""

    member: Name | None = None
    reason: Reason | None = None


class AckRequest(Request):
    """Ends a lockout, arms at once, unlatches a re-synced member."""

    reason: Reason
    member: Name | None = None
    attest_synced: StrictBool = False


class UpgradeRequest(Request):
    """One step of the upgrade; with `next`, a reason is a person's word for what cannot be read (steps 7 and 8)."""

    action: Literal["start", "next", "abort"]
    reason: Reason | None = None


class HoldRequest(Request):
    """Stops automatic moves."""

    reason: Reason


class PlainRequest(Request):
    """Nothing but, perhaps, a reason."""

    reason: Reason | None = None


class ReloadRequest(Request):
    """Reads the file again; `allow_switch` lets it move traffic."""

    allow_switch: StrictBool = False


class PlanRequest(Request):
    """The text of a configuration, and the name by which its mistakes are reported."""

    text: Annotated[str, Field(max_length=4_000_000)]
    name: Annotated[str, Field(max_length=300)] = "lbctl.yaml"
