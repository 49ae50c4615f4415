"""The fixed words that rules, dashboard and runbooks may use: the contract's metrics with their labels, the states, the verbs."""

from __future__ import annotations

METRICS: dict[str, frozenset[str]] = {
    name: frozenset(labels.split())
    for name, labels in {
        "lbctl_active": "service member", "lbctl_service_state": "service state", "lbctl_member_verdict": "service member verdict",
        "lbctl_failovers_total": "service from to trigger", "lbctl_would_failover_total": "service", "lbctl_gate_open": "service member",
        "lbctl_gate_blocked": "service member rule", "lbctl_resume_pending": "service", "lbctl_maintenance": "service",
        "lbctl_maintenance_expires_timestamp_seconds": "service", "lbctl_probe_success": "service member monitor",
        "lbctl_probe_duration_seconds": "service member monitor phase", "lbctl_probe_failures_total": "service member monitor reason",
        "lbctl_probe_last_run_timestamp_seconds": "service member monitor", "lbctl_tls_not_after_timestamp_seconds": "service member",
        "lbctl_member_clock_skew_seconds": "service member", "lbctl_replica_staleness_seconds": "service member",
        "lbctl_actuator_epoch": "service actuator kind", "lbctl_actuator_errors_total": "actuator reason", "lbctl_convergence_seconds": "service",
        "lbctl_leader": "", "lbctl_store_up": "", "lbctl_event_loop_lag_seconds": "", "lbctl_config_last_reload_successful": "",
        "lbctl_build_info": "version", "lbctl_alert": "service alert",
    }.items()
}
"""Contract, section 5; `lbctl_alert` is ours: 1 while the policy says so."""

IF_CONFIGURED = {"lbctl_notices_total": frozenset({"way", "outcome"}), "lbctl_notices_waiting": frozenset(),
                 "lbctl_readiness": frozenset({"service", "practice"}),
                 "lbctl_resolver_late": frozenset({"service", "resolver"}),
                 "lbctl_resolver_convergence_seconds": frozenset({"service", "resolver"}),
                 "lbctl_vip_holds": frozenset({"service", "actuator", "host"}), "lbctl_vip_host_ready": frozenset({"service", "actuator", "host"}),
                 "lbctl_vip_events_total": frozenset({"service", "actuator", "host", "event"}),
                 "lbctl_actuator_serial_lag": frozenset({"service", "actuator", "server"}),
                 "lbctl_actuator_signed_until_timestamp_seconds": frozenset({"service", "actuator", "server"}),
                 "lbctl_dns_answers_total": frozenset({"transport", "rcode"}), "lbctl_dns_limited_total": frozenset({"how"}),
                 "lbctl_dns_malformed_total": frozenset(), "lbctl_dns_notify_unheard": frozenset({"zone", "secondary"})}
"""Ours, and only where there are ways to tell people, a drive to ask the Cores by, or resolvers to ask."""

STATES = frozenset({
    "uninitialised", "normal", "failed-over", "all-down", "down", "dual-primary", "stranded", "partial", "blind", "common-mode", "re-arming",
})
"""Contract, section 4."""

VERBS = frozenset({
    "run", "check", "plan", "reload", "status", "explain", "history", "events", "switchover", "failover", "resume", "swap-roles", "maintenance",
    "approvals", "approve", "deny", "adopt", "ack", "hold", "release", "readiness", "upgrade", "replay", "probe", "agent", "notify", "cluster",
    "core", "token", "audit", "report", "import-f5", "demo", "version",
})
"""Contract, section 2."""

STANDARD = frozenset({"service", "job", "instance", "alertname", "alertstate", "member"})
