"""The queue between the decision and the people, on virtual time, and once with a real server that never answers."""

from __future__ import annotations

import asyncio
import socket
import time

from lbctl.clock import LoopClock, SystemClock
from lbctl.notifiers import build
from lbctl.notifiers.base import DeliveryFailed, Notice, Severity
from lbctl.notifiers.email import Settings as MailSettings
from lbctl.notifiers.queue import LANE_MAX, NoticeQueue, QueueSettings
from lbctl.notifiers.webhook import Settings as HookSettings
from tests import virtual
from tests.notifiers.sinks import mail_server, notice, until, web_server


class Way:
    """A way that does what the test says: each answer is an exception, a number of seconds to take, or None."""

    def __init__(self, clock: LoopClock, name: str = "way", answers: list[Exception | float | None] | None = None) -> None:
        self.id, self.at_least = name, Severity.INFO
        self.answers, self.got, self.tries = answers or [], list[Notice](), list[float]()
        self._clock = clock

    async def send(self, one: Notice) -> None:
        self.tries.append(self._clock.now())
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, Exception):
            raise answer
        if answer:
            await self._clock.sleep(answer)
        self.got.append(one)


def now(**changes: object) -> Notice:
    return notice(at=LoopClock().now(), **changes)


async def served(queue: NoticeQueue, seconds: float) -> None:
    """Runs the queue for a while of virtual time."""
    try:
        async with asyncio.timeout(seconds):
            await queue.run()
    except TimeoutError:
        pass


def test_a_way_that_hangs_delays_nobody_else() -> None:
    """H52."""
    async def story() -> None:
        clock = LoopClock()
        hanging, other = Way(clock, "hanging", [1e6] * 1000), Way(clock, "other")
        queue = NoticeQueue([hanging, other], clock)
        queue.offer(now())
        await served(queue, 0.5)
        assert len(other.got) == 1 and not hanging.got
        assert queue.waiting == 1
    virtual.run(story())


def test_offering_never_waits_even_with_every_receiver_dead_and_every_lane_full() -> None:
    """H52: three thousand offers are a matter of memory, not of receivers; the lanes stay bounded and keep what pages."""
    clock = LoopClock()

    async def story() -> None:
        queue = NoticeQueue([Way(clock, "dead", [1e6])], clock)
        assert queue.offer(notice(key="the page", severity="page", at=clock.now()))
        for number in range(3_000):
            queue.offer(notice(key=str(number), severity="info", at=clock.now()))
        assert queue.waiting == LANE_MAX
        assert queue.counts["dead", "dropped"] == 3_001 - LANE_MAX
        assert [line.key for line in queue.deliveries()] == ["0"], "said once, and the page is not what was dropped"
    virtual.run(story())


def test_what_failed_is_tried_again_with_a_growing_pause_until_it_arrives() -> None:
    async def story() -> None:
        clock = LoopClock()
        way = Way(clock, answers=[DeliveryFailed("no"), OSError(111, "refused"), DeliveryFailed("no"), None])
        queue = NoticeQueue([way], clock)
        queue.offer(now())
        await served(queue, 60)
        pauses = [round(later - before, 3) for before, later in zip(way.tries, way.tries[1:], strict=False)]
        assert pauses == [1, 2, 4] and len(way.got) == 1
        assert [line.outcome for line in queue.deliveries()] == ["delivered", "failed", "failed", "failed"]
        assert queue.deliveries()[1].attempt == 3
    virtual.run(story())


def test_no_answer_within_the_deadline_is_a_failure_and_the_next_try_comes() -> None:
    async def story() -> None:
        clock = LoopClock()
        way = Way(clock, answers=[1e6, None])
        queue = NoticeQueue([way], clock, QueueSettings(deadline_s=15))
        queue.offer(now())
        await served(queue, 30)
        assert len(way.got) == 1 and "15 s" in queue.deliveries()[1].detail
    virtual.run(story())


def test_what_can_never_arrive_is_given_up_at_once_and_the_next_goes_on() -> None:
    async def story() -> None:
        clock = LoopClock()
        way = Way(clock, answers=[DeliveryFailed("550 no such reader", temporary=False)])
        queue = NoticeQueue([way], clock)
        queue.offer(now(key="1"))
        queue.offer(now(key="2"))
        await served(queue, 1)
        assert [one.key for one in way.got] == ["2"]
        assert [line.outcome for line in queue.deliveries()] == ["delivered", "given-up", "failed"]
    virtual.run(story())


def test_a_notice_that_is_too_old_to_help_is_given_up() -> None:
    async def story() -> None:
        clock = LoopClock()
        way = Way(clock, answers=[DeliveryFailed("down")] * 10_000)
        queue = NoticeQueue([way], clock, QueueSettings(expire_s=3600))
        queue.offer(now())
        await served(queue, 2 * 3600)
        assert queue.waiting == 0 and queue.deliveries()[0].outcome == "given-up"
        assert max(way.tries) - min(way.tries) <= 3600
    virtual.run(story())


def test_a_receiver_that_asks_for_patience_gets_it() -> None:
    async def story() -> None:
        clock = LoopClock()
        way = Way(clock, answers=[DeliveryFailed("429", retry_after_s=60), None])
        queue = NoticeQueue([way], clock)
        queue.offer(now())
        await served(queue, 120)
        assert way.tries[1] - way.tries[0] == 60
    virtual.run(story())


def test_the_same_key_is_one_notice_until_the_repeat_time_is_over() -> None:
    async def story() -> None:
        clock = LoopClock()
        way = Way(clock)
        queue = NoticeQueue([way], clock, QueueSettings(repeat_s=600))
        assert queue.offer(now()) and not queue.offer(now())
        await served(queue, 601)
        assert queue.offer(notice(at=clock.now()))
        await served(queue, 1)
        assert len(way.got) == 2 and queue.counts["", "repeat"] == 1
    virtual.run(story())


def test_a_trouble_that_comes_back_after_its_end_was_told_is_told_again() -> None:
    async def story() -> None:
        clock = LoopClock()
        way = Way(clock)
        queue = NoticeQueue([way], clock)
        for _ in range(2):
            queue.offer(now(key="core/down"))
            queue.offer(now(key="core/down-over", ends="core/down"))
            queue.offer(now(key="core/down-over", ends="core/down"))
        await served(queue, 1)
        assert [one.key for one in way.got] == ["core/down", "core/down-over"] * 2
    virtual.run(story())


def test_a_way_gets_only_what_is_severe_enough_for_it() -> None:
    async def story() -> None:
        clock = LoopClock()
        way = Way(clock)
        way.at_least = Severity.TICKET
        queue = NoticeQueue([way], clock)
        for severity in ("info", "ticket", "page"):
            queue.offer(now(key=severity, severity=severity))
        await served(queue, 1)
        assert [one.severity for one in way.got] == ["ticket", "page"]
    virtual.run(story())


def test_order_is_kept_over_failures() -> None:
    async def story() -> None:
        clock = LoopClock()
        way = Way(clock, answers=[DeliveryFailed("no"), None, DeliveryFailed("no")])
        queue = NoticeQueue([way], clock)
        for key in ("1", "2", "3"):
            queue.offer(now(key=key))
        await served(queue, 60)
        assert [one.key for one in way.got] == ["1", "2", "3"]
    virtual.run(story())


def test_a_test_notice_goes_past_the_waiting_ones_and_its_outcome_is_told() -> None:
    async def story() -> None:
        clock = LoopClock()
        good, bad = Way(clock, "good"), Way(clock, "bad", [DeliveryFailed("wrong password", temporary=False)])
        queue = NoticeQueue([good, bad], clock)
        queue.offer(now())
        first, second = await queue.test("alice")
        assert (first.outcome, second.outcome, second.detail) == ("delivered", "failed", "wrong password")
        assert good.got[0].kind == "test" and "alice" in good.got[0].why
        assert queue.waiting == 2
    virtual.run(story())


def test_other_ways_after_a_reload_take_over_what_waits_and_forget_what_is_gone() -> None:
    async def story() -> None:
        clock = LoopClock()
        stays, goes = Way(clock, "stays", [DeliveryFailed("down")] * 9), Way(clock, "goes", [DeliveryFailed("down")] * 9)
        queue = NoticeQueue([stays, goes], clock)
        queue.offer(now())
        await served(queue, 5)
        assert queue.waiting == 2
        again, new = Way(clock, "stays"), Way(clock, "new")
        running = asyncio.create_task(queue.run())
        await asyncio.sleep(0)
        queue.replace([again, new])
        await asyncio.sleep(1)
        queue.offer(now(key="another"))
        await asyncio.sleep(1)
        running.cancel()
        assert [len(way.got) for way in (again, new)] == [2, 1] and queue.ids == ("stays", "new") and not queue.waiting
    virtual.run(story())


async def test_real_ways_deliver_through_the_queue_and_the_log_tells_it() -> None:
    clock = SystemClock()
    async with mail_server() as mail, web_server() as hook:
        mail.answers.append("451 later")
        ways = build([
            ("email", MailSettings(to=("ops@example.com",), host="127.0.0.1", port=mail.port, security="none")),
            ("webhook", HookSettings(url=hook.url)), ("webhook", HookSettings(url=hook.url)),
        ], clock)
        queue = NoticeQueue(ways, clock, QueueSettings(first_pause_s=0.01))
        assert queue.ids == ("email:ops@example.com", "webhook:127.0.0.1", "webhook:127.0.0.1#2")
        task = asyncio.create_task(queue.run())
        queue.offer(notice(at=clock.now()))
        await until(lambda: mail.messages and len(hook.requests) == 2 and not queue.waiting, "all three delivered")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert queue.counts["email:ops@example.com", "failed"] == 1 and queue.counts["email:ops@example.com", "delivered"] == 1


async def test_a_black_hole_for_a_mail_server_costs_the_decision_nothing() -> None:
    """H52: the mail server takes the connection and says nothing; an offer is still a matter of microseconds."""
    clock = SystemClock()
    with socket.socket() as hole:
        hole.bind(("127.0.0.1", 0))
        hole.listen()
        settings = MailSettings(to=("ops@example.com",), host="127.0.0.1", port=hole.getsockname()[1], security="none")
        queue = NoticeQueue(build([("email", settings)], clock), clock, QueueSettings(deadline_s=0.2))
        task = asyncio.create_task(queue.run())
        took = []
        for number in range(200):
            began = time.perf_counter()
            queue.offer(notice(key=str(number), at=clock.now()))
            took.append(time.perf_counter() - began)
            await asyncio.sleep(0)
        await until(lambda: queue.counts["email:ops@example.com", "failed"], "the first try timed out")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert sorted(took)[100] < 0.05
