"""The manual says what the program does: commands, files, configurations, metrics, alerts are held against the product (issue 5, item 11)."""

from __future__ import annotations

import asyncio
import re
import runpy
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from lbctl.cli.replay import changed_by
from lbctl.cli.root import cli
from lbctl.config import read
from lbctl.config.report import checked
from lbctl.metrics import FAMILIES
from lbctl.policy.gate import NAMES
from tests.demo.test_story import STORY
from tests.deploy.contract import STATES
from tests.deploy.test_prometheus_files import ALERTS
from tests.deploy.walk import FENCE, PAGE, PATIENCE_S, ROOT, Shell, Typed, missing, shell, typed

MANUAL = ROOT / "deploy" / "manual"
FILES = [ROOT / "README.md", *sorted(MANUAL.glob("*.md"))]
PLACE = re.compile(r"\b((?:configs|deploy|tests|lbctl)/[\w./-]*\w)")
LINK = re.compile(r"\]\(([^)#]+)\)")
STARTED = re.compile(r"&( \w+=\$!)?$")
ONCE = re.compile(r"^(kill|export|echo) ")
BASE: dict[str, Any] = {"services": {"core": {"members": [
    {"name": "core-a", "role": "primary", "address": "192.0.2.10"}, {"name": "core-b", "role": "secondary", "address": "192.0.2.11"}]}}}
"""What a fragment is merged into."""

each = pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))


def typed_commands(text: str) -> Iterator[str]:
    """The commands of the console blocks."""
    for kind, _, block in FENCE.findall(text):
        if kind == "console":
            yield from (line.command for line in typed(block))


def spoken_commands(text: str) -> Iterator[str]:
    """Those that are spoken of, in back quotes; `…` stands for what is left out."""
    yield from re.findall(r"`(lbctl [^`]+)`", FENCE.sub("", text))


def words(command: str) -> list[str] | None:
    """The arguments of lbctl in a line of shell; None where it is not called. A comment and what the shell does with the output are set aside."""
    if not re.match(r"((sudo|podman|exec|\w+=\S*) )*(\S*/)?lbctl( |$)", command):
        return None
    line = re.split(r"\s#\s|\s[|&>]|\s2>|;", command.replace("…", "REST"))[0]
    found = shlex.split(line)
    while found and ("=" in found[0] or found[0] in ("sudo", "podman", "exec")):
        found.pop(0)
    return found[1:] if found and Path(found[0]).name == "lbctl" else None


def parse(arguments: list[str]) -> None:
    """By the real tree of verbs: an unknown verb, option or choice, or a missing argument, is a `click.UsageError`."""
    command: click.Command = cli
    context, rest = click.Context(cli, info_name="lbctl"), list(arguments)
    while isinstance(command, click.Group):
        _, rest, _ = command.make_parser(context).parse_args(rest)
        if not rest:
            return
        name, found, rest = command.resolve_command(context, rest)
        assert found is not None
        context, command = click.Context(found, info_name=name, parent=context), found
    try:
        command.make_context(command.name, rest, parent=context.parent)
    except click.BadParameter as error:
        if "does not exist" not in error.message:  # a file that the reader has made by then
            raise


@each
def test_every_command_that_is_typed_is_one_that_lbctl_takes(file: Path) -> None:
    found = {command: words(command) for command in typed_commands(file.read_text())}
    assert not {command: wrong for command, arguments in found.items() if arguments is not None and (wrong := complaint(arguments))}


@each
def test_every_setting_that_replay_is_given_is_one_that_it_knows(file: Path) -> None:
    settings = read(ROOT / "configs" / "gtm-two-cores.yaml").services["core"].settings
    for command in typed_commands(file.read_text()):
        for change in re.findall(r"--set (\S+)", command):
            assert changed_by(settings, (change,)) != settings, command


@each
def test_every_command_that_is_spoken_of_is_one_that_lbctl_takes(file: Path) -> None:
    """It may be cut short: arguments may be missing; none may be wrong."""
    wrong = {}
    for command in spoken_commands(file.read_text()):
        arguments = words(command) or []
        tries = [complaint(arguments), complaint([word for word in arguments if word != "REST"])]
        if arguments[:1] != ["VERB"] and not any(text == "" or text.startswith("Missing ") for text in tries):
            wrong[command] = tries
    assert not wrong


def complaint(arguments: list[str]) -> str:
    """Why lbctl would not take them; a file of the reader's own need not be here."""
    try:
        parse(arguments)
    except click.exceptions.NoArgsIsHelpError:
        return ""
    except click.exceptions.Exit:  # --help, --version
        return ""
    except click.UsageError as error:
        text = error.format_message()
        return "" if "'/etc/lbctl/" in text and "does not exist" in text else text
    return ""


@pytest.mark.parametrize("command", ["resum core", "resume core --attest", "maintenance begin core", "status --exitcode", "upgrade core begin"])
def test_a_command_that_lbctl_does_not_take_is_found(command: str) -> None:
    with pytest.raises(click.UsageError):
        parse(shlex.split(command))


@each
def test_every_file_and_link_is_there(file: Path) -> None:
    text = file.read_text()
    gone = {place for place in PLACE.findall(text) if not (ROOT / place).exists() and not list(ROOT.glob(f"{place}*"))}
    gone -= {place for place in gone if place.startswith("lbctl/")}  # /etc/lbctl/…, /run/lbctl/…
    gone |= {link for link in LINK.findall(text) if "://" not in link and not (file.parent / link).exists()}
    assert not gone


@each
def test_every_configuration_is_accepted(file: Path, tmp_path: Path) -> None:
    """A block that is marked as a fragment is one after it is merged into a small base; files of the reader's own need not be here."""
    for number, (kind, mark, block) in enumerate(FENCE.findall(file.read_text())):
        if kind != "yaml" or mark == "other":
            continue
        written = yaml.safe_load(block)
        target = tmp_path / f"{number}.yaml"
        target.write_text(yaml.safe_dump(merged(BASE, written) if mark == "fragment" else written))
        result = checked(target)
        wrong = [str(problem) for problem in result.problems if not re.search(r"there is no file (/etc|\S*/state)/", str(problem))]
        assert not wrong, f"{block}\n{wrong}"


def merged(base: Any, over: Any) -> Any:
    """Maps key by key, lists by their members' names, everything else replaced."""
    if isinstance(base, dict) and isinstance(over, dict):
        return {**base, **{key: merged(base.get(key), value) for key, value in over.items()}}
    if isinstance(base, list) and isinstance(over, list) and all(isinstance(item, dict) and "name" in item for item in [*base, *over]):
        changes = {item["name"]: item for item in over}
        return [merged(item, changes.pop(item["name"], {})) for item in base] + list(changes.values())
    return over


@each
def test_every_metric_alert_rule_and_state_exists(file: Path) -> None:
    text = file.read_text()
    metrics = set(re.findall(r"`(lbctl_[a-z_]+)", text))
    assert {name for name in metrics if re.sub(r"_(bucket|sum|count)$", "", name) not in FAMILIES} == set()
    if file.name == "monitoring.md":
        assert set(re.findall(r"^\| \[([A-Za-z]+)\]", text, re.MULTILINE)) == set(ALERTS)
    if file.name == "gate.md":
        assert set(re.findall(r"^\| `([a-z-]+)`", text, re.MULTILINE)) == set(NAMES)
    accepted = re.findall(r"--accept ([a-z-]+)", text)
    assert set(accepted) <= set(NAMES)
    assert set(re.findall(r"state `([a-z-]+)`", text)) <= STATES


@pytest.mark.parametrize("name", ["gate.md", "configuration.md", "monitoring.md"])
def test_a_generated_page_is_what_the_generator_makes_now(name: str) -> None:
    pages = runpy.run_path(str(MANUAL / "generate.py"))["PAGES"]
    assert (MANUAL / name).read_text() == pages[name](), "run deploy/manual/generate.py"


@pytest.mark.parametrize(("seen", "lacking"), [("up 12 ms\n", []), ("down 12 ms\n", ["up #"]), ("", ["up #"])], ids=["number", "word", "nothing"])
def test_other_numbers_are_let_pass_and_other_words_are_not(seen: str, lacking: list[str]) -> None:
    assert missing("up 3.4 s\n", seen) == lacking


async def test_the_newcomers_walk_prints_what_the_manual_says(tmp_path: Path) -> None:
    """Every command of walk.md, typed one after the other: two Cores, a failover, a refused resume, the way back."""
    async with shell(tmp_path) as bash:
        for kind, mark, block in FENCE.findall(PAGE.read_text()):
            if kind == "yaml" and mark:
                bash.write(mark, block)
            elif kind == "console" and not mark:
                for line in typed(block):
                    await follow(bash, line)


async def follow(bash: Shell, line: Typed) -> None:
    """Until it prints what the page says; what changes something by itself is typed once."""
    loop = asyncio.get_running_loop()
    until = loop.time() + PATIENCE_S
    while True:
        seen = await bash.type(line.command)
        lacking = missing(line.printed, seen)
        if not lacking or STARTED.search(line.command) or ONCE.match(line.command):
            break
        assert loop.time() < until, f"{line.command}\nlacks: {lacking}\nprinted:\n{seen}"
        await asyncio.sleep(0.2)
    assert not lacking, f"{line.command}\nlacks: {lacking}\nprinted:\n{seen}"


def test_what_the_first_page_shows_of_the_demonstration_is_what_a_run_must_print() -> None:
    """tests/demo plays it and looks for these sentences, in this order."""
    (block,) = (block for kind, _, block in re.findall(r"^```(\w*)( ?)\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
                if not kind and "kill -9" in block)
    wanted = iter(STORY)
    for line in filter(None, block.splitlines()):
        assert any(re.search(sentence, line) for sentence in wanted), line
