"""Wheel and source archive from a clean checkout: what is in them, and that what they install runs."""

from __future__ import annotations

import email
import re
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

from tests.deploy.conftest import DEBIAN, checkout

ROOT = DEBIAN.parents[1]


def run(*words: str, within: Path) -> str:
    done = subprocess.run(words, cwd=within, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, f"{words}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout


def built(kind: str, source: Path, target: Path) -> Path:
    """By the locked build tool, which fetches nothing."""
    run(sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(target), within=source)
    (made,) = target.glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return made


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("wheel")
    return built("wheel", checkout(base / "src"), base / "out")


def contents(file: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(file) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def test_the_wheel_has_the_program_its_pages_and_its_papers(wheel: Path) -> None:
    found = contents(wheel)
    names = set(found)
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "lbctl").rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert {name for name in names if name.startswith("lbctl/")} <= modules
    assert {"lbctl/dashboard/static/index.html", "lbctl/cli/__main__.py"} <= names
    inside = {re.sub(r"^lbctl-[^/]*/(data/share/doc/lbctl/)?", "", name) for name in names}
    for wanted in ("licenses/LICENSE", "CHANGELOG.md", "examples/gtm-two-cores.yaml", "manual/walk.md", "runbooks/ActiveDown.md"):
        assert wanted in inside, sorted(inside)
    (meta,) = (email.message_from_bytes(text) for name, text in found.items() if name.endswith("/METADATA"))
    for key in ("Name", "Version", "Summary", "License-Expression", "License-File", "Author", "Keywords", "Requires-Python", "Classifier"):
        assert meta[key], key
    assert "http://" not in "".join(value for key, value in meta.items()) and not meta.get("Home-page")


def test_the_source_archive_gives_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    archive = built("sdist", checkout(tmp_path / "src"), tmp_path / "out")
    with tarfile.open(archive) as opened:
        opened.extractall(tmp_path / "unpacked", filter="data")
    (source,) = (tmp_path / "unpacked").iterdir()
    assert contents(built("wheel", source, tmp_path / "again")) == contents(wheel)


def test_what_the_wheel_installs_runs(wheel: Path, tmp_path: Path) -> None:
    """Beside the libraries of this environment; nothing is fetched."""
    run(sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps", "--target", str(tmp_path), str(wheel), within=tmp_path)
    script = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import lbctl; assert lbctl.__file__.startswith({str(tmp_path)!r}), lbctl.__file__; "
    told = run(sys.executable, "-I", "-c", script + "from lbctl.cli import main; sys.argv = ['lbctl', 'version']; main()", within=tmp_path)
    assert re.search(r"\b0\.\d+\.\d+\b", told) and (tmp_path / "bin" / "lbctl").exists()


@pytest.mark.slow
def test_a_bare_environment_takes_the_lock_with_hashes_and_the_wheel(wheel: Path, tmp_path: Path) -> None:
    """With the index that this machine's pip is set to: the lock names none."""
    venv.create(tmp_path / "bare", with_pip=True)
    python = str(tmp_path / "bare" / "bin" / "python")
    run(python, "-m", "pip", "install", "-q", "--require-hashes", "-r", str(ROOT / "requirements.lock"), within=tmp_path)
    run(python, "-m", "pip", "install", "-q", "--no-index", "--no-deps", str(wheel), within=tmp_path)
    assert "lbctl" in run(str(tmp_path / "bare" / "bin" / "lbctl"), "version", within=tmp_path)
    assert "valid" in run(str(tmp_path / "bare" / "bin" / "lbctl"), "check", str(ROOT / "configs" / "gtm-two-cores.yaml"), within=tmp_path)
    run(python, "-m", "pip", "check", within=tmp_path)


def test_no_file_of_the_package_names_an_index() -> None:
    """pip's own settings say where libraries come from; hashes say which."""
    for name in ("requirements.lock", "requirements-dev.lock", "pyproject.toml", "Makefile", "deploy/bootstrap-venv",
                 "deploy/container/Containerfile"):
        text = (ROOT / name).read_text()
        assert not re.search(r"--(extra-)?index-url|--find-links|--trusted-host|https?://(?!127\.|localhost)", text), name
