"""Each story file says what happens and what is decided; named by the guide's row or the hazard it proves (G-LB…, H…)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scenarios.runner import SEPARATOR, play, stories

FOLDER = Path(__file__).parent


@pytest.mark.parametrize("path", stories(FOLDER), ids=lambda path: path.stem)
def test_story(path: Path, pytestconfig: pytest.Config) -> None:
    told = path.read_text()
    played = play(told)
    if pytestconfig.getoption("--rewrite"):
        path.write_text(played)
    else:
        assert SEPARATOR in told, "a story that expects nothing cannot fail"
        assert played == told
