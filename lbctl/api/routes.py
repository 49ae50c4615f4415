"""The table of the API: the server, OpenAPI, and the tests of who may do what are all made from it.

A new verb is a row here and a handler in `reads` or `writes`.
"""

from __future__ import annotations

from lbctl.api import models, reads, writes
from lbctl.api.call import Handler, Route
from lbctl.api.tokens import Role

V1 = "/api/v1"
_READ = (401, 421, 429)
_WRITE = (400, 401, 403, 404, 405, 409, 412, 413, 415, 422, 429, 500, 503)
_DONE = (200, 202)


def _get(path: str, name: str, summary: str, handler: Handler, answer: type[models.Answer], *errors: int,
         query: type[models.Request] | None = None) -> Route:
    wrong = (422,) if query else ()
    return Route("GET", V1 + path, name, summary, Role.VIEWER, handler, answer, query, errors=(*_READ, *wrong, *errors))


def _post(path: str, name: str, summary: str, handler: Handler, body: type[models.Request], *, role: Role = Role.OPERATOR,
          answer: type[models.Answer] = models.Outcome, statuses: tuple[int, ...] = _DONE) -> Route:
    return Route("POST", V1 + path, name, summary, role, handler, answer, None, body, statuses, _WRITE)


def _verb(verb: str, summary: str, handler: Handler, body: type[models.Request]) -> Route:
    return _post(f"/services/{{name}}/{verb}", verb.replace("-", "_") + ("_do" if verb == "upgrade" else ""), summary, handler, body)


def _plain(path: str, name: str, summary: str, handler: Handler) -> Route:
    return Route("GET", path, name, summary, None, handler, errors=(503,), media="text/plain")


ROUTES: tuple[Route, ...] = (
    _get("/services", "services", "All services", reads.services, models.Services, query=models.ServicesQuery),
    _get("/services/{name}", "service", "One service; its ETag is the revision that If-Match takes", reads.service, models.ServiceObject, 404),
    _get("/services/{name}/explain", "explain", "Why traffic is where it is and what blocks a move", reads.explain, models.Explanation, 404,
         query=models.ExplainQuery),
    _get("/services/{name}/looks", "looks", "Latency and verdicts of the last twenty minutes, by member and page", reads.looks, models.Looks, 404),
    _get("/services/{name}/readiness", "readiness", "Would the standby take over now, and every best practice", reads.readiness, models.Readiness,
         404),
    _get("/services/{name}/upgrade", "upgrade", "The guide's nine steps and what each still misses", reads.upgrade, models.UpgradeShown, 404),
    _get("/cluster", "cluster", "The controllers and who decides what", reads.cluster, models.Cluster, 503),
    _get("/whoami", "whoami", "Who is asking, and in which role", reads.whoami, models.Whoami),
    _get("/events", "events", "The journal, a page at a time", reads.events, models.Events, query=models.EventQuery),
    _get("/approvals", "approvals", "Moves that wait for somebody's yes", reads.approvals, models.Approvals),
    _verb("maintenance", "Automatic moves off, with an end; off; a later end", writes.maintenance, models.MaintenanceRequest),
    _verb("switchover", "A planned move between healthy members", writes.switchover, models.SwitchoverRequest),
    _verb("failover", "An unplanned move by an operator", writes.failover, models.FailoverRequest),
    _verb("resume", "Manual Resume: traffic back to the primary", writes.resume, models.ResumeRequest),
    _verb("swap-roles", "Primary and active exchange roles; traffic does not move", writes.swap_roles, models.SwapRolesRequest),
    _verb("adopt", "Accept what is published as the truth", writes.adopt, models.AdoptRequest),
    _verb("ack", "End a lockout, arm at once, unlatch a re-synced member", writes.ack, models.AckRequest),
    _verb("hold", "Stop automatic moves", writes.hold, models.HoldRequest),
    _verb("upgrade", "Walk the guide's upgrade: start, next, abort", writes.upgrade, models.UpgradeRequest),
    _verb("release", "Allow automatic moves again", writes.release, models.PlainRequest),
    _post("/approvals/{id}/approve", "approve", "Yes to a proposed move; it is judged again first", writes.approve, models.PlainRequest),
    _post("/approvals/{id}/deny", "deny", "No to a proposed move", writes.deny, models.PlainRequest),
    _post("/plan", "plan", "What a reload would change and publish; changes nothing", writes.plan, models.PlanRequest, role=Role.ADMIN,
          answer=models.Planned, statuses=(200,)),
    _post("/notify/test", "notify_test", "A test notice through every configured way", writes.notify_test, models.PlainRequest,
          answer=models.Deliveries, statuses=(200,)),
    _get("/notices", "notices", "What became of each notice, newest first", reads.notices, models.Notices, 503),
    _get("/audit", "audit", "Whether the journal is whole", reads.audit, models.Audit, query=models.AuditQuery),
    _post("/reload", "reload", "Read the configuration file again", writes.reload, models.ReloadRequest, role=Role.ADMIN),
    _plain("/livez", "livez", "Every loop ticks", reads.livez),
    _plain("/readyz", "readyz", "It may act", reads.readyz),
    _plain("/leader", "leader", "This one decides", reads.leader),
)
