"""The container, built from its file and run as the manual says: without rights, its root read-only (issue 5, item 10). In the long run.

Needs debootstrap, buildah and podman, and Debian's mirror; no registry. It runs in a machine of its own (machine.py), whose control groups are such
as podman wants them.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.conftest import checkout
from tests.deploy.machine import Machine, machine, pages
from tests.deploy.test_commands import blocks
from tests.deploy.test_service import FILE, settled

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
PODMAN = "podman --root {store}/root --runroot /run/podman --storage-driver vfs --cgroup-manager cgroupfs"
AROUND = "--name trial --cgroups=disabled --ulimit nofile=4096:4096 --ulimit nproc=4096:4096 -d"
"""What a machine in a machine needs besides."""


@pytest.fixture(scope="module")
def store() -> Iterator[Path]:
    """The image, built. Not below /tmp, which a machine of its own does not see."""
    path = Path(tempfile.mkdtemp(prefix="lbctl-container-", dir="/var/tmp"))
    try:
        source = checkout(path / "src")
        words = ["sh", str(HERE / "container.sh"), str(source), str(path)]
        built = subprocess.run(words, capture_output=True, text=True, timeout=1500, check=False)
        assert built.returncode == 0, built.stdout[-3000:] + built.stderr[-3000:]
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


async def in_container(host: Machine, store: Path, *words: str) -> str:
    return await host.run(*PODMAN.format(store=store).split(), "exec", "trial", *words)


@pytest.mark.slow
@pytest.mark.netns
@pytest.mark.peer("podman")
async def test_the_container_runs_without_rights_on_a_read_only_root_and_ends_on_sigterm(store: Path, tmp_path: Path) -> None:
    (typed,) = (command for command in blocks(ROOT / "deploy/manual/installation.md") if command.startswith("podman run "))
    async with machine(tmp_path) as host, pages(host):
        podman = PODMAN.format(store=store)
        await host.run("rm", "-f", f"{store}/root/libpod/bolt_state.db")
        await host.write("/root/lbctl.yaml", FILE)
        await host.shell(f"cd /root; {typed.replace('podman run', f'{podman} run {AROUND}')}\n")

        async def alive() -> bool:
            return "alive" in (await host.tried("curl", "-s", "http://127.0.0.1:9653/livez")).text
        await host.until(alive, "/livez")
        await settled(host)
        status = await in_container(host, store, "cat", "/proc/1/status")
        assert "Uid:\t900\t900\t900\t900" in status and "CapBnd:\t0000000000000000" in status and "NoNewPrivs:\t1" in status
        assert (await host.tried(*podman.split(), "exec", "trial", "touch", "/usr/x")).code != 0
        assert "core" in await in_container(host, store, "lbctl", "status")
        await host.run(*podman.split(), "healthcheck", "run", "trial")
        await host.run(*podman.split(), "stop", "trial")
        assert "stopping; what is published stays" in (await host.tried(*podman.split(), "logs", "trial")).text
