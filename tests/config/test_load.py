"""YAML as people mean it, every value with its place."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbctl.config.load import VALUES_MAX, Place, dotted, load
from lbctl.errors import ConfigError


def write(folder: Path, text: str, name: str = "lbctl.yaml") -> Path:
    file = folder / name
    file.write_text(text)
    return file


@pytest.mark.parametrize("word", ["no", "on", "yes", "off", "12:30:00", "010", "1e3", "0x1f", "1_000", "2026-11-23", "=", "true", "3.10"])
def test_plain_words_stay_words(tmp_path: Path, word: str) -> None:
    assert load(write(tmp_path, f"automation: {word}\n")).values == {"automation": word}


@pytest.mark.parametrize(("text", "value"), [("~", None), ("", None), ("null", None), ('"null"', "null"), ("''", "")])
def test_only_an_empty_plain_value_is_nothing(tmp_path: Path, text: str, value: str | None) -> None:
    assert load(write(tmp_path, f"key: {text}\n")).values == {"key": value}


def test_every_value_and_key_has_its_place(tmp_path: Path) -> None:
    document = load(file := write(tmp_path, "services:\n  core:\n    members:\n      - name: a\n      - {name: b, role: primary}\n"))
    assert document.place(("services", "core", "members", 1, "role")) == Place(str(file), 5, 25)
    assert document.place(("services", "core", "members", 1, "role"), key=True) == Place(str(file), 5, 19)
    assert document.place(("services", "core", "members", 1, "nothing", "deeper")) == Place(str(file), 5, 9)


def test_a_key_given_twice_is_a_mistake_that_names_both(tmp_path: Path) -> None:
    file = write(tmp_path, "services:\n  core: 1\n  core: 2\n")
    [problem] = load(file).problems
    assert problem.where == f"{file}:3:3"
    assert f"{file}:2:3" in problem.message


def test_the_environment_is_filled_in_and_hidden(tmp_path: Path) -> None:
    document = load(write(tmp_path, "a: x-${PORT}-${B:-dflt}\nb: $${PORT}\n"), {"PORT": "9653"})
    assert document.values == {"a": "x-9653-dflt", "b": "${PORT}"}
    assert document.hidden == {("a",)}


def test_a_missing_variable_is_a_mistake_at_its_place(tmp_path: Path) -> None:
    file = write(tmp_path, "a: 1\nkey: ${NOT_THERE}\n")
    [problem] = load(file, {}).problems
    assert problem.where == f"{file}:2:6"
    assert "NOT_THERE" in problem.message
    assert ":-" in problem.hint


def test_anchors_and_merges_work(tmp_path: Path) -> None:
    text = "base: &base {a: 1, b: 2}\nother:\n  <<: *base\n  b: 3\n"
    assert load(write(tmp_path, text)).values["other"] == {"a": "1", "b": "3"}


def test_a_laughing_document_ends(tmp_path: Path) -> None:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]" for old, new in zip("abcdefgh", "bcdefghi", strict=True)]
    with pytest.raises(ConfigError, match=str(VALUES_MAX)):
        load(write(tmp_path, "\n".join(lines)))


@pytest.mark.parametrize(("text", "words"), [
    ("a: [1\nb: 2\n", "not YAML"), ("a:\n\t- b\n", "spaces, not tabs"), ("- a\n", "map of keys"),
    ("a: !!python/object:os.system x\n", "means nothing here"),
    ("? [a, b]\n: c\n", "a key is a word"),
])
def test_what_is_not_a_configuration_is_said_with_its_place(tmp_path: Path, text: str, words: str) -> None:
    file = write(tmp_path, text)
    try:
        problems = load(file).problems
    except ConfigError as error:
        problems = error.problems
    assert any(words in str(problem) for problem in problems), problems
    assert all(problem.where.startswith(str(file)) for problem in problems)


@pytest.mark.parametrize("make", ["missing", "folder", "binary"])
def test_a_file_that_cannot_be_read_says_why(tmp_path: Path, make: str) -> None:
    file = tmp_path / "lbctl.yaml"
    if make == "folder":
        file.mkdir()
    if make == "binary":
        file.write_bytes(b"a: \xff\xfe")
    with pytest.raises(ConfigError, match="cannot be read" if make != "binary" else "UTF-8"):
        load(file)


def test_included_services_keep_their_own_places(tmp_path: Path) -> None:
    (tmp_path / "conf.d").mkdir()
    part = write(tmp_path / "conf.d", "services:\n  mail: {kind: pool}\n  core: {}\n", "mail.yaml")
    document = load(write(tmp_path, "include: [conf.d/*.yaml]\nservices:\n  core: {kind: failover}\n"))
    assert document.values["services"]["mail"] == {"kind": "pool"}
    assert document.place(("services", "mail", "kind")) == Place(str(part), 2, 16)
    [problem] = document.problems
    assert problem.where == f"{part}:3:3"


@pytest.mark.parametrize("text", ["api: {}\n", "- a\n", "services: x\n"])
def test_an_included_file_holds_services_and_nothing_else(tmp_path: Path, text: str) -> None:
    write(tmp_path, text, "part.yaml")
    [problem] = load(write(tmp_path, "include: part.yaml\nservices: {}\n")).problems
    assert "nothing else" in problem.message


def test_an_include_without_a_file_is_a_mistake(tmp_path: Path) -> None:
    [problem] = load(write(tmp_path, "include: [none.d/*.yaml]\nservices: {}\n")).problems
    assert "no file matches" in problem.message


@given(st.text(max_size=200))
def test_no_text_breaks_the_reader(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    file = tmp_path_factory.getbasetemp() / "any.yaml"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        values, problems = load(file, {}).values, []
    except ConfigError as error:
        values, problems = {}, error.problems
    assert isinstance(values, dict)
    assert values or problems or not text.strip() or text.lstrip().startswith(("#", "{", "%", "-", "\ufeff"))


def test_paths_are_written_as_people_write_them() -> None:
    assert dotted(("services", "core", "members", 0, "probe")) == "services.core.members[0].probe"
