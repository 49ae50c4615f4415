"""Stories in text files: what happens, "----", what is decided. Fit to be shown to an operator.

A file is a row of blocks divided by blank lines. The lines above `----` are what happens, the lines below what lbctl says and believes afterwards:
each note (`kind: text`), the answer to a command, and one line of state. `pytest tests/scenarios --rewrite` writes the expectations anew: commit
only what you understand.

Lines: `service pair|chain key=value …` · `a ok/primary, b 503/standby x4` (all pages of these members, so many rounds, one second apart; `every 5s`
at the end for another pace) · `wait 10m` · `verified` · `failed REASON` · `restart shows a` · `around mass=hold proofs=0` · `sync b from a` ·
`look a status timeout void=stall` · any operator command (`failover b --force --accept active-down`, `resume --attest-synced`, …).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from lbctl.model import commands as ask
from lbctl.model.events import ApplyFailed, Around, Drifted, SyncSeen
from lbctl.model.looks import Reason
from lbctl.model.settings import Freshness, ServiceSettings
from tests.policy.stage import CAREFUL, PROBE, Stage, chain, pair

UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
SEPARATOR = "----"


def seconds(text: str) -> float:
    """`10m` as seconds."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", text)
    assert found is not None, f"not a duration: {text}"
    return float(found[1]) * UNITS[found[2]]


def blocks(text: str) -> list[tuple[list[str], list[str]]]:
    """What happens and what is expected, block by block; comments stay with what happens."""
    told = []
    for block in text.strip().split("\n\n"):
        above, _, below = block.partition(f"\n{SEPARATOR}")
        told.append((above.splitlines(), below.strip("\n").splitlines()))
    return told


def play(text: str) -> str:
    """The same story with what is decided today below each separator."""
    story = Story()
    return "\n\n".join(story.block(above) for above, _ in blocks(text)) + "\n"


class Story:
    """One story in the making."""

    def __init__(self) -> None:
        self.stage: Stage | None = None

    def block(self, above: list[str]) -> str:
        lines = [line for line in above if line and not line.startswith("#")]
        heard = len(self.stage.notes) if self.stage is not None else 0
        answers: list[str] = []
        for line in lines:
            answers += self.line(line)
        if not lines:
            return "\n".join(above)
        stage = self.on()
        said = [f"{'! ' if note.page else ''}{note.kind}: {note.text}" for note in stage.notes[heard:]]
        return "\n".join([*above, SEPARATOR, *said, *answers, self.summary()])

    def on(self) -> Stage:
        assert self.stage is not None, "the first line of a story is `service …`"
        return self.stage

    def line(self, line: str) -> list[str]:
        verb, _, rest = line.partition(" ")
        if verb in PLAIN:
            PLAIN[verb](self, rest)
            return []
        if verb in ASKED:
            reply = self.on().ask(ASKED[verb](self.on(), rest.split()))
            rule = f" [{reply.rule}]" if reply.rule else ""
            return [f"=> {reply.code.name}{rule} {reply.message}"]
        self.rounds(line)
        return []

    def rounds(self, line: str) -> None:
        """`a ok/primary, b 503/standby x4 every 5s`."""
        found = re.fullmatch(r"(.*?)(?: x(\d+))?(?: every (\w+))?", line)
        assert found is not None
        faces = dict(part.split() for part in found[1].split(", "))
        self.on().rounds(int(found[2] or 1), every=seconds(found[3] or "1s"), **faces)

    def summary(self) -> str:
        stage = self.on()
        view = stage.view
        flags = [
            f"blocked by {' '.join(view['blocked_by'])}" if view["blocked_by"] else "open",
            *(f"{word} {' '.join(sorted(names))}" for word, names in self._marks().items() if names),
            *("locked out" for _ in [0] if view["locked_out_until"]),
            *(f"approval {a['id']} to {a['to']} ({' '.join(a['rules'])})" for a in view["approvals"]),
            *("in maintenance" for _ in [0] if view["maintenance"]["on"]),
            *("held" for _ in [0] if view["held"]),
        ]
        return f"== {'+'.join(view['conditions'])}, active {view['active']}, primary {view['primary']}, epoch {view['epoch']}; {'; '.join(flags)}"

    def _marks(self) -> dict[str, frozenset[str]]:
        saved = self.on().state.saved
        return {"latched": saved.latched, "needs resync": saved.needs_resync}


def _service(story: Story, rest: str) -> None:
    words = rest.split()
    options = dict(word.split("=", 1) for word in words[1:])
    shown, known = options.pop("shows", "a"), options.pop("memory", "yes")
    story.stage = Stage(_settings(words[0], options), shown=shown, remembered=known == "yes")


def _settings(shape: str, options: dict[str, str]) -> ServiceSettings:
    probe = CAREFUL if options.pop("profile", "standard") == "careful" else PROBE
    counts = {
        key: float(options.pop(key)) if "_s" in key else int(options.pop(key)) for key in ("fall", "rise", "leak", "min_outage_s") if key in options
    }
    settings = (pair if shape == "pair" else chain)(replace(probe, **counts))  # type: ignore[arg-type]
    if "max_staleness" in options:
        rule = Freshness(seconds(options.pop("max_staleness")), options.pop("unknown", "allow") == "block")
        settings = replace(settings, members=tuple(replace(m, freshness=rule) for m in settings.members))
    for key in ("site", "driven"):
        if key in options:
            value: Any = options.pop(key) if key == "site" else options.pop(key) == "yes"
            settings = replace(
                settings, members=tuple(replace(m, **{key: value if m.name == "a" or key == "driven" else None}) for m in settings.members)
            )
    plain: dict[str, Any] = {key: _value(key, text) for key, text in options.items()}
    return replace(settings, **plain)


def _value(key: str, text: str) -> Any:
    if key.endswith("_s"):
        return seconds(text)
    return text == "yes" if key == "observe" else int(text) if text.isdigit() else text


def _around(story: Story, rest: str) -> None:
    values: dict[str, Any] = {}
    for key, text in (word.split("=", 1) for word in rest.split()):
        values[key] = frozenset(text.split("+")) if key == "sites_cut" else int(text) if text.isdigit() else text
    stage = story.on()
    stage.around = Around(**values)
    stage.wait(0)


def _restart(story: Story, rest: str) -> None:
    story.on().restart(rest.removeprefix("shows "))


def _sync(story: Story, rest: str) -> None:
    member, _, source = rest.split()[:3]
    stage = story.on()
    ago = seconds(rest.split()[3]) if len(rest.split()) > 3 else 0.0
    stage.hear(SyncSeen(member, source, stage.now - ago, stage.now - ago))


def _look(story: Story, rest: str) -> None:
    name, page, reason, *void = rest.split()
    story.on().look(name, page, reason=Reason(reason), void=void[0].removeprefix("void=") if void else "")


def _failed(story: Story, rest: str) -> None:
    stage = story.on()
    for actuator in stage.settings.actuators:
        stage.hear(ApplyFailed(actuator, stage.state.saved.epoch, rest or "refused", rest or "refused"))


def _drifted(story: Story, rest: str) -> None:
    stage = story.on()
    for actuator in stage.settings.actuators:
        stage.hear(Drifted(actuator, rest))


PLAIN: dict[str, Callable[[Story, str], None]] = {
    "service": _service,
    "around": _around,
    "restart": _restart,
    "sync": _sync,
    "look": _look,
    "failed": _failed,
    "drifted": _drifted,
    "verified": lambda story, rest: story.on().verify(),
    "wait": lambda story, rest: story.on().wait(seconds(rest)),
}

WHO: dict[str, Any] = {"service": "core", "by": "ann", "reason": "story"}


def _option(words: list[str], name: str) -> str | None:
    return words[words.index(name) + 1] if name in words else None


def _failover(stage: Stage, words: list[str]) -> ask.Command:
    accept = frozenset((_option(words, "--accept") or "").split(",")) - {""}
    return ask.Failover(to=words[0], force="--force" in words, accept=accept, **WHO)


def _resume(stage: Stage, words: list[str]) -> ask.Command:
    return ask.Resume(drive="--drive" in words, attest_synced="--attest-synced" in words, **WHO)


def _maintenance(stage: Stage, words: list[str]) -> ask.Command:
    if words[0] == "off":
        return ask.MaintenanceOff(**WHO)
    until = stage.now + seconds(words[1])
    if words[0] == "extend":
        return ask.MaintenanceExtend(until=until, **WHO)
    start = _option(words, "--from")
    return ask.MaintenanceOn(until=until, since=stage.now + seconds(start) if start else None, **WHO)


ASKED: dict[str, Callable[[Stage, list[str]], ask.Command]] = {
    "failover": _failover,
    "switchover": lambda stage, words: ask.Switchover(to=words[0] if words else None, drive="--drive" in words, **WHO),
    "resume": _resume,
    "swap-roles": lambda stage, words: ask.SwapRoles(attest_synced="--attest-synced" in words, **WHO),
    "maintenance": _maintenance,
    "hold": lambda stage, words: ask.SetHold(**WHO),
    "release": lambda stage, words: ask.Release(**WHO),
    "ack": lambda stage, words: ask.Ack(member=_option(words, "--member"), attest_synced="--attest-synced" in words, **WHO),
    "adopt": lambda stage, words: ask.Adopt(member=_option(words, "--member"), shown=stage.last_shown, **WHO),
    "approve": lambda stage, words: ask.Approve(approval=words[0], **WHO),
    "deny": lambda stage, words: ask.Deny(approval=words[0], **WHO),
}


def stories(folder: Path) -> list[Path]:
    """All story files, in order."""
    return sorted(folder.glob("*.txt"))
