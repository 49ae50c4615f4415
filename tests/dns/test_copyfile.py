"""The copy of the last answers: read back as written, or as it was just before, or not at all."""

from __future__ import annotations

import asyncio
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from lbctl import durable
from lbctl.dns import copyfile
from lbctl.dns.copyfile import CopyWriter, LastAnswer, LastAnswers

CORE = LastAnswer(("192.0.2.10", "2001:db8::1"), 30, 7)
MOVED = LastAnswer(("198.51.100.10",), 30, 8)
CONTENT = LastAnswers({"core.gtm.example.com": CORE}, {"gtm.example.com": 1_800_000_000})
CHANGE = LastAnswers({"core.gtm.example.com": MOVED})
OTHER = LastAnswers({"other.gtm.example.com": CORE})


def test_what_was_written_is_read_and_later_lines_win(tmp_path: Path) -> None:
    path = tmp_path / "copy"
    durable.replace(path, copyfile.render(CONTENT), copyfile.FILE_MODE)
    assert copyfile.load(path) == (CONTENT, "")
    copyfile.append(path, copyfile.render(CHANGE))
    copyfile.append(path, copyfile.render(OTHER))
    assert copyfile.load(path)[0] == LastAnswers({**CHANGE.names, **OTHER.names}, CONTENT.serials)
    copyfile.append(path, copyfile.render(LastAnswers({"other.gtm.example.com": None})))
    assert copyfile.load(path)[0] == LastAnswers(CHANGE.names, CONTENT.serials)
    assert [file.name for file in tmp_path.iterdir()] == ["copy"]


@given(st.data())
def test_a_cut_copy_says_what_it_said_before_and_an_edited_one_nothing_new(data: st.DataObject) -> None:
    """H26: torn at any byte, or any byte changed."""
    parts = [copyfile.render(content) for content in (CONTENT, CHANGE, OTHER)]
    whole = b"".join(parts)
    cut = data.draw(st.integers(0, len(whole) - 1))
    flipped = whole[:cut] + bytes((whole[cut] ^ data.draw(st.integers(1, 255)),)) + whole[cut + 1 :]
    states = [copyfile.parse(b"".join(whole.splitlines(keepends=True)[:count])) for count in range(5)]
    assert copyfile.parse(whole[:cut]) == states[whole[:cut].count(b"\n")]
    try:
        assert copyfile.parse(flipped) == states[3]
    except ValueError:
        return
    assert cut == len(whole) - 1  # without its end the last line is a cut one


def test_an_unreadable_copy_says_why(tmp_path: Path) -> None:
    (tmp_path / "copy").write_bytes(b"what is this\n" * 2)
    content, problem = copyfile.load(tmp_path / "copy")
    assert content == LastAnswers()
    assert "line 1 is damaged" in problem
    assert copyfile.load(tmp_path / "none") == (LastAnswers(), "")


async def test_a_disk_that_takes_nothing_is_a_problem_and_heals(tmp_path: Path) -> None:
    """H26: answering goes on without a copy; the first write that works says all."""
    writer = CopyWriter(tmp_path / "later" / "copy", lambda names: CONTENT if names is None else CHANGE)
    writer.soon("core.gtm.example.com")
    await writer.written()
    assert "later" in writer.problem
    (tmp_path / "later").mkdir()
    writer.soon()
    await writer.close()
    assert (writer.problem, copyfile.load(tmp_path / "later" / "copy")[0]) == ("", CONTENT)


async def test_a_burst_of_changes_is_one_write_of_what_changed(tmp_path: Path) -> None:
    asked: list[frozenset[str] | None] = []

    def content(names: frozenset[str] | None) -> LastAnswers:
        asked.append(names)
        return CONTENT if names is None else LastAnswers(dict.fromkeys(names, MOVED))

    writer = CopyWriter(tmp_path / "copy", content)
    writer.soon()
    await writer.written()
    for number in range(500):
        writer.soon(f"n{number}")
    await writer.close()
    assert [names if names is None else len(names) for names in asked] == [None, 500]
    assert len(copyfile.load(tmp_path / "copy")[0].names) == 501


async def test_a_grown_copy_is_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "copy"
    writer = CopyWriter(path, lambda names: CONTENT if names is None else LastAnswers(dict.fromkeys(names, MOVED)))
    sizes = []
    for turn in range(4):
        writer.soon(*(f"n{number}" for number in range(600 * (turn > 0))))
        await writer.written()
        sizes.append(path.read_bytes().count(b"\n"))
    await writer.close()
    assert sizes == [2, 602, 1202, 2]


async def test_who_stops_waiting_ends_no_write(tmp_path: Path) -> None:
    """An actuator that is closed, or out of time, in the middle of a move: the copy is written all the same (H25)."""
    writer = CopyWriter(tmp_path / "copy", lambda names: CONTENT)
    writer.soon()
    waiting = asyncio.create_task(writer.written())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    await writer.close()
    assert copyfile.load(tmp_path / "copy")[0].names == CONTENT.names
