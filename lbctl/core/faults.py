"""The ways in which a real Core fails, to be switched on and off (issue of every probe that must tell them apart).

A fault belongs to the process, not to its durable state: a restart heals it, as it heals a real one.
"""

from __future__ import annotations

from enum import StrEnum


class Fault(StrEnum):
    """What is wrong with this Core right now."""

    NONE = "none"
    STOPPED = "stopped"
    REFUSE = "refuse"
    HUNG = "hung"
    UNAVAILABLE = "503"
    WRONG_TEXT = "wrong-text"
    SLOW_DRIP = "slow-drip"
    EXPIRED_CERTIFICATE = "expired-certificate"


MEANINGS = {
    Fault.NONE: "nothing is wrong",
    Fault.STOPPED: "as if powered off, all but this switch: no port answers, no heartbeat, no schedule",
    Fault.REFUSE: "the HTTPS ports are closed: connections are refused; SSH, heartbeat and schedule go on",
    Fault.HUNG: "connections are accepted, and nothing is ever answered",
    Fault.UNAVAILABLE: "both pages answer 503",
    Fault.WRONG_TEXT: "both pages answer 200 with a text that is not the guide's",
    Fault.SLOW_DRIP: "both pages come at one byte a second",
    Fault.EXPIRED_CERTIFICATE: "the certificate has expired",
}

DEAF = frozenset({Fault.STOPPED, Fault.REFUSE})
"""Faults in which the HTTPS ports are closed."""
