"""Writes lbctl(1) from the command line itself: verbs, options and sentences are what `--help` says, so the page cannot be out of date.

usage: manpage.py > lbctl.1
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from collections.abc import Set as AbstractSet

import click

from lbctl import __version__
from lbctl.cli.root import cli
from lbctl.model.commands import Code

EXIT = {
    Code.DONE: "done and verified", Code.ERROR: "error", Code.USAGE: "usage", Code.REFUSED: "refused by a safety rule, which is printed",
    Code.CONFLICT: "conflict: someone else changed it first", Code.NO_QUORUM: "no quorum or leader", Code.ACCEPTED: "accepted, not verified yet",
    Code.CONFIG_INVALID: "configuration invalid", Code.NOT_ALLOWED: "not allowed",
}
FILES = {
    "/etc/lbctl/lbctl.yaml": "The configuration.", "/var/lib/lbctl/state.db": "State and journal.",
    "/run/lbctl/lbctl.sock": "The socket of the local verbs; file permission decides who may.",
    "/usr/share/doc/lbctl/examples/": "Configurations, drop-ins for systemd, alert rules, dashboard.",
    "/usr/share/doc/lbctl/runbooks/": "A page for each alert.",
}
ENVIRONMENT = {
    "LBCTL_CONFIG": "The configuration file, where -c is not given.", "LBCTL_LOG": "json, text or journal: the form of the log.",
}


def escaped(text: str) -> str:
    """Text as roff takes it: backslashes, hyphens that are meant, and no line that begins with a control character."""
    made = text.replace("\\", "\\e").replace("-", "\\-").replace("\b", "")
    return "\n".join(f"\\&{line}" if line[:1] in (".", "'") else line for line in made.split("\n"))


def page() -> str:
    """The whole page."""
    return "\n".join([*_head(), *_verbs(cli, ()), *_tail()]) + "\n"


def _head() -> Iterator[str]:
    yield f'.TH LBCTL 1 "" "lbctl {__version__}" "User Commands"'
    yield ".SH NAME\nlbctl \\- health checks and failover for active/standby pairs"
    yield ".SH SYNOPSIS\n.B lbctl\n[\\fIOPTIONS\\fR] \\fIVERB\\fR [\\fIARGUMENTS\\fR]"
    yield f".SH DESCRIPTION\n{escaped(_sentence(cli))}"
    yield ".SH OPTIONS\nThese may stand before or after the verb."
    yield from _options(click.Context(cli, info_name="lbctl"), cli)
    yield ".SH VERBS"


def _verbs(group: click.Group, before: tuple[str, ...]) -> Iterator[str]:
    context = click.Context(group, info_name="lbctl")
    shared = {name for parameter in cli.params for name in parameter.opts}
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None, name
        words = (*before, name)
        if isinstance(command, click.Group):
            yield from _verbs(command, words)
            continue
        own = click.Context(command, info_name=name)
        usage = [piece for piece in command.collect_usage_pieces(own) if piece != "[OPTIONS]"]
        yield f'.SS "{escaped(" ".join(("lbctl", *words, *usage)))}"'
        yield escaped(_sentence(command))
        yield from _options(own, command, shared)


def _options(context: click.Context, command: click.Command, known: AbstractSet[str] = frozenset()) -> Iterator[str]:
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context) if isinstance(parameter, click.Option) else None
        if record is not None and not known & set(parameter.opts) and "--help" not in parameter.opts:
            yield f".TP\n.B {escaped(record[0])}\n{escaped(record[1])}"


def _sentence(command: click.Command) -> str:
    return " ".join((command.help or command.short_help or "").split())


def _tail() -> Iterator[str]:
    yield ".SH EXIT STATUS"
    for code, words in EXIT.items():
        yield f".TP\n.B {int(code)}\n{escaped(words)}"
    for title, entries in (("FILES", FILES), ("ENVIRONMENT", ENVIRONMENT)):
        yield f".SH {title}"
        for name, words in entries.items():
            yield f".TP\n.I {escaped(name)}\n{escaped(words)}"
    yield ".SH SEE ALSO\n.BR systemctl (1),\n.BR journalctl (1),\n.BR dig (1)"


if __name__ == "__main__":
    sys.stdout.write(page())
