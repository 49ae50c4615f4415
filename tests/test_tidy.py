"""House rules as an ordinary test: who may import whom, who may read a clock, how large things grow, what may not be written.

The layers are ARCHITECTURE's, from the inside out; `|` are siblings that may not know one another. Exact counts are ratchets: one more or one fewer
must be decided, not slipped in.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "lbctl"

LAYERS: tuple[frozenset[str], ...] = tuple(
    frozenset(row.split(" | "))
    for row in (
        "errors | clock | durable",
        "model",
        "statuspage | policy",
        "dns | mail | net",
        "probes | actuators | stores | notifiers",
        "controller | config | core | drive | logs | systemd",
        "freshness | runner | resolvers | readiness | replay | f5 | agent",
        "upgrade",
        "wiring",
        "api | dashboard | metrics",
        "app",
        "demo",
        "cli",
    )
)
PURE = ("policy", "statuspage", "model")
CLOCKS = {("time", "time"), ("time", "monotonic"), ("time", "sleep"), ("datetime", "now"), ("datetime", "utcnow"), ("asyncio", "sleep")}
IMPURE_MODULES = {"socket", "asyncio", "os", "subprocess", "threading", "sqlite3", "random", "time", "ssl", "pathlib", "aiohttp", "asyncssh"}


@cache
def modules() -> dict[str, ast.Module]:
    """Dotted name → parsed module, all of the package."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = ast.parse(path.read_text())
    return found


def unit(name: str) -> str:
    """`lbctl.policy.gate` → `policy`."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 else ""


def imported(tree: ast.AST) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, node.lineno
        elif isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)


def layer(name: str) -> int | None:
    return next((number for number, row in enumerate(LAYERS) if name in row), None)


def test_every_part_has_its_layer() -> None:
    assert {unit(name) for name in modules()} - {"", "__main__"} <= frozenset().union(*LAYERS)


def test_imports_point_inwards() -> None:
    wrong = []
    for name, tree in modules().items():
        mine = layer(unit(name))
        for target, line in imported(tree):
            theirs = layer(unit(target)) if target.startswith("lbctl.") else None
            if mine is None or theirs is None or unit(target) == unit(name):
                continue
            if theirs >= mine:
                wrong.append(f"{name}:{line} imports {target}")
    assert wrong == []


@pytest.mark.parametrize("part", PURE)
def test_pure_parts_touch_nothing(part: str) -> None:
    """Nothing in policy does I/O, waits or reads a clock."""
    wrong = [
        f"{name}:{line} imports {target}"
        for name, tree in modules().items()
        if unit(name) == part
        for target, line in imported(tree)
        if target.split(".")[0] in IMPURE_MODULES
    ]
    assert wrong == []


def test_only_the_clock_reads_a_clock_or_sleeps() -> None:
    wrong = []
    for name, tree in modules().items():
        if unit(name) == "clock":
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and (node.value.id, node.attr) in CLOCKS:
                wrong.append(f"{name}:{node.lineno} {node.value.id}.{node.attr}")
    assert wrong == []


def test_broad_excepts_stand_in_the_supervisor_alone() -> None:
    wrong = []
    for name, tree in modules().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ExceptHandler) and (node.type is None or (isinstance(node.type, ast.Name) and node.type.id == "Exception")):
                wrong.append(f"{name}:{node.lineno}")
    assert [place for place in wrong if not place.startswith("lbctl.controller.supervisor:")] == []


def test_nothing_grows_out_of_hand() -> None:
    large = [f"{name}: {len(ast.unparse(tree).splitlines())}" for name, tree in modules().items() if len(ast.unparse(tree).splitlines()) > 420]
    long = [
        f"{name}.{node.name}: {node.end_lineno - node.lineno + 1}"
        for name, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None and node.end_lineno - node.lineno >= 60
    ]
    assert (large, long) == ([], [])


def test_every_module_says_what_it_is_for() -> None:
    assert [name for name, tree in modules().items() if not ast.get_docstring(tree)] == []


def test_vague_names_are_not_used() -> None:
    vague = {"utils", "util", "helpers", "helper", "common", "manager", "handler", "data", "info", "misc"}
    assert [name for name in modules() if name.rsplit(".", 1)[-1] in vague] == []
