"""How a verb ends badly: what was wrong, what opens it, and the contract's exit code. Refusals read aloud well."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import IO, Any

import click

OK, ERROR, USAGE, REFUSED, CONFLICT, NO_QUORUM, ACCEPTED, CONFIG_INVALID, NOT_ALLOWED = range(9)
"""The exit codes of the contract (section 2); the same numbers as `model.commands.Code`, without its import."""

_WORDS = {REFUSED: "refused", CONFLICT: "conflict", NO_QUORUM: "no quorum", CONFIG_INVALID: "configuration invalid", NOT_ALLOWED: "not allowed"}


class Failure(click.ClickException):
    """Printed on standard error; with `-o json` the problem document goes to standard output as well."""

    def __init__(self, code: int, message: str, problem: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.exit_code = code  # type: ignore[misc]  # click means it to be one for each class
        self.problem = problem or {}
        context = click.get_current_context(silent=True)
        self._options = context.find_root().obj if context else None

    def show(self, file: IO[Any] | None = None) -> None:
        """In words: what refused, what was seen, what opens it."""
        from lbctl.cli.show import clean, emit_problem, folded

        options = self._options
        if options is not None and options.output != "table" and self.problem:
            emit_problem(options, self.problem)
            return
        word = _WORDS.get(self.exit_code, "error")
        rule = self.problem.get("rule")
        head = f"lbctl: {word} by {rule}: " if rule and f"refused by {rule}" not in self.message else "lbctl: " if rule else f"lbctl: {word}: "
        lines = [head + clean(self.message), *(f"  {clean(line)}" for line in _evidence(self.problem.get("evidence"), rule, self.message))]
        for line in _apart(lines) if sys.stderr.isatty() else lines:  # a log wants a refusal in one line, somebody who reads it does not
            for part in folded(line, 6, sys.stderr):
                click.echo(part, err=True)


def _apart(lines: list[str]) -> Iterator[str]:
    """What opens it stands below what refuses it: that is what is looked for."""
    for line in lines:
        said, _, opens = line.partition("; opened by ")
        yield said
        if opens:
            yield f"  opens with: {opens}"


def _evidence(evidence: Any, told: Any, message: str) -> Iterator[str]:
    """What was seen, without what the message has told already."""
    if not isinstance(evidence, Mapping):
        return
    if "moves_traffic" in evidence:
        evidence = {"it would then be published": evidence.get("publishes", [])}
    for key, value in evidence.items():
        if key == "rules" and isinstance(value, Mapping):
            yield from (f"also {name}: {seen}" for name, seen in value.items() if name != told)
        elif isinstance(value, Mapping):
            yield from (line for name, seen in value.items() for line in _list(name, seen if isinstance(seen, list) else [seen], message))
        elif isinstance(value, list):
            yield from _list(key, value, message)
        else:
            yield f"{key}: {_row(value)}"


def _list(name: str, items: list[Any], message: str) -> Iterator[str]:
    """The items below their name; nothing where the message names each of them."""
    lines = [_row(item) for item in items]
    if not all(line in message for line in lines):
        yield f"{name}:"
        yield from (f"  {line}" for line in lines)


def _row(item: Any) -> str:
    """A row of the gate as a sentence; anything else as it is."""
    if isinstance(item, Mapping) and "rule" in item:
        opens = f"; opens by: {item['opens']}" if item.get("opens") else ""
        return f"{item['rule']}: {item.get('evidence', '')}{opens}"
    return str(item)
