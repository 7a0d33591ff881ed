"""Log lines as text and as JSON, without credentials."""

import io
import json
import logging
import string
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.logs import LOGGER, key_values, lines_to, log, redact, start_logging, visible


def logged(*, verbosity: int = 0, as_json: bool = False) -> io.StringIO:
    stream = io.StringIO()
    start_logging(verbosity, as_json, stream)
    return stream


# -- credentials ------------------------------------------------------------------------------------------------------

secrets = st.text(string.ascii_letters + string.digits + "%+=:;,.!$", min_size=8, max_size=20)
keys = st.sampled_from(["token", "X-Amz-Signature", "api_key", "PASSWORD", "auth", "sig", "client-secret"])


@given(secrets, secrets, keys)
def test_no_credential_of_a_url_is_shown(user: str, secret: str, key: str) -> None:
    text = f"rtsp://{user}:{secret}@cam/1?a=1&{key}={secret}#t: cannot be opened"
    shown = redact(text)
    assert user not in shown.partition("@")[0]
    assert secret not in shown
    assert shown == f"rtsp://***@cam/1?a=1&{key}=***#t: cannot be opened"


def test_a_password_with_an_at_sign_is_not_shown() -> None:
    assert redact("rtsp://user:pass@word@cam/1") == "rtsp://***@cam/1"


@given(st.text(string.ascii_letters + string.digits + " ./_-=?&", max_size=40))
def test_text_without_a_url_and_a_secret_stays_as_it_is(text: str) -> None:
    if not any(word in text.lower() for word in ("token", "key", "secret", "password", "passwd", "sig", "auth")):
        assert redact(text) == text


@pytest.mark.parametrize("as_json", [False, True])
def test_no_line_shows_a_credential_wherever_it_is(as_json: bool) -> None:
    stream = logged(as_json=as_json)
    log(logging.INFO, "opening rtsp://me:hidden@cam", source="http://h/?token=hidden")
    try:
        raise OSError("https://me:hidden@h/x")
    except OSError:
        LOGGER.exception("cannot open")
    assert "cannot open" in stream.getvalue()
    assert "OSError: https://***@h/x" in stream.getvalue()
    assert "hidden" not in stream.getvalue()


# -- lines ------------------------------------------------------------------------------------------------------------


def test_a_text_line_has_its_level_if_it_is_a_warning_and_its_fields_at_the_end() -> None:
    stream = logged()
    log(logging.INFO, "progress", clips=7, rate=0.123, note="two words")
    log(logging.WARNING, "worker replaced")
    assert stream.getvalue().splitlines() == [
        'percept: progress clips=7 rate=0.12 note="two words"',
        "percept: warning: worker replaced",
    ]


words = st.text(string.printable + "äß犬", max_size=12)


@given(st.dictionaries(st.text(string.ascii_lowercase, min_size=1, max_size=5), words, max_size=4))
def test_a_value_with_spaces_or_quotes_can_be_read_back(fields: dict[str, str]) -> None:
    text, back = key_values(fields), {}
    while text:
        key, _, rest = text.partition("=")
        if rest.startswith('"'):
            value, end = json.JSONDecoder().raw_decode(rest)
        else:
            value, end = rest.partition(" ")[0], len(rest.partition(" ")[0])
        back[key], text = value, rest[end + 1 :]
    assert back == fields


def test_a_json_line_has_time_level_message_and_fields() -> None:
    stream = logged(as_json=True)
    before = datetime.now(UTC)
    log(logging.WARNING, "two\nlines, ä", clips=7, path=Path("a/b"))
    (line,) = stream.getvalue().splitlines()
    entry = json.loads(line)
    assert abs((datetime.fromisoformat(entry.pop("time")) - before).total_seconds()) < 10
    assert entry == {"level": "warning", "message": "two\nlines, ä", "clips": 7, "path": "a/b"}


def test_a_traceback_is_a_field_of_its_json_line() -> None:
    stream = logged(as_json=True)
    try:
        raise ValueError("bad")
    except ValueError:
        LOGGER.exception("bug")
    (line,) = stream.getvalue().splitlines()
    assert json.loads(line)["traceback"].splitlines()[-1] == "ValueError: bad"


@pytest.mark.parametrize(
    ("verbosity", "shown"),
    [(-1, ["error"]), (0, ["info", "warning", "error"]), (1, ["debug", "info", "warning", "error"])],
)
def test_verbosity_chooses_the_levels_that_are_shown(verbosity: int, shown: list[str]) -> None:
    stream = logged(verbosity=verbosity, as_json=True)
    for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
        log(level, "line")
    assert [json.loads(line)["level"] for line in stream.getvalue().splitlines()] == shown


def test_a_second_start_replaces_the_first() -> None:
    first, second = logged(), logged()
    log(logging.INFO, "once")
    assert (first.getvalue(), second.getvalue()) == ("", "percept: once\n")


def test_lines_can_go_elsewhere_and_come_back() -> None:
    stream, elsewhere = logged(), list[str]()
    lines_to(elsewhere.append)
    log(logging.INFO, "one")
    log(logging.DEBUG, "not shown")
    lines_to(None)
    log(logging.INFO, "two")
    assert (elsewhere, stream.getvalue()) == (["percept: one"], "percept: two\n")


def test_nothing_that_moves_the_cursor_reaches_a_terminal() -> None:
    odd = "a\tb\n\x1b[2J\x07\x9b31m\u202ec\u2066\x7f"
    assert visible(odd) == "a b ?[2J??31m?c??"
    stream = logged()
    log(logging.WARNING, odd, name=odd)
    written = stream.getvalue()
    assert not set("\x1b\x07\x9b\u202e\u2066\x7f") & set(written)
    assert written.startswith("percept: warning: a   b\n?[2J")


def test_letters_of_all_scripts_and_emoji_are_visible() -> None:
    for text in ("犬が吠える", "مطر", "👩‍👩‍👧 и дождь", "é"):
        assert visible(text) == text
