"""How long a sync takes and what memory it wants: `python -m tests.bench.sync [DEVICES]`.

Source and standby are processes of their own, over SSH on loopback. Bytes are those of all frames, before SSH. On a busy
machine trust the processor seconds.
"""

from __future__ import annotations

import asyncio
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from lbctl.core.database import Database
from lbctl.core.fill import fill
from lbctl.core.sync.history import Result
from tests.core.sync import process
from tests.core.sync.pair import Standby, standby


def peak_mb(pid: int | None = None) -> float:
    """Peak resident memory of this process, or of a child by its number."""
    if pid is None:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


async def make(path: Path, devices: int) -> None:
    source = Database(path)
    await fill(source, devices=devices)
    await source.file.read(lambda connection: connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall())
    source.close()


async def change(path: Path, share: float) -> None:
    source = Database(path)
    limit = int((1 << 32) * share)
    query = "UPDATE devices SET os_version = '15.0', last_check_in = last_check_in + id % 900 WHERE (id * 2654435761) % 4294967296 < ?"
    await source.file.write(lambda connection: connection.execute(query, (limit,)))
    source.close()


def cpu_s(pid: int) -> float:
    """Processor seconds of a process so far, all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def measure(title: str, copy: Standby, port: int, source: int) -> int:
    """One sync: seconds, processor seconds of both sides, bytes of all frames."""
    pids = os.getpid(), source
    before, started = [cpu_s(pid) for pid in pids], time.perf_counter()
    record = await copy.sync(port)
    seconds = time.perf_counter() - started
    assert record.result is Result.SUCCESS, record.reason
    here, there = (cpu_s(pid) - earlier for pid, earlier in zip(pids, before, strict=True))
    print(f"{title:28} {seconds:7.2f} s   CPU: standby {here:6.2f} s, source {there:6.2f} s {record.received_bytes / 1e6:10.3f} MB", flush=True)
    if title.startswith("full"):
        for task in (await copy.history.runs(1))[0].tasks:
            if task.completed is not None and task.completed - task.started > 0.5:
                print(f"  {task.name:60} {task.completed - task.started:7.2f} s")
    return record.received_bytes


async def run(devices: int) -> None:
    with tempfile.TemporaryDirectory(prefix="lbctl-bench-") as name:
        directory, path = Path(name), Path(name) / "source.db"
        await asyncio.to_thread(_in_child, lambda: asyncio.run(make(path, devices)))
        child = await asyncio.create_subprocess_exec(sys.executable, process.__file__, "serve", str(path), stdout=asyncio.subprocess.PIPE)
        copy = await standby(directory)
        try:
            assert child.stdout is not None
            port = int(await child.stdout.readline())
            print(f"{devices} devices, {path.stat().st_size / 1e6:.0f} MB; standby before: {peak_mb():.0f} MB of memory")
            full = await measure("full copy", copy, port, child.pid)
            for share in (0.01, 0.001, 0.0):
                await change(path, share)
                part = await measure(f"{share:.1%} of the devices changed", copy, port, child.pid)
                print(f"{'':28} {part / full:.2%} of the full copy")
            print(f"peak memory: source {peak_mb(child.pid):.0f} MB, standby {peak_mb():.0f} MB")
        finally:
            child.kill()
            await child.wait()
            copy.close()


def _in_child(work: Callable[[], None]) -> None:
    """So that the memory of making the data is not counted."""
    pid = os.fork()
    if pid == 0:
        work()
        os._exit(0)
    os.waitpid(pid, 0)


if __name__ == "__main__":
    asyncio.run(run(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000))
