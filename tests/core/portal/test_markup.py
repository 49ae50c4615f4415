"""Whatever text comes into a page, it stays text."""

from __future__ import annotations

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from lbctl.core.portal.markup import Html, join, tag


class Seen(HTMLParser):
    """The tags, attributes and text that a browser would find."""

    def __init__(self, markup: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


WORDS = st.text(st.characters(exclude_characters="\r\0", exclude_categories=("Cs",)))


@given(WORDS, WORDS)
def test_text_and_attributes_are_escaped(words: str, value: str) -> None:
    seen = Seen(tag("p", words, title=value))
    assert seen.tags == [("p", {"title": value})]
    assert seen.text == words


def test_markup_inside_markup_stays_markup_and_nothing_is_nothing() -> None:
    assert tag("p", tag("b", "1 < 2"), None, ["x", tag("br")]) == "<p><b>1 &lt; 2</b>x<br></p>"
    assert join([None, "&", Html("&amp;")]) == "&amp;&amp;"


def test_attributes_are_left_out_or_bare() -> None:
    assert tag("input", type="radio", checked=True, disabled=False, for_=None, aria_label="a", data_x=3) == (
        '<input type="radio" checked aria-label="a" data-x="3">')
