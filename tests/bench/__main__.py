"""Runs the benchmarks named, or all of them, each in a process of its own: `python -m tests.bench probes`."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import tests.bench

NAMES = sorted(module.name for module in pkgutil.iter_modules(tests.bench.__path__) if not module.name.startswith("_"))


def main(wanted: list[str]) -> int:
    unknown = [name for name in wanted if name not in NAMES]
    if unknown:
        print(f"unknown: {', '.join(unknown)}; there are {', '.join(NAMES)}", file=sys.stderr)
        return 2
    failed = 0
    for name in wanted or NAMES:
        print(f"\n== {name}", flush=True)
        failed |= subprocess.run([sys.executable, "-m", f"tests.bench.{name}"], check=False).returncode
    return failed


sys.exit(main(sys.argv[1:]))
