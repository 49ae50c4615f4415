"""The pages as a grammar (G-LB1, G-LB2, H13, H14): what is exactly the message, and the look-alikes that are not."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lbctl.model.looks import DETAIL_MAX, Reason, Verdict
from lbctl.statuspage import parse_hastatus, parse_status, render_hastatus, render_status

OK = b"MOBILEIRON-STATUS: OK"
STANDBY = b"MOBILEIRON-STATUS: OK (Mode: Standby)"
PRIMARY = b"MOBILEIRON-STATUS: OK (Mode: Primary)"

AROUND = {
    "alone": b"%s",
    "line end": b"%s\n",
    "dos line end": b"\r\n%s\r\n",
    "white space": b" \t\n%s \f\n",
    "paragraph": b"<p>%s</p>",
    "page": b"<!DOCTYPE html>\n<html><head><meta charset='utf-8'></head><body>\n%s\n</body></html>\n",
    "title": b"<html><head><title>Status</title></head><body>%s</body></html>",
    "upper case tags": b"<HTML><BODY BGCOLOR=white>%s</BODY></HTML>",
    "bold": b"<body><b>%s</b></body>",
    "comment": b"<!-- generated --><pre>%s</pre><!-- end -->",
    "breaks": b"<br/><br />%s<br>",
    "xhtml": b'<html xmlns="http://www.w3.org/1999/xhtml"><body>%s</body></html>',
}

NEITHER = {
    "empty": b"",
    "white space only": b" \r\n\t ",
    "okay": b"MOBILEIRON-STATUS: OKAY",
    "not before": b"NOT MOBILEIRON-STATUS: OK",
    "down": b"MOBILEIRON-STATUS: DOWN",
    "ok twice": b"MOBILEIRON-STATUS: OK\nMOBILEIRON-STATUS: OK",
    "both modes": b"MOBILEIRON-STATUS: OK (Mode: Standby) (Mode: Primary)",
    "lines of both modes": b"MOBILEIRON-STATUS: OK (Mode: Standby)\nMOBILEIRON-STATUS: OK (Mode: Primary)",
    "lower case": b"mobileiron-status: ok",
    "ok in lower case": b"MOBILEIRON-STATUS: ok",
    "no space": b"MOBILEIRON-STATUS:OK",
    "two spaces": b"MOBILEIRON-STATUS:  OK",
    "tab": b"MOBILEIRON-STATUS:\tOK",
    "line break inside": b"MOBILEIRON-STATUS:\nOK",
    "tag break inside": b"MOBILEIRON-STATUS:<br>OK",
    "paragraphs": b"<p>MOBILEIRON-STATUS:</p><p> OK</p>",
    "text before": b"It works! MOBILEIRON-STATUS: OK",
    "text after": b"MOBILEIRON-STATUS: OK since Monday",
    "text in another paragraph": b"<p>MOBILEIRON-STATUS: OK</p><p>Please log in</p>",
    "full stop": b"MOBILEIRON-STATUS: OK.",
    "quotes": b'"MOBILEIRON-STATUS: OK"',
    "json": b'{"status": "MOBILEIRON-STATUS: OK"}',
    "in a comment": b"<!-- MOBILEIRON-STATUS: OK -->",
    "in a comment, text too": b"<!-- MOBILEIRON-STATUS: DOWN -->MOBILEIRON-STATUS: OK",
    "in an attribute": b'<meta content="MOBILEIRON-STATUS: OK"><p>Log in</p>',
    "in the title": b"<title>MOBILEIRON-STATUS: OK</title>",
    "in the title, text too": b"<title>MOBILEIRON-STATUS: DOWN</title>MOBILEIRON-STATUS: OK",
    "the message alone in a script": b"<html><script>MOBILEIRON-STATUS: OK</script></html>",
    "the message alone in a template": b"<template id=x>\nMOBILEIRON-STATUS: OK\n</template>",
    "in a script": b"<script>s = 'MOBILEIRON-STATUS: OK'</script>",
    "comment without end": b"<!-- MOBILEIRON-STATUS: OK",
    "tag without end": b"<p MOBILEIRON-STATUS: OK",
    "entity": b"MOBILEIRON-STATUS&#58; OK",
    "hard space": b"MOBILEIRON-STATUS:&nbsp;OK",
    "hard space byte": "MOBILEIRON-STATUS:\u00a0OK".encode(),
    "hard space around": "\u00a0MOBILEIRON-STATUS: OK".encode(),
    "zero width space": "MOBILEIRON-STATUS: OK\u200b".encode(),
    "byte order mark": b"\xef\xbb\xbfMOBILEIRON-STATUS: OK",
    "other alphabet": "MOBILEIRON-STATUS: \u041eK".encode(),
    "full width": "MOBILEIRON\uff0dSTATUS: OK".encode(),
    "utf-16": "MOBILEIRON-STATUS: OK".encode("utf-16"),
    "not utf-8": b"MOBILEIRON-STATUS: OK\xff",
    "zero byte": b"MOBILEIRON-STATUS: OK\x00",
    "escape sequence": b"\x1b[32mMOBILEIRON-STATUS: OK\x1b[0m",
    "backspace": b"MOBILEIRON-STATUS: NO\x08\x08OK",
    "vertical tab": b"\x0bMOBILEIRON-STATUS: OK",
    "hidden letters": b"MOBILEIRON-STATUS: OK<span style='display:none'>AY</span>",
    "mode without brackets": b"MOBILEIRON-STATUS: OK Mode: Standby",
    "down standby": b"MOBILEIRON-STATUS: DOWN (Mode: Standby)",
    "mode alone": b"(Mode: Standby)",
    "mode in lower case": b"MOBILEIRON-STATUS: OK (mode: Standby)",
    "no space before mode": b"MOBILEIRON-STATUS: OK(Mode: Standby)",
    "login page": b"<html><body><h1>Welcome</h1><form action=/login>MOBILEIRON-STATUS: OK<input></form></body></html>",
}

MODES = ["standby", "STANDBY", "Maintenance", "Secondary", "Active", "Passive", "", " ", "Standby ", " Primary", "Primary Standby", "Bereitschaft",
         "Prim\u00e4r", "Primary\u200b", "Primary/Standby", "null"]


@pytest.mark.parametrize("around", AROUND.values(), ids=AROUND.keys())
def test_the_message_counts_whatever_white_space_and_markup_stand_around_it(around: bytes) -> None:
    """G-LB1, G-LB2."""
    assert parse_status(around % OK) == (Verdict.OK, Reason.OK, "")
    assert parse_hastatus(around % STANDBY) == (Verdict.STANDBY, Reason.OK, "")
    assert parse_hastatus(around % PRIMARY) == (Verdict.PRIMARY, Reason.OK, "")


@pytest.mark.parametrize("body", NEITHER.values(), ids=NEITHER.keys())
def test_look_alikes_are_a_mismatch_on_both_pages(body: bytes) -> None:
    """H13: no substring, no second line, no other spelling."""
    for parse in (parse_status, parse_hastatus):
        verdict, reason, detail = parse(body)
        assert (verdict, reason) == (Verdict.FAILED, Reason.MISMATCH)
        assert detail


@pytest.mark.parametrize("body", [STANDBY, PRIMARY, b"MOBILEIRON-STATUS: OK (Mode: Else)"])
def test_a_page_with_a_mode_is_no_good_status_page(body: bytes) -> None:
    """H13: the standby's page behind the primary's url is a failure that says what it saw."""
    verdict, reason, detail = parse_status(body)
    assert (verdict, reason) == (Verdict.FAILED, Reason.MISMATCH)
    assert "hastatus" in detail


def test_a_page_without_a_mode_is_no_hastatus_page() -> None:
    """G-LB2."""
    verdict, reason, detail = parse_hastatus(OK)
    assert (verdict, reason) == (Verdict.FAILED, Reason.MISMATCH)
    assert "without a mode" in detail


@pytest.mark.parametrize("mode", MODES)
def test_any_other_mode_is_unknown_and_never_guessed(mode: str) -> None:
    """H14."""
    verdict, reason, detail = parse_hastatus(f"MOBILEIRON-STATUS: OK (Mode: {mode})\n".encode())
    assert (verdict, reason) == (Verdict.UNKNOWN, Reason.UNKNOWN_MODE)
    assert detail.isascii() and detail.isprintable()


def test_what_is_rendered_is_read_back() -> None:
    """Two tables that must agree: parse(render(x)) == x."""
    assert parse_status(render_status(True)).verdict is Verdict.OK
    assert parse_status(render_status(False)).verdict is Verdict.FAILED
    assert parse_hastatus(render_hastatus("Standby")).verdict is Verdict.STANDBY
    assert parse_hastatus(render_hastatus("Primary")).verdict is Verdict.PRIMARY
    assert parse_hastatus(render_hastatus("Maintenance")).verdict is Verdict.UNKNOWN


PIECES = st.sampled_from(
    [OK, STANDBY, PRIMARY, b"<", b">", b"<!--", b"-->", b"<b>", b"</b>", b"<br>", b" ", b"\n", b"(Mode: ", b")", b"OK", b"\xff", b"<title>"]
)


@given(st.one_of(st.binary(max_size=300), st.lists(PIECES, max_size=12).map(b"".join)))
@example(b"<!--" * 3000 + OK)
@example(b"<!---->" * 3000 + OK)
@example(b"<a " * 5000 + OK)
def test_no_bytes_make_it_raise_and_details_are_short_and_plain(body: bytes) -> None:
    for parse in (parse_status, parse_hastatus):
        verdict, reason, detail = parse(body)
        assert len(detail) <= DETAIL_MAX and detail.isascii() and (detail.isprintable() or not detail)
        assert (reason is Reason.OK) == (verdict in (Verdict.OK, Verdict.STANDBY, Verdict.PRIMARY))


@given(st.text(max_size=40))
def test_a_message_with_anything_more_in_it_is_never_ok(text: str) -> None:
    """Whatever text is added to the message, in front or behind, spoils it, white space and markup aside."""
    plain = text.strip(" \t\r\n\f")
    if not plain or "<" in plain:
        return
    for body in (f"{text}MOBILEIRON-STATUS: OK", f"MOBILEIRON-STATUS: OK{text}"):
        assert parse_status(body.encode(errors="replace")).verdict is Verdict.FAILED
