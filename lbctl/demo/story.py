"""The story of the guide, played without a terminal: every step is told with its time, and counts only when it was seen from outside.

kill the primary → answers move → the secondary promotes itself → the primary returns → answers stay → `resume` is refused, and why →
synced back and roles returned with the Cores' own command line → `resume` → answers return.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from lbctl.clock import Clock
from lbctl.demo.cast import Cast, Done, Unseen
from lbctl.demo.files import NAME, Stage

START_S = 60.0
MOVE_S = 30.0
PROMOTE_S = 60.0
STAY_S = 5.0
DEVICES, ENROLLED = 500, 20
"""On the primary before it fails; and those that come while the secondary is active."""


class Story:
    """One performance. `tell` prints a line."""

    def __init__(self, stage: Stage, clock: Clock, tell: Callable[[str], None]) -> None:
        self.stage = stage
        self.clock = clock
        self.cast = Cast(stage, clock, tell)
        self._tell = tell
        self._began = clock.now()

    def step(self, text: str) -> None:
        """Something that was observed."""
        self._tell(f"{self.clock.now() - self._began:7.1f} s  {text}")

    def say(self, text: str) -> None:
        """What is done or printed on the way."""
        for line in text.rstrip().splitlines():
            self._tell(f"           {line}")

    async def rise(self) -> None:
        """Everything is started, and a client is sent to the primary."""
        for name in ("core-a", "core-b", "controller"):
            await self.cast.start(name)
        await self.cast.until("core-a", START_S, "two Cores and the controller are starting")
        self.step(f"up: {NAME} sends clients to core-a ({self.stage.addresses[0]}), the primary")

    async def play(self) -> None:
        """The whole story; `Unseen` at the first step that was not observed."""
        await self.rise()
        await self._first_sync()
        await self._fail()
        await self._return()
        await self._refused()
        await self._roles_back()
        await self._resume()

    async def _first_sync(self) -> None:
        await self._fill("core-a", DEVICES, 1)
        await self._core("core-b", f"failover sync {self.stage.addresses[0]}")
        self.step(f"core-b has replicated from core-a: {await self._devices('core-b')} devices on each")

    async def _fail(self) -> None:
        self.say("kill -9: core-a is gone")
        killed = await self.cast.kill("core-a")
        moved = await self.cast.until("core-b", MOVE_S, "core-a is dead")
        self.step(f"answers moved: clients are sent to core-b ({self.stage.addresses[1]}), {moved - killed:.2f} s after the kill")
        await self.cast.until_says("core-b", "hastatus", "primary", PROMOTE_S, "core-b misses core-a's heartbeat")
        await self._fill("core-b", ENROLLED, DEVICES + 1)
        self.step(f"core-b has promoted itself: Mode: Primary; {ENROLLED} devices enrol there")

    async def _return(self) -> None:
        await self.cast.start("core-a")
        await self.cast.until_says("core-a", "status", "ok", START_S, "core-a is starting again")
        self.step("core-a is back, and still says Mode: Primary")
        asked = await self.cast.stays("core-b", STAY_S)
        self.step(f"answers stay: core-b in {asked} queries over {STAY_S:.0f} s, although the primary is well again")

    async def _refused(self) -> None:
        done = await self.cast.lbctl("resume", "core")
        if done.code != 3:
            raise Unseen(f"`lbctl resume core` ended with {done.code} and not with 3 (refused):\n{done.out}{done.err}")
        self.step("`lbctl resume core` is refused (exit code 3):")
        self.say(done.err)
        await self._still("core-b", "the refusal")

    async def _roles_back(self) -> None:
        """The guide's own commands, by hand: no new connections, sync back, roles returned."""
        a, b = self.stage.addresses
        self.say("the way back, with the Cores' own commands over SSH:")
        commands = (("core-b", "failover client-connection disable"), ("core-a", "failover mode secondary"), ("core-a", f"failover sync {b}"),
                    ("core-b", "failover mode secondary"), ("core-a", "failover mode primary"))
        for name, command in commands:
            done = await self._core(name, command)
            self.say(f"  {name}# {command}: {_last(done)}")
        await self.cast.until_says("core-b", "hastatus", "standby", START_S, "core-b goes to standby")
        await self.cast.until_says("core-a", "status", "ok", START_S, "core-a becomes primary")
        await self._still("core-b", "the roles' return")
        self.step(f"synced back and roles returned: core-a ({a}) is Primary and core-b Standby; answers still stay")

    async def _resume(self) -> None:
        words = ("resume", "core", "--attest-synced", "--reason", "synced back by hand, sync history reviewed")
        asked = self.clock.now()
        done = await self.cast.lbctl(*words)
        if done.code != 0:
            raise Unseen(f"`lbctl resume` ended with {done.code}:\n{done.out}{done.err}\n{(await self.cast.lbctl('explain', 'core')).out}")
        back = await self.cast.until("core-a", MOVE_S, "traffic goes back")
        self.step(f"`lbctl resume core --attest-synced --reason …`: answers returned to core-a, {back - asked:.2f} s after it was typed")
        self.say(done.out)
        await self._core("core-b", "failover client-connection enable")
        devices = await self._devices("core-a")
        if devices != DEVICES + ENROLLED:
            raise Unseen(f"core-a has {devices} devices and not {DEVICES + ENROLLED}: something was lost")
        self.step(f"nothing was lost: core-a has all {devices} devices, those that enrolled on core-b too")
        self.say((await self.cast.lbctl("history", "core")).out)

    async def _still(self, wished: str, after: str) -> None:
        answer = await self.cast.answer()
        if answer != wished:
            raise Unseen(f"after {after} a client was sent to {answer} and not to {wished}")

    async def _fill(self, name: str, devices: int, start: int) -> None:
        words = ("core", "fill", "-c", str(self.stage.core(name)), "--devices", str(devices), "--start", str(start))
        done = await self.cast.lbctl(*words)
        if done.code:
            raise Unseen(f"{name} took no devices:\n{done.out}{done.err}")

    async def _devices(self, name: str) -> int:
        """As the Core's own command line counts them."""
        return int(json.loads((await self._core(name, "show devices json")).out)["devices"])

    async def _core(self, name: str, command: str) -> Done:
        done = await self.cast.core(name, command)
        if done.code:
            raise Unseen(f"{name}# {command} ended with {done.code}:\n{done.out}{done.err}")
        return done


def _last(done: Done) -> str:
    lines = done.out.strip().splitlines()
    return lines[-1].strip() if lines else "done"
