"""What a person may say in the place of what can be read, and what not (G-UP)."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest

from lbctl.clock import LoopClock
from lbctl.controller import Controller
from lbctl.model.commands import Code, Command, Reply, UpgradeStep
from lbctl.model.state import Run
from lbctl.readiness.facts import Audit
from lbctl.upgrade.run import Upgrades
from lbctl.upgrade.steps import STEPS, step_after
from tests import virtual
from tests.readiness.test_practices import good


async def asked_next(done: str, said: list[Command]) -> Reply:
    """Nothing can be read of any Core, `done` was the last step, and somebody gives his word for the next."""
    audit = good()
    run = Run("r", "upgrade", done, "ann", "11.3", audit.case.now)
    case = replace(audit.case, state=replace(audit.case.state, saved=replace(audit.case.saved, run=run)))

    async def submit(command: Command) -> Reply:
        said.append(command)
        return Reply(Code.DONE, "")

    async def audit_of(name: str) -> Audit:
        return Audit(case, {})

    controller = SimpleNamespace(case=lambda name: case, submit=submit)
    return await Upgrades(cast("Controller", controller), audit_of, lambda name: {}, LoopClock()).next("core", "ann", "I have seen it")


@pytest.mark.parametrize("done", ["begin", *(row.number for row in STEPS[:5])])
def test_a_word_does_not_end_a_step_that_can_be_read(done: str) -> None:
    said: list[Command] = []
    reply = virtual.run(asked_next(done, said))
    assert reply.code is Code.REFUSED and reply.rule == f"upgrade-{step_after(done).name}"
    assert said == []


@pytest.mark.parametrize("done", ["6", "7"])
def test_the_review_of_people_is_their_word_and_kept_as_that(done: str) -> None:
    """Steps 7 and 8: device counts and a look into a log are not for lbctl to read."""
    said: list[Command] = []
    assert virtual.run(asked_next(done, said)).code is Code.DONE
    [command] = said
    assert isinstance(command, UpgradeStep) and command.evidence == "said by ann: I have seen it"
