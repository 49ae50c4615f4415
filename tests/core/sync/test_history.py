"""Sync History and Last Sync Status (G-SY3), and the truth about a run that a power cut ended (G-SY6)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lbctl.clock import SystemClock
from lbctl.core.sync import history as history_module
from lbctl.core.sync.history import CUT_OFF, History, Result, SyncOverlap


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    made = History(tmp_path / "history.db", SystemClock())
    yield made
    made.close()


async def test_every_task_of_every_run_is_kept_with_its_times_and_result(history: History) -> None:
    run = await history.begin("core-a")
    async with run.task("Connect") as task:
        task.detail = "SSH to core-a"
    with pytest.raises(OSError, match="cut"):
        async with run.task("Copy"):
            raise OSError("cut")
    await run.end(Result.FAILED, "cut")
    [shown] = await history.runs()
    assert [(task.name, task.result, task.detail) for task in shown.tasks] == [("Connect", "Success", "SSH to core-a"), ("Copy", "Failed", "cut")]
    assert all(task.completed is not None and task.started <= task.completed for task in shown.tasks)


async def test_the_last_sync_status_is_the_newest_run(history: History) -> None:
    """G-SY3: Started, Completed, Result."""
    assert await history.last() is None
    await (await history.begin("core-a")).end(Result.FAILED, "no route")
    await (await history.begin("core-a")).end(Result.SUCCESS)
    last = await history.last()
    assert last is not None and last.result is Result.SUCCESS and last.completed is not None and last.started <= last.completed
    assert [run.result for run in await history.runs()] == ["Success", "Failed"]


async def test_a_run_under_way_is_shown_as_running_and_no_second_one_begins(history: History) -> None:
    """G-SY2: syncs never overlap."""
    run = await history.begin("core-a")
    last = await history.last()
    assert history.running and last is not None and last.result is Result.RUNNING and last.completed is None
    with pytest.raises(SyncOverlap):
        await history.begin("core-a")
    await run.end(Result.SUCCESS)
    assert not history.running
    await history.begin("core-a")


@pytest.mark.parametrize(("applied", "result"), [(False, Result.FAILED), (True, Result.SUCCESS)], ids=["before the commit", "after it"])
async def test_a_run_cut_by_the_end_of_the_process_is_closed_with_the_truth(tmp_path: Path, applied: bool, result: Result) -> None:
    """G-SY6."""
    first = History(tmp_path / "history.db", SystemClock())
    run = await first.begin("core-a")
    await first.open_task(run.run, "Verify and apply")
    first.close()
    second = History(tmp_path / "history.db", SystemClock())
    await second.recover(run.run if applied else "another")
    last = await second.last()
    assert last is not None and last.result is result and last.completed is not None
    assert [task.result for task in last.tasks] == [result]
    assert applied or last.reason == CUT_OFF
    second.close()


async def test_the_history_is_bounded(history: History, tmp_path: Path) -> None:
    for _ in range(3):
        await (await history.begin("core-a")).end(Result.SUCCESS)
    skip = "UPDATE sqlite_sequence SET seq = ? WHERE name = 'runs'"
    await history._file.write(lambda connection: connection.execute(skip, (history_module.RUNS_KEPT + 1,)))
    await (await history.begin("core-a")).end(Result.SUCCESS)
    assert len(await history.runs(10)) == 2


async def test_a_disk_too_full_for_the_last_line_does_not_hide_the_outcome(history: History) -> None:
    run = await history.begin("core-a")
    await history._file.read(lambda connection: connection.execute("PRAGMA query_only=ON"))
    record = await run.end(Result.FAILED, "disk full")
    assert record.reason == "disk full" and not history.running
    last = await history.last()
    assert last is not None and last.result is Result.FAILED and last.reason == "disk full"
