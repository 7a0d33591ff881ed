import io
import logging

import pytest

from commands.account import fields, summary_text, text
from commands.console import LINE_EVERY_S, Console, fit, live_line
from pipeline.logs import key_values, log, redact, start_logging
from pipeline.status import Account, EventRecord, Position, Status, SummaryRecord

STATUS = Status(
    position=Position(
        source="rtsp://me:secret@cam/talk.mp4", source_number=2, source_count=5, clip=6, position_s=12, duration_s=3725
    ),
    clips_in=9, results=6, errors=1, in_flight=2, clips_per_s=3.14, x_real_time=6.28, slowest_group="encode",
)  # fmt: skip


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_the_live_line_has_source_position_and_speed() -> None:
    assert live_line(STATUS) == (
        "talk.mp4 2/5  0:12/1:02:05  3.1 clips/s  6.3× real time  1 failed  0 dropped  slowest: encode"
    )
    assert live_line(Status(elapsed_s=3.2)) == "starting  3 s"


def test_on_a_narrow_terminal_words_are_omitted_before_numbers() -> None:
    line = live_line(STATUS, 80)
    assert line == "talk.mp4 2/5  0:12/1:02:05  3.1 clips/s  6.3×  1 failed  0 dropped  slow: encode"


def test_a_live_line_never_wraps_and_never_moves_the_cursor() -> None:
    assert fit("a\nb\x1b[2J" + "x" * 100, 10) == "a b?[2Jxx…"


def test_a_log_line_removes_the_live_line_first() -> None:
    stream, clock = io.StringIO(), Clock()
    start_logging(stream=stream)
    console = Console(stream, live=True, clock=clock)
    console.status(STATUS)
    log(logging.WARNING, "worker replaced")
    assert stream.getvalue().endswith("\r\x1b[Kpercept: warning: worker replaced\n")


def test_without_a_terminal_there_is_one_line_every_ten_seconds() -> None:
    stream, clock = io.StringIO(), Clock()
    start_logging(stream=stream)
    console = Console(stream, live=False, clock=clock)
    for _ in range(25):
        clock.now_s += 1.0
        console.status(STATUS)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 25 // LINE_EVERY_S
    assert "source=rtsp://***@cam/talk.mp4" in lines[0]
    assert "clips_per_s=3.14" in lines[0]
    assert "secret" not in stream.getvalue()


def test_the_time_left_is_estimated_from_the_first_step() -> None:
    stream, clock = io.StringIO(), Clock()
    start_logging(stream=stream)
    steps = Console(io.StringIO(), live=False, clock=clock).steps("training head")
    for now_s, step in ((160.0, 1), (161.0, 2), (175.0, 16)):  # the first step comes after a minute
        clock.now_s = now_s
        steps(step, 100, facts={"loss": 1.23456})
    assert stream.getvalue().splitlines() == [
        "percept: training head done=1 total=100 loss=1.23",
        "percept: training head done=16 total=100 left_s=84 loss=1.23",
    ]


def test_the_last_step_is_always_logged() -> None:
    stream, clock = io.StringIO(), Clock()
    start_logging(stream=stream)
    steps = Console(io.StringIO(), live=False, clock=clock).steps("encoding")
    for done in range(1, 4):
        steps(done, 3, 1)
    assert stream.getvalue().splitlines() == ["percept: encoding done=3 total=3 left_s=0 failed=1"]


def test_steps_on_a_terminal_are_one_line_that_is_removed_at_the_end() -> None:
    stream, clock = io.StringIO(), Clock()
    steps = Console(stream, live=True, clock=clock).steps("encoding clips")
    for done in (1, 2, 3):
        clock.now_s += 1
        steps(done, 4, 1)
    assert stream.getvalue().endswith("encoding clips: 3 of 4, 0:01 left, failed 1")
    steps(4, 4, 1)
    assert stream.getvalue().endswith("\r\x1b[K")
    assert "\n" not in stream.getvalue()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "variables", "line"),
    [
        (Terminal(), {}, "percept: \x1b[33mwarning: \x1b[0mcareful\n"),
        (Terminal(), {"NO_COLOR": "1"}, "percept: warning: careful\n"),
        (Terminal(), {"TERM": "dumb"}, "percept: warning: careful\n"),
        (io.StringIO(), {}, "percept: warning: careful\n"),
    ],
    ids=["terminal", "NO_COLOR", "dumb terminal", "file"],
)
def test_levels_are_coloured_only_on_a_terminal(
    stream: io.StringIO, variables: dict[str, str], line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    start_logging(stream=stream)
    log(logging.WARNING, "careful")
    assert stream.getvalue() == line


def test_the_account_adds_up() -> None:
    account = Account(
        clips_in=42, results=39, errors=2, drops=1, sources=3, sources_failed=1, gaps=1, media_s=84, elapsed_s=12
    )
    assert text(account).startswith(
        "42 clips in = 39 results + 2 errors + 1 drops; 3 sources (1 failed); 1 gap; 1:24 of media in 12.0 s"
    )


def test_the_account_has_the_mean_batch_size() -> None:
    account = Account(sources=2, elapsed_s=2, mean_batch={"model": 11.26})
    assert text(account).endswith("; 11.3 clips per batch in model")
    assert fields(account)["mean_batch_model"] == 11.26


def test_a_summary_names_the_longest_events() -> None:
    events = tuple(
        EventRecord(source="a", event=f"e{i}", start_s=i, end_s=i + 1 + i % 3, probability=1, peak=1, clips=1)
        for i in range(12)
    )
    summary = SummaryRecord(
        source="a", summary={}, clips=9, seconds=20, seconds_labelled=12, events=12, first_events=events
    )
    line = summary_text(summary)
    assert "e2 2.0–5.0 s" in line
    assert "and 4 more; 12.0 of 20.0 s labelled" in line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rtsp://user:word@cam/1", "rtsp://***@cam/1"),
        ("see http://h/a?token=abc&x=1 now", "see http://h/a?token=***&x=1 now"),
        ("https://h/v?X-Amz-Signature=ff#t", "https://h/v?X-Amz-Signature=***#t"),
        ("me@home.org talk.mp4", "me@home.org talk.mp4"),
    ],
)
def test_credentials_are_never_shown(text: str, shown: str) -> None:
    assert redact(text) == shown


def test_key_values_are_quoted_if_needed() -> None:
    assert key_values({"a": 1, "b": "two words", "c": 0.5, "d": 'x="y"'}) == 'a=1 b="two words" c=0.50 d="x=\\"y\\""'


def test_a_traceback_is_one_json_line() -> None:
    stream = io.StringIO()
    start_logging(as_json=True, stream=stream)
    try:
        raise ValueError("rtsp://a:b@c")
    except ValueError:
        logging.getLogger("percept").exception("bug")
    assert stream.getvalue().count("\n") == 1
    assert "a:b" not in stream.getvalue()
