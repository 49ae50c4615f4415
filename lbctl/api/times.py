"""Instants as JSON writes them (`2026-11-23T10:00:00Z`) and lengths of time as people say them. Knows no clock: the present is passed in."""

from __future__ import annotations

from datetime import UTC, datetime


def instant(text: str) -> float:
    """UTC seconds of an ISO 8601 time that names its offset (`…Z`, `…+02:00`). ValueError for anything else."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a time: write 2026-11-23T18:00:00Z") from None
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} does not say its offset: end it with Z for UTC, or with +02:00")
    return moment.timestamp()


def iso(seconds: float) -> str:
    """`2026-11-23T10:00:00.123Z`, milliseconds only where there are any."""
    moment = datetime.fromtimestamp(round(seconds, 3), UTC)
    return moment.isoformat(timespec="milliseconds" if moment.microsecond else "seconds").replace("+00:00", "Z")


def short(seconds: float) -> str:
    """A length of time in at most two units, as people say it: `4s`, `3m20s`, `2h05m`, `3d4h`."""
    whole = int(max(seconds, 0))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s" if whole % 60 else f"{whole // 60}m"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m" if whole % 3600 // 60 else f"{whole // 3600}h"
    return f"{whole // 86400}d{whole % 86400 // 3600}h"
