"""Logs, set up once: lines for people on a terminal and in the journal, JSON where it is asked for (`LBCTL_LOG=json`).

Under systemd each line begins with its syslog priority (sd-daemon(3)), so that `journalctl -p warning` works. What is logged is written by
lbctl itself: settings, bodies of replies and secrets never are (H54); control characters in texts from outside are escaped.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog

PRIORITY = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}


def setup(stream: TextIO | None = None, *, form: str | None = None, level: int = logging.INFO) -> None:
    """`form`: text, json or journal; by default as the environment says."""
    out = stream or sys.stderr
    form = form or os.environ.get("LBCTL_LOG") or ("journal" if os.environ.get("JOURNAL_STREAM") else "text")
    processors: list[Any] = [structlog.contextvars.merge_contextvars, structlog.processors.add_log_level]
    if form != "journal":
        processors.append(structlog.processors.TimeStamper(fmt="iso", utc=True))
    processors.append(structlog.processors.JSONRenderer(default=str) if form == "json" else _line)
    structlog.configure(
        processors=processors, wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(file=out), cache_logger_on_first_use=False,
    )


def _line(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
    """`<6>2026-01-01T00:00:00Z warning what happened service=core …`"""
    level = str(event.pop("level", "info"))
    stamp = event.pop("timestamp", None)
    text = _plain(event.pop("event", ""))
    pairs = " ".join(f"{key}={_value(value)}" for key, value in event.items() if value not in ("", None))
    start = f"{stamp} {level:<7} " if stamp else f"<{PRIORITY.get(level, 6)}>"
    return f"{start}{text}{' ' if pairs else ''}{pairs}"


def _value(value: Any) -> str:
    text = _plain(value)
    return f'"{text}"' if " " in text or not text else text


def _plain(value: Any) -> str:
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in str(value))
