"""The copy of the last answers: read back as written, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbctl.dns import copyfile
from lbctl.dns.copyfile import CopyWriter, LastAnswer, LastAnswers

CONTENT = LastAnswers({"core.gtm.example.com": LastAnswer(("192.0.2.10", "2001:db8::1"), 30, 7)}, {"gtm.example.com": 1_800_000_000})


def test_what_was_written_is_read(tmp_path: Path) -> None:
    copyfile.write(tmp_path / "copy", CONTENT)
    assert copyfile.load(tmp_path / "copy") == (CONTENT, "")
    assert [path.name for path in tmp_path.iterdir()] == ["copy"]


@given(st.data())
def test_a_torn_or_edited_copy_is_no_copy(data: st.DataObject) -> None:
    """H26."""
    whole = copyfile.render(CONTENT)
    cut = data.draw(st.integers(0, len(whole) - 1))
    flipped = whole[:cut] + bytes((whole[cut] ^ data.draw(st.integers(1, 255)),)) + whole[cut + 1 :]
    for broken in (whole[:cut], flipped):
        with pytest.raises(ValueError):  # noqa: PT011
            copyfile.parse(broken)


def test_an_unreadable_copy_says_why(tmp_path: Path) -> None:
    (tmp_path / "copy").write_bytes(b"torn")
    content, problem = copyfile.load(tmp_path / "copy")
    assert content == LastAnswers()
    assert "digest" in problem
    assert copyfile.load(tmp_path / "none") == (LastAnswers(), "")


async def test_a_disk_that_takes_nothing_is_a_problem_and_heals(tmp_path: Path) -> None:
    """H26: answering goes on without a copy."""
    writer = CopyWriter(tmp_path / "later" / "copy", lambda: CONTENT)
    writer.soon()
    await writer.written()
    assert "later" in writer.problem
    (tmp_path / "later").mkdir()
    writer.soon()
    await writer.close()
    assert (writer.problem, copyfile.load(tmp_path / "later" / "copy")[0]) == ("", CONTENT)


async def test_a_burst_of_changes_is_few_writes_of_the_newest(tmp_path: Path) -> None:
    asked: list[int] = []

    def content() -> LastAnswers:
        asked.append(1)
        return LastAnswers({}, {"z": len(asked)})

    writer = CopyWriter(tmp_path / "copy", content)
    for _ in range(1000):
        writer.soon()
    await writer.close()
    assert len(asked) == 1
