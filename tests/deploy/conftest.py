"""The Debian package, built once in a run of the suite, whichever process needs it first."""

from __future__ import annotations

import fcntl
import importlib.util
import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

DEBIAN = Path(__file__).parents[2] / "deploy" / "debian"


def module(name: str) -> ModuleType:
    """A script of deploy/debian as a module."""
    spec = importlib.util.spec_from_file_location(f"debian_{name}", DEBIAN / f"{name}.py")
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def checkout(target: Path) -> Path:
    """A clean one: what is under version control, as it stands now, and nothing that a build or a run has left."""
    root = DEBIAN.parents[1]
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (root / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, target / name)
    return target


@pytest.fixture
def package(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """Not compressed: that is most of the work, and changes nothing of what is installed.

    Of each test, because the lock shares it: with a longer life it would tie all the machines to one worker.
    """
    base = tmp_path_factory.getbasetemp()
    shared = (base if worker_id == "master" else base.parent) / "package"
    shared.mkdir(exist_ok=True)
    with (shared / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = sorted(shared.glob("lbctl_*.deb"))
        return made[0] if made else Path(module("build").build(shared, packing=["-Znone"]))
