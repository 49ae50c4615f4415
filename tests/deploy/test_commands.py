"""Every command of the manual is typed: what scenes.py has, on a host with a real systemd, real Cores and the installed package (issue 5, item 11).

A command that is in neither a scene nor the walk must stand in ELSEWHERE with the reason. The output below a command is the walk's alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import re
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from pathlib import Path

import click
import pytest

from lbctl.cli.root import cli
from tests.deploy.host import AGENTS, FILE, ROOT, SOCKET, Host, host, written
from tests.deploy.machine import Ran
from tests.deploy.scenes import SCENES
from tests.deploy.test_manual import complaint, words
from tests.deploy.walk import FENCE, PAGE, typed

PAGES = [ROOT / "README.md", *sorted((ROOT / "deploy").rglob("*.md"))]
PATIENCE_S = 60.0

ELSEWHERE = {
    "make demo": "tests/demo plays it to the end",
    "make demo ACT=1": "tests/demo plays it to the end",
    "make .venv/.runtime": "it makes the environment in which the suite runs; `make test` begins with it",
    "make deb": "it is what the fixture `package` does, with compression",
    "podman build --format docker -f deploy/container/Containerfile -t lbctl .": "needs Debian's mirror; test_container.py, in the long run",
    "podman run --read-only --cap-drop=all": "test_container.py, in the long run",
}
"""Beginnings of commands that no scene types."""


def plain(command: str) -> str:
    """Without its comment, with names for the reader's own: what makes two places in the manual the same command."""
    text = re.sub(r"\s+#\s.*$", "", command.strip()).removeprefix("sudo ")
    text = re.sub(r'"[^"]*"|(?<=--reason )…', '"…"', text)
    text = re.sub(r"\bcore/core-[ab]\b", "SERVICE/MEMBER", text)
    text = re.sub(r"\bcore-[ab]\b(?!\.)", "MEMBER", text)
    return re.sub(r"(?<![\w/-])core(?![\w./-])", "SERVICE", text)


def blocks(page: Path) -> Iterator[str]:
    """The commands of a page: in console blocks those after `$`, in a runbook's block every line."""
    for kind, _, block in FENCE.findall(page.read_text()):
        if kind == "console":
            yield from (line.command for line in typed(block))
    for block in re.findall(r"^```\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL) if page.parent.name == "runbooks" else ():
        yield from block.splitlines()


def spoken(page: Path) -> Iterator[str]:
    """The commands that stand in a sentence, in back quotes; of `A|B` each one.

    A verb that takes arguments and is given none is its name, not something to type; with `…` in the place of what it acts on it is cut short.
    """
    for quoted in re.findall(r"`((?:sudo )?(?:lbctl|systemctl) [^`]+)`", FENCE.sub("", page.read_text()).replace("\n", " ")):
        for part in re.findall(r"\S+(?:\\\|\S+)", quoted)[:1] or [""]:
            for command in (quoted.replace(part, one) for one in part.split("\\|")) if part else (quoted,):
                arguments = words(command)
                if arguments is None or not (names_a_verb(arguments) or cut_short(arguments)):
                    yield command


def cut_short(arguments: list[str]) -> bool:
    """`…` stands for something else than the value of an option."""
    return any(word == "REST" and not before.startswith("--") for before, word in itertools.pairwise(["", *arguments]))


def names_a_verb(arguments: list[str]) -> bool:
    """A group of verbs, or a verb without anything that it could be given."""
    command: click.Command = cli
    rest = list(arguments)
    while rest and isinstance(command, click.Group):
        found = command.get_command(click.Context(cli), rest.pop(0))
        if found is None:
            return False
        command = found
    return not rest and (isinstance(command, click.Group) or any(isinstance(p, click.Argument) or p.required for p in command.params))


def lines(scene: str) -> Iterator[tuple[str, str, str]]:
    """(before, command, printed) of each line; a direction is ("!", words, "")."""
    for line in filter(None, scene.splitlines()):
        if line.startswith("! "):
            yield "!", line[2:], ""
            continue
        found = re.fullmatch(r"(?:((?:\d,?)+|for [\w ]+): )?(.*?)(?: => (.*))?", line)
        assert found is not None
        yield found[1] or "0", found[2], found[3] or ""


def unplayed(commands: Iterable[str]) -> list[str]:
    return [command for command in commands
            if plain(command) not in PLAYED | WALKED and not any(plain(command).startswith(start) for start in ELSEWHERE)]


PLAYED = {plain(command) for _, scene in SCENES.values() for before, command, _ in lines(scene) if before != "!"}
WALKED = {plain(command) for command in blocks(PAGE)}


@pytest.mark.parametrize("page", [page for page in PAGES if page != PAGE], ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_of_the_page_is_typed_somewhere(page: Path) -> None:
    assert not unplayed(blocks(page)), "put it into a scene (scenes.py)"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_in_a_sentence_of_the_page_is_whole_and_typed_somewhere(page: Path) -> None:
    cut = [command for command in spoken(page) if complaint([WORDS.get(word, word) for word in words(command) or ["version"]])]
    assert not cut, "lbctl would not take it: say all that it needs, or the verb alone"
    assert not unplayed(spoken(page)), "put it into a scene (scenes.py), in the state that the page speaks of"


@pytest.mark.parametrize(("text", "found"), [
    ("`lbctl approve ID`", ["lbctl approve ID"]), ("`lbctl resume`, or `lbctl token create`", []), ("`lbctl failover … --force --accept RULE`", []),
    ("`lbctl approvals`", ["lbctl approvals"]), (r"`lbctl release core\|--all`", ["lbctl release core", "lbctl release --all"]),
    ("`sudo systemctl\nstop lbctl`", ["sudo systemctl stop lbctl"]), ("```\nlbctl status\n```\n`lbctl agent`", []),
    ("`lbctl ack core --reason …`", ["lbctl ack core --reason …"]),
], ids=["command", "names", "cut short", "takes nothing", "either", "over two lines", "block", "reason"])
def test_a_command_in_a_sentence_is_told_from_the_name_of_a_verb(tmp_path: Path, text: str, found: list[str]) -> None:
    (tmp_path / "page.md").write_text(text)
    assert list(spoken(tmp_path / "page.md")) == found


def test_nothing_is_left_out_that_no_page_says() -> None:
    said = {plain(command) for page in PAGES for command in (*blocks(page), *spoken(page))}
    assert not [start for start in ELSEWHERE if not any(command.startswith(start) for command in said)]


WORDS = {"VERB": "status", "SERVICE": "core", "MEMBER": "core-b", "SERVER": "192.0.2.1", "RESOLVER": "192.0.2.1", "NAME": "core.gtm.example.com",
         "SECONDARY": "192.0.2.1", "ZONE": "gtm.example.com", "ADDRESS": "192.0.2.9", "ID": "none"}
"""What the reader puts in the place of the manual's own."""


class Stage:
    """What happens between the commands."""

    def __init__(self, here: Host, package: Path) -> None:
        self.host, self.machine, self.package = here, here.machine, package
        self.words = dict(WORDS)
        self.last = Ran(0, "")
        self.text = written()

    async def direct(self, direction: str) -> None:
        name, _, rest = direction.partition(" ")
        await getattr(self, name.replace("-", "_"))(rest)

    async def brings(self, _: str) -> None:
        """The package into dist/ (`make deb`), and what the reader writes into the two editors."""
        content = await asyncio.to_thread(self.package.read_bytes)
        await self.machine.run("sh", "-c", "cat > /root/lbctl/dist/lbctl_0.1.0_amd64.deb", given=content)
        await self.machine.write("/root/mine.yaml", written())
        await self.machine.write("/root/mine.conf", SOCKET)

    async def cores(self, _: str) -> None:
        await asyncio.gather(self.host.start_cores(), self.host.start_sentries())

    async def settled(self, _: str) -> None:
        await self.host.until("all is well", state="normal", promoted=True)

    async def f5_file(self, _: str) -> None:
        await self.machine.write("/root/lbctl/bigip_gtm.conf", (ROOT / "tests" / "f5" / "bigip_gtm.conf").read_text())
        await self.machine.run("rm", "-f", "/root/lbctl/lbctl.yaml")

    async def own_addresses(self, file: str) -> None:
        """The reader's names and addresses in the place of the example's."""
        await self.machine.write(file if file.startswith("/") else f"/root/lbctl/{file}", written(), owner="root:root")

    async def alone(self, _: str) -> None:
        """The service of the package ends; the same host is used by hand."""
        await self.machine.run("systemctl", "disable", "--now", "lbctl-dns.socket", "lbctl")
        await self.machine.shell(
            "mkdir -p /root/lbctl/.venv/bin /run/lbctl; ln -sf /usr/bin/lbctl /root/lbctl/.venv/bin/lbctl; rm -f /root/lbctl/lbctl.yaml")

    async def dies(self, core: str) -> None:
        await self.machine.run("systemctl", "kill", "-s", "KILL", core)
        await self.machine.tried("systemctl", "stop", core)

    async def returns(self, core: str) -> None:
        await self.machine.tried("systemctl", "reset-failed", core)
        await self.machine.run("systemctl", "start", core)
        await self.machine.until(lambda: self.host.on_core(core, "show version"), f"{core} is back")

    async def on(self, order: str) -> None:
        """On a Core, until it takes it."""
        core, _, command = order.partition(": ")
        await self.machine.until(lambda: self.host.on_core(core, command), order)

    async def until(self, wanted: str) -> None:
        """[SERVICE] KEY=VALUE …"""
        name, rest = _service(wanted)
        await self.host.until(wanted, name, **dict(pair.split("=", 1) for pair in rest.split()))

    async def serves(self, core: str) -> None:
        """lbctl has seen it so: both pages, by a look since it is back."""
        async def look() -> bool:
            pages = [m["monitors"] for m in (await self.host.seen()).get("members", ()) if m["name"] == core]
            return bool(pages) and pages[0]["status"]["verdict"] == "ok" and pages[0]["hastatus"]["verdict"] == "primary"
        await self.machine.until(look, f"{core} serves as Primary")

    async def stands_by(self, core: str) -> None:
        """lbctl has read Standby: a sync from now on is one of after its return."""
        async def look() -> bool:
            return any(m["name"] == core and (m["verdict"], m["health"]) == ("standby", "up") for m in (await self.host.seen()).get("members", ()))
        await self.machine.until(look, f"{core} is a steady Standby")

    async def over(self, service: str) -> None:
        """The incident has ended: a yes or no that was given in it holds no longer."""
        async def look() -> bool:
            shown = await self.host.seen(service or "core")
            return bool(shown) and shown["incident"] is None
        await self.machine.until(look, "the incident is over")

    async def asked(self, service: str) -> None:
        """A person is asked; ID is what for."""
        async def look() -> str:
            asked = (await self.host.seen(service or "core")).get("approvals") or []
            return str(asked[0]["id"]) if asked else ""
        self.words["ID"] = await self.machine.until(look, "an approval")

    async def configures(self, change: str) -> None:
        """OLD -> NEW in the configuration as it stands, reloaded; without: as it was at the beginning."""
        old, _, new = change.replace("AGENTS", AGENTS).partition(" -> ")
        self.text = self.text.replace(old, new) if change else written()
        assert not change or new in self.text, change
        await self.host.configure(self.text)
        await self.machine.run("lbctl", "reload", "--allow-switch")

    async def silent(self, names: str) -> None:
        """No packet comes back from them, nor a refusal; without names: from nobody."""
        for address in self.host.addresses(names):
            await self.machine.run("ip", "addr", "del", f"{address}/32", "dev", "lo")

    async def heard(self, names: str) -> None:
        for address in self.host.addresses(names):
            await self.machine.run("ip", "addr", "add", f"{address}/32", "dev", "lo")

    async def agent(self, _: str) -> None:
        """What deploy/vip/README.md wants of a host: the interface, the certificates; and the lines that its reader writes, as the unit has them."""
        await self.host.lease()
        unit = (ROOT / "deploy/vip/lbctl-agent.service").read_text()
        named = dict(re.findall(r"^#   (LBCTL_AGENT_\w+)=(.*)$", unit, re.MULTILINE))
        named["LBCTL_AGENT_ADDRESS"] = named["LBCTL_AGENT_ADDRESS"].replace("eth0", "trial0")
        named["LBCTL_AGENT_CONTROLLER"] = "lbctl.example.com"
        await self.machine.write("/root/mine.yaml", "".join(f"{key}={value}\n" for key, value in named.items()))

    async def holds(self, _: str) -> None:
        await self.machine.until(self.host.has_address, "the address on the agent's host")

    async def lets_go(self, _: str) -> None:
        """It ended well, and the address is gone with it, at the latest with its lease."""
        assert await self.machine.show("Result", "lbctl-agent") == "success", await self.machine.log("-u", "lbctl-agent")

        async def look() -> bool:
            return not await self.host.has_address()
        await self.machine.until(look, "the address gone")

    async def killed_agent(self, _: str) -> None:
        """systemd starts it again before the lease is over: nothing moves, the address stays."""
        pid = await self.machine.show("MainPID", "lbctl-agent")
        await self.machine.run("kill", "-KILL", pid)

        async def look() -> bool:
            again = await self.machine.show("NRestarts", "lbctl-agent") == "1" and await self.machine.show("ActiveState", "lbctl-agent") == "active"
            return again and await self.machine.show("MainPID", "lbctl-agent") != pid
        await self.machine.until(look, "the agent's next life")
        await self.holds("")

    async def forgets(self, what: str) -> None:
        """The state is lost; with `everything` also the copy of the last answers."""
        await self.machine.run("systemctl", "stop", "lbctl-dns.socket", "lbctl")
        await self.machine.shell(f"rm -f /var/lib/lbctl/state.db*; {'rm -f /var/lib/lbctl/state.answers' if what else ''}")
        await self.machine.run("systemctl", "start", "lbctl-dns.socket", "lbctl")

    async def loses_all(self, _: str) -> None:
        """State and configuration are gone, as on a new host."""
        await self.machine.shell("rm -rf /var/lib/lbctl/* /etc/lbctl/*")

    async def certificates(self, _: str) -> None:
        """The security page's fragment into the configuration."""
        await self.host.certificates()
        found = re.search(r"^```yaml fragment\n(api:\n.*?)^```$", (ROOT / "deploy/manual/security.md").read_text(), re.MULTILINE | re.DOTALL)
        assert found is not None
        text = FILE.replace("  listen: 127.0.0.1:9653\n", found[1].removeprefix("api:\n"))
        await self.host.configure(text)

    async def keeps_token(self, _: str) -> None:
        token = re.search(r"^(lbctl_\S+)$", self.last.text, re.MULTILINE)
        assert token is not None, self.last.text
        await self.machine.write("/root/.lbctl-token", token[1], mode="0600")
        listed = json.loads((await self.host.type("lbctl -o json token list --file /etc/lbctl/tokens.yaml")).text)
        self.words["ID"] = str(listed["tokens"][0]["id"])

    async def refused_now(self, _: str) -> None:
        command = "LBCTL_TOKEN_FILE=~/.lbctl-token LBCTL_CA_FILE=/etc/ssl/lbctl-ca.pem lbctl --api https://lbctl.example.com:9653 status"

        async def look() -> bool:
            return (await self.host.type(command)).code == 8
        await self.machine.until(look, "a revoked token is refused")


def _service(words_: str) -> tuple[str, str]:
    """The service that a direction begins with, and the rest."""
    first, _, rest = words_.partition(" ")
    return ("core", words_) if "=" in first else (first, rest)


@contextlib.asynccontextmanager
async def staged(begin: str, package: Path, path: Path) -> AsyncIterator[Stage]:
    async with host(path, package if begin == "running" else None) as here:
        yield Stage(here, package)


@pytest.mark.netns
@pytest.mark.parametrize("name", SCENES)
async def test_what_the_manual_says_is_typed(name: str, package: Path, tmp_path: Path) -> None:
    begin, scene = SCENES[name]
    async with staged(begin, package, tmp_path) as stage:
        for before, command, printed in lines(scene):
            await (stage.direct(command) if before == "!" else _types(stage, before, command, printed))


async def _types(stage: Stage, before: str, command: str, printed: str) -> None:
    """Until it prints what it should: a reader waits a moment too. A command that changes something is typed once."""
    text = re.sub(r"\b[A-Z]{2,}\b", lambda found: stage.words.get(found[0], found[0]), command)
    if before == "for ever":
        text = f"{{ {text} > /root/log 2>&1 & }}"
    elif before.startswith("for "):
        text = f"timeout -s INT {before.removeprefix('for ')} {text}"
    codes = {0, 124, 130} if before.startswith("for ") else {int(code) for code in before.split(",")}
    look: Callable[[Ran], bool] = lambda ran: ran.code in codes and printed in ran.text  # noqa: E731 - one line, used twice
    loop = asyncio.get_running_loop()
    until = loop.time() + (PATIENCE_S if READING.search(command) else 0)
    while not look(ran := await stage.host.type(text)) and loop.time() < until:
        await asyncio.sleep(0.3)
    stage.last = ran
    assert look(ran), f"{command}: {ran.code}, wanted {before} and {printed!r}\n{ran.text}\n{await stage.machine.log('-u', 'lbctl')}"


READING = re.compile(r"lbctl (status|explain|history|probe|readiness|approvals|check)|^(dig|curl|systemctl status)")
"""Changes nothing, so that it may be typed again."""
