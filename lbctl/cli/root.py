"""The table of verbs. Each names its module and is imported when it is called; the sentence is here so that `--help` imports nothing."""

from __future__ import annotations

import difflib
import importlib
from typing import Any

import click

from lbctl import __version__
from lbctl.cli import let_go
from lbctl.cli.failure import CONFIG_INVALID, ERROR, Failure
from lbctl.cli.options import Globals, global_options
from lbctl.errors import ConfigError, LbctlError

VERBS: dict[str, tuple[str, str]] = {
    "run": ("run", "The controller, in the foreground."),
    "check": ("check", "Validate the configuration, then audit it."),
    "status": ("status", "One line a service; with a name, all about it."),
    "explain": ("explain", "Why traffic is where it is, and what blocks a move."),
    "history": ("journal", "Decisions: cause, evidence, who, how long."),
    "events": ("journal", "The journal as it is written; --follow goes on."),
    "switchover": ("moves", "A planned move between healthy members."),
    "failover": ("moves", "An unplanned move, by you."),
    "resume": ("moves", "Manual Resume: traffic back to the primary."),
    "swap-roles": ("moves", "Primary and active exchange roles; traffic stays."),
    "adopt": ("moves", "Accept what is published as the truth; moves nothing."),
    "ack": ("moves", "End a lockout, arm at once, unlatch a re-synced member."),
    "hold": ("moves", "Stop automatic moves."),
    "release": ("moves", "Allow automatic moves again."),
    "maintenance": ("maintenance", "Automatic moves off, with an end: on, off, extend, list."),
    "approvals": ("approvals", "Moves that wait for somebody's yes."),
    "approve": ("approvals", "Yes to a proposed move; it is judged again first."),
    "deny": ("approvals", "No to a proposed move."),
    "readiness": ("readiness", "Would the standby take over, and every best practice."),
    "upgrade": ("upgrade", "The guide's nine steps: plan, start, next, status, abort."),
    "agent": ("agent", "Hold a virtual address on this host."),
    "plan": ("plan", "What a reload would change and publish; changes nothing."),
    "reload": ("plan", "Validate, plan, apply the configuration."),
    "cluster": ("cluster", "The controllers, and who decides what."),
    "report": ("report", "What would have been done behind maintenance, a hold or observe."),
    "replay": ("replay", "Recorded history decided again under other settings."),
    "core": ("core", "The reference Core: serve, ssh, fault, …"),
    "import-f5": ("f5", "Make a configuration of a bigip_gtm.conf."),
    "probe": ("probe", "One look at a url or a member, phase by phase."),
    "notify": ("notify", "test: a notice through every configured way."),
    "audit": ("audit", "verify: is the journal whole? export: all of it."),
    "token": ("token", "Who may call over TCP: create, list, revoke."),
    "demo": ("demo", "A failover of two reference Cores on this machine."),
    "version": ("version", "Which lbctl this is."),
}


class LazyGroup(click.Group):
    """Knows its verbs by name, imports one when it is called, and suggests the nearest for a misspelt one."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        found = VERBS.get(cmd_name)
        if found is None:
            return None
        module = importlib.import_module(f"lbctl.cli.{found[0]}")
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """What a verb leaves to its caller ends by the contract's codes too, and never in a traceback. A pipe that was closed is no failure."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            let_go()
            ctx.exit(0)
        except ConfigError as error:
            raise Failure(CONFIG_INVALID, str(error)) from None
        except LbctlError as error:
            raise Failure(ERROR, str(error)) from None

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], VERBS, 1, 0.5)
            hint = f" Did you mean {near[0]!r}?" if near else " `lbctl --help` lists them."
            ctx.fail(f"there is no verb {args[0]!r}.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl([(name, sentence) for name, (_, sentence) in VERBS.items()])


def _install_completion(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if not value or context.resilient_parsing:
        return
    from lbctl.cli.completion import install

    click.echo(install(context.command))
    context.exit(0)


def _version(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value and not context.resilient_parsing:
        click.echo(f"lbctl {__version__}")
        context.exit(0)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}, epilog=(
    "Exit codes: 0 done and verified, 1 error, 2 usage, 3 refused by a safety rule, 4 somebody else changed it first, 5 no quorum or leader, "
    "6 accepted and not verified yet, 7 configuration invalid, 8 not allowed. A token for --api URL is read from $LBCTL_TOKEN or the file "
    "$LBCTL_TOKEN_FILE; $LBCTL_CA_FILE names the authority of its certificate."))
@click.option("--install-completion", is_flag=True, is_eager=True, expose_value=False, callback=_install_completion,
              help="Completion for your shell.")
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Which lbctl this is.")
@global_options
@click.pass_context
def cli(context: click.Context, /, **_: Any) -> None:
    """Health checks and failover for active/standby pairs."""
    context.ensure_object(Globals)
