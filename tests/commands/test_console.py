import io
import logging
from pathlib import Path

import msgspec
import pytest

from commands.account import account_text, fields, found_lines, speed_text, summary_fields, unwritten_text
from commands.columns import size_text
from commands.console import LINE_EVERY_S, Console, status_fields
from commands.profile import profile_lines
from pipeline.logs import key_values, log, redact, start_logging
from pipeline.status import Account, EventRecord, LineCount, OutputSpec, Position, Status, SummaryRecord, ZoneCount
from tests.pipeline.runs import wait_for

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


def test_a_log_line_appears_above_the_live_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stream, clock = Terminal(), Clock()
    start_logging(stream=stream)
    with Console(stream, live=True, clock=clock) as console:
        console.status(STATUS)
        log(logging.WARNING, "worker replaced")
    log(logging.WARNING, "and later")
    text = stream.getvalue()
    assert text.index("worker replaced") < text.index("and later")
    assert text.endswith("and later\n")
    assert "secret" not in text


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
    assert "slowest=encode" in lines[0]
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


def test_steps_on_a_terminal_are_one_line_that_is_removed_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stream, clock = Terminal(), Clock()
    steps = Console(stream, live=True, clock=clock).steps("encoding clips")
    for done in (1, 2, 3):
        clock.now_s += 1
        steps(done, 4, 1)
    wait_for(lambda: "encoding clips: 3 of 4, 0:01 left, failed 1" in stream.getvalue(), what="the live line")
    steps(4, 4, 1)
    text = stream.getvalue()
    assert text.rindex("\x1b[2K") > text.rindex("encoding clips"), "it is erased"


def test_what_is_not_known_yet_is_not_logged() -> None:
    assert set(status_fields(Status(elapsed_s=3.0))) == {
        "phase", "clips_in", "results", "failed", "dropped", "in_flight", "clips_per_s", "x_real_time", "elapsed_s",
    }  # fmt: skip
    failed = Status(position=Position(source="a.mp4", source_number=1, source_count=1))
    assert not {"clip", "end_s", "slowest"} & set(status_fields(failed))


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
    assert account_text(account) == "42 clips in = 39 results + 2 errors + 1 drops; 3 sources (1 failed); 1 gap"
    assert speed_text(account) == "1:24 of media in 12.0 s: 7.0 times real time"
    account = Account(ready_s=2, media_s=84, elapsed_s=12)
    assert speed_text(account) == "1:24 of media in 12.0 s: 2.0 s to start, then 8.4 times real time"
    assert speed_text(Account(elapsed_s=3)) == "0:00 of media in 3.0 s"


def test_the_account_has_the_mean_batch_size() -> None:
    account = Account(sources=2, elapsed_s=2, mean_batch={"model": 11.26})
    assert account_text(account).endswith("; 11.3 clips per batch in model")
    assert fields(account)["mean_batch_model"] == 11.26


def test_clips_whose_answers_were_reused_are_told() -> None:
    account = Account(clips_in=42, results=42, sources=1, reused=30)
    assert account_text(account).endswith("; 1 source; 30 clips reused, where nothing changed")
    assert fields(account)["reused"] == 30


def summary(*events: tuple[str, float, float], source: str = "a.mp4") -> SummaryRecord:
    totals: dict[str, float] = {}
    for name, start_s, end_s in events:
        totals[name] = totals.get(name, 0.0) + end_s - start_s
    found = tuple(
        EventRecord(source=source, event=name, start_s=start_s, end_s=end_s, probability=1, peak=1, clips=1)
        for name, start_s, end_s in events
    )
    ordered = dict(sorted(totals.items(), key=lambda pair: -pair[1]))
    return SummaryRecord(
        source=source, summary=ordered, clips=9, seconds=90, seconds_labelled=12, events=len(found), first_events=found
    )


def test_what_was_found_is_listed_by_label_with_its_total_time() -> None:
    spans = [("rain", start, start + 2.0) for start in (0.0, 10.0, 20.0, 60.0)]
    lines = [line.plain for line in found_lines([summary(("雨の音", 3.0, 4.0), *spans)])]
    assert lines == [
        "",
        "Found in a.mp4",
        "  rain       0:08  0:00–0:02, 0:10–0:12, 0:20–0:22 and 1 more",
        "  雨の音     0:01  0:03–0:04",
    ]


def test_of_many_labels_and_sources_the_longest_are_listed() -> None:
    many = summary(*((f"label {number}", 0.0, 20.0 - number) for number in range(12)))
    lines = [line.plain for line in found_lines([many])]
    assert (len(lines), lines[-1]) == (11, "  and 4 more labels")
    lines = [line.plain for line in found_lines([summary(("rain", 0, 2), source=f"{n}.mp4") for n in range(30)])]
    assert [line.rstrip() for line in lines] == ["", "Found in 30 sources", "  rain     1:00"]


def counting(source: str, lines: tuple[int, int], visits: int, mean_s: float) -> SummaryRecord:
    zones = {"door": ZoneCount(visits, mean_s, 2 * mean_s)}
    return msgspec.structs.replace(summary(source=source), lines={"gate": LineCount(*lines)}, zones=zones)


def test_what_zones_and_lines_have_counted_is_said_of_each_source_and_of_all_together() -> None:
    both = [counting("a.mp4", (3, 1), 1, 2.0), counting("b.mp4", (0, 2), 3, 4.0)]
    together = ["  over gate: 3 in, 3 out", "  in door: 4 visits, 3.5 s each, at most 8.0 s"]
    lines = [line.plain for line in found_lines(both)]
    assert lines[-4:] == ["", "In all 2 sources", *together]
    assert "  over gate: 0 in, 2 out" in lines
    assert [line.plain for line in found_lines(both[:1])][-1] == "  in door: 1 visit, 2.0 s each, at most 4.0 s"
    many = [*both, *(counting(f"{n}.mp4", (0, 0), 0, 0.0) for n in range(20))]
    assert [line.plain for line in found_lines(many)][-2:] == together
    assert summary_fields(both[0])["counted"] == "over gate: 3 in, 1 out; in door: 1 visit, 2.0 s each, at most 4.0 s"


def test_a_run_that_is_stopped_at_once_says_what_is_missing(tmp_path: Path) -> None:
    lines, tracks = str(tmp_path / "a.jsonl"), str(tmp_path / "a.txt")
    outputs = [OutputSpec(path=lines), OutputSpec(kind="mot", path=tracks), OutputSpec(kind="terminal", path="")]
    how = f"the same command with --resume goes on from {lines} and writes them"
    assert unwritten_text(outputs, [lines]) == f"stopped at once, so not written: {tracks}; {how}"
    assert unwritten_text(outputs[1:], []) == f"stopped at once, so not written: {tracks}"
    assert unwritten_text(outputs, [lines, tracks]) == ""


def test_the_log_names_the_longest_events() -> None:
    events = [(f"e{i}", float(i), i + 1.0 + i % 3) for i in range(12)]
    longest = str(summary_fields(summary(*events))["longest"])
    assert "e2 2.0–5.0 s" in longest
    assert len(longest.split(", ")) == 8


@pytest.mark.parametrize(
    ("size", "text"), [(830, "830 bytes"), (1234, "1.2 kB"), (83_000, "83 kB"), (3_440_000, "3.4 MB"), (2e9, "2.0 GB")]
)
def test_sizes_are_written_for_people(size: int, text: str) -> None:
    assert size_text(size) == text


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


def test_a_profile_shows_the_slowest_stage_first() -> None:
    account = Account(
        results=3, errors=1, stage_s={"decode": 1.0, "encode": 3.0, "track": 0.0}, stage_mb={"decode": 12.5}
    )
    assert [line.plain for line in profile_lines(account)] == [
        "",
        "4.0 s in stages, in all processes together",
        "  encode      3.0 s    750.0 ms   0.00 MB a clip   75%  " + 18 * "█",
        "  decode      1.0 s    250.0 ms  12.50 MB a clip   25%  " + 6 * "█",
        "  track       0.0 s      0.0 ms   0.00 MB a clip    0%  ",
    ]
    assert profile_lines(Account()) == []
