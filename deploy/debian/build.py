"""Builds the Debian package from the locked environment that `make` has made: nothing is fetched, and what is packed is what was tested.

usage: build.py [OUTPUT DIRECTORY]        (with the environment's own Python: .venv/bin/python deploy/debian/build.py dist)

The package brings its libraries in a virtual environment of its own below /usr/lib/lbctl, on Debian's interpreter of the same minor version.
Only what lbctl requires goes in, found by walking the requirements from lbctl's own metadata; no pip, no build tool, no test tool.
The same input gives the same package, byte by byte (SOURCE_DATE_EPOCH, by default the last commit's time).
"""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import click
from click.shell_completion import get_completion_class

HERE = Path(__file__).resolve().parent
SOURCE = HERE.parents[1]
HOME = Path("usr/lib/lbctl")
PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"
SITE = HOME / "lib" / PYTHON / "site-packages"
COMPLETIONS = {
    "bash": "usr/share/bash-completion/completions/lbctl", "zsh": "usr/share/zsh/vendor-completions/_lbctl",
    "fish": "usr/share/fish/vendor_completions.d/lbctl.fish",
}
LAUNCHER = f"#!/{HOME}/bin/python3 -I\nfrom lbctl.cli import main\n\nmain()\n"
SKIPPED = {"direct_url.json", "INSTALLER", "REQUESTED", "RECORD"}
SOURCES = {".pyi", ".pyx", ".pxd", ".pxi", ".c", ".h"}


def required(name: str = "lbctl") -> dict[str, metadata.Distribution]:
    """lbctl's requirements and theirs, as far as they are installed; extras are not followed."""
    found: dict[str, metadata.Distribution] = {}
    waiting = [name]
    while waiting:
        key = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if key in found:
            continue
        try:
            found[key] = metadata.distribution(key)
        except metadata.PackageNotFoundError:
            continue  # behind a marker that does not hold here
        wanted = [line for line in found[key].requires or () if "extra ==" not in line]
        waiting += [re.split(r"[\s;<>=!~\[(]", line, maxsplit=1)[0] for line in wanted]
    return found


def copy_libraries(root: Path) -> list[str]:
    """Every file of every required distribution into site-packages; returns "name version" lines."""
    listed = []
    for key, found in sorted(required().items()):
        if key == "lbctl":
            continue
        listed.append(f"{found.metadata['Name']} {found.version}")
        for file in found.files or ():
            inside = Path(str(file))
            if ".." in inside.parts or "__pycache__" in inside.parts or inside.name in SKIPPED or inside.suffix in SOURCES:
                continue
            target = root / SITE / inside
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(str(found.locate_file(file)), target)
    if strip := shutil.which("strip"):  # symbols for debuggers are most of the size; without binutils the package is only larger
        run(strip, "--strip-unneeded", *sorted(map(str, (root / SITE).rglob("*.so"))))
    return listed


def run(*command: str, **environ: str) -> str:
    """Runs a program and returns what it printed; ends the build with what it complained of."""
    done = subprocess.run(command, env={**os.environ, **environ}, capture_output=True, text=True, check=False)  # noqa: S603 - our own words
    if done.returncode:
        raise SystemExit(f"{' '.join(command[:3])}: {done.stderr}")
    return done.stdout


def copy_lbctl(root: Path) -> None:
    """The package itself, and what makes it a command."""
    shutil.copytree(SOURCE / "lbctl", root / SITE / "lbctl", ignore=shutil.ignore_patterns("__pycache__"), copy_function=shutil.copyfile)
    (root / HOME / "bin").mkdir(parents=True)
    (root / HOME / "bin/python3").symlink_to(f"/usr/bin/{PYTHON}")
    (root / HOME / "pyvenv.cfg").write_text("home = /usr/bin\ninclude-system-site-packages = false\n")
    write(root / HOME / "bin/lbctl", LAUNCHER, mode=0o755)
    (root / "usr/bin").mkdir(parents=True)
    (root / "usr/bin/lbctl").symlink_to("../lib/lbctl/bin/lbctl")
    # By a process of its own, with a fixed seed: how constants are written depends on both, and the same input shall give the same package.
    run(sys.executable, "-m", "compileall", "-qq", "-j", "1", "-s", str(root), "-p", "/", "--invalidation-mode", "unchecked-hash",
        str(root / SITE), PYTHONHASHSEED="0")


def copy_papers(root: Path, libraries: list[str]) -> None:
    """Unit, socket, manual, completion, examples, runbooks."""
    for unit in ("systemd/lbctl.service", "systemd/lbctl-dns.socket", "vip/lbctl-agent.service"):
        write(root / "lib/systemd/system" / Path(unit).name, (SOURCE / "deploy" / unit).read_text())
    doc = root / "usr/share/doc/lbctl"
    examples = [*(SOURCE / "configs").glob("*.yaml"), *(SOURCE / "deploy/systemd").glob("*.conf"), *(SOURCE / "deploy/prometheus").glob("*.yml"),
                *(SOURCE / "deploy/vip").glob("*.c*"), *(SOURCE / "deploy/dns").glob("*.*"),
                SOURCE / "deploy/grafana/lbctl.json", SOURCE / "deploy/snmp/LBCTL-MIB.txt"]
    for file in examples:
        write(doc / "examples" / file.name, file.read_text())
    for place in ("runbooks", "manual", "vip"):
        for file in (SOURCE / "deploy" / place).glob("*.md"):
            write(doc / place / file.name, file.read_text())
    write(doc / "copyright", (SOURCE / "LICENSE").read_text())
    write(doc / "CHANGELOG.md", (SOURCE / "CHANGELOG.md").read_text())
    write(doc / "libraries.txt", "".join(f"{line}\n" for line in libraries))
    packed(root / "usr/share/man/man1/lbctl.1.gz", run(sys.executable, str(HERE / "manpage.py")).encode())
    for shell, place in COMPLETIONS.items():
        found = get_completion_class(shell)
        assert found is not None, shell
        write(root / place, found(click.Command("lbctl"), {}, "lbctl", "_LBCTL_COMPLETE").source())


def write(path: Path, text: str, *, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def packed(path: Path, content: bytes) -> None:
    """gzip without a time or a name in it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content, 9, mtime=0))


def control(root: Path) -> None:
    """DEBIAN/: what dpkg reads."""
    version, minor = metadata.version("lbctl"), sys.version_info.minor
    size = sum(file.lstat().st_size for file in root.rglob("*") if file.is_file()) // 1024
    architecture = run("dpkg", "--print-architecture").strip()
    fields = (HERE / "control").read_text().format(version=version, minor=minor, next=minor + 1, architecture=architecture, size=size)
    files = sorted(file for file in root.rglob("*") if file.is_file() and not file.is_symlink())
    sums = "".join(f"{hashlib.md5(file.read_bytes()).hexdigest()}  {file.relative_to(root)}\n" for file in files)  # noqa: S324 - dpkg's format
    write(root / "DEBIAN/control", fields)
    write(root / "DEBIAN/md5sums", sums)
    for script in ("postinst", "prerm", "postrm"):
        write(root / "DEBIAN" / script, (HERE / script).read_text(), mode=0o755)


def epoch() -> str:
    """The time that every file in the package bears."""
    return os.environ.get("SOURCE_DATE_EPOCH") or run("git", "-C", str(SOURCE), "log", "-1", "--format=%ct").strip()


def build(output: Path, *, packing: Sequence[str] = ("-Zxz", "-z4")) -> Path:
    """Makes the package and returns its path. `packing` is dpkg-deb's: compression is four fifths of the work."""
    with tempfile.TemporaryDirectory(prefix="lbctl-deb-") as folder:
        root = Path(folder) / "root"
        libraries = copy_libraries(root)
        copy_lbctl(root)
        copy_papers(root, libraries)
        control(root)
        for path in (root, *root.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        output.mkdir(parents=True, exist_ok=True)
        run("dpkg-deb", "--root-owner-group", *packing, "--build", str(root), str(output), SOURCE_DATE_EPOCH=epoch())
    return max(output.glob("lbctl_*.deb"), key=lambda file: file.stat().st_mtime)


if __name__ == "__main__":
    sys.stdout.write(f"{build(Path(sys.argv[1] if len(sys.argv) > 1 else 'dist'))}\n")
