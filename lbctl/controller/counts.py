"""What has been counted and timed since the start; `metrics` reads it on each scrape, nobody else writes it.

Plain counters and fixed buckets instead of a metrics library: the loops pay an addition, and know nothing of Prometheus.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field

# From a decision in memory to a name server that comes back after minutes: one scale for every stage.
BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


class Histogram:
    """Counts by upper bound (seconds; one more at the end for all above), and the sum."""

    __slots__ = ("counts", "sum_s")

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS_S) + 1)
        self.sum_s = 0.0

    def add(self, seconds: float) -> None:
        self.counts[bisect_left(BUCKETS_S, seconds)] += 1
        self.sum_s += seconds

    @property
    def total(self) -> int:
        return sum(self.counts)


@dataclass(slots=True)
class Counts:
    """Labels are the tuple's fields, in the order named here."""

    failovers: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    """service, from, to, trigger"""
    would_failover: Counter[str] = field(default_factory=Counter)
    """service"""
    probe_failures: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    """service, member, monitor, reason"""
    looks: Counter[str] = field(default_factory=Counter)
    """good, bad, void"""
    actuator_errors: Counter[tuple[str, str]] = field(default_factory=Counter)
    """actuator, reason"""
    convergence: dict[str, Histogram] = field(default_factory=dict)
    """by service: from the decision to the last verified place, seconds"""
    stages: dict[str, Histogram] = field(default_factory=dict)
    """decide, save, apply, verify of moves, seconds"""
    dropped: Counter[str] = field(default_factory=Counter)
    """what a full inbox or a full journal buffer let go of"""

    def converged(self, service: str, seconds: float) -> None:
        self.convergence.setdefault(service, Histogram()).add(seconds)

    def stage(self, name: str, seconds: float) -> None:
        self.stages.setdefault(name, Histogram()).add(seconds)
