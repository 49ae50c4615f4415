"""The Debian package, built once in a run of the suite, whichever process needs it first."""

from __future__ import annotations

import fcntl
import importlib.util
import os
import shutil
import subprocess
import sys
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
    """A clean one: what is under version control or about to be, as it stands now, and nothing that a build or a run has left."""
    root = DEBIAN.parents[1]
    words = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(words, cwd=root, capture_output=True, text=True, check=True).stdout
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
        return made[0] if made else built(checkout(shared / "src"), shared)


def built(source: Path, output: Path) -> Path:
    """The package of a checkout, by a process of its own that reads nothing else of this repository: somebody may be at work in it."""
    build = "import sys; sys.path.insert(0, sys.argv[1]); import build, pathlib; print(build.build(pathlib.Path(sys.argv[2]), packing=['-Znone']))"
    made = subprocess.run(
        [sys.executable, "-c", build, str(source / "deploy" / "debian"), str(output)], capture_output=True, text=True, timeout=600, check=False,
        env={**os.environ, "PYTHONPATH": str(source), "SOURCE_DATE_EPOCH": "1700000000"},
    )
    assert made.returncode == 0, made.stderr
    return Path(made.stdout.strip())
