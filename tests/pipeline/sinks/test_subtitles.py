"""Events as subtitles, read back by FFmpeg and by a browser."""

from pathlib import Path

import av
import pytest

from pipeline.sinks.subtitles import MIN_CUE_MS, Srt, Subtitles, Vtt, clock, cues, line
from pipeline.status import EventRecord, OutputSpec
from tests.pipeline.sinks.records import feed, result

RECORDS = [result(0, rain=0.9), result(1, rain=0.9, **{"rock_&_roll": 0.8}), result(2, **{"rock_&_roll": 0.8})]
NASTY = [
    "<b>bold</b>",
    "a --> b",
    "Tom & Jerry",
    "two\nlines",
    "כלב נובח",
    "{\\an8}top",
    "42",
    "&lt;",
    "\u202eevil",
    "-->",
]


def event(label: str, start_s: float, end_s: float, probability: float = 0.5) -> EventRecord:
    return EventRecord(source="a", event=label, start_s=start_s, end_s=end_s, probability=probability, peak=1, clips=1)


def write(kind: type[Subtitles], path: Path, events: list[EventRecord]) -> Path:
    path.write_text(kind(OutputSpec(kind="srt", path=str(path))).text(cues(events)), encoding="utf-8")
    return path


def read(path: Path) -> list[tuple[float, float, str]]:
    """Start and end in seconds, and text, as FFmpeg's demuxer sees the cues."""
    with av.open(str(path)) as container:
        stream = container.streams.subtitles[0]
        return [
            (float(p.pts * stream.time_base), float((p.pts + p.duration) * stream.time_base), bytes(p).decode())
            for p in container.demux(stream)
            if p.pts is not None
        ]


def test_webvtt_has_a_cue_per_stretch_with_the_same_labels(tmp_path: Path) -> None:
    path = tmp_path / "out.vtt"
    feed(Vtt(OutputSpec(kind="vtt", path=str(path), sources=("talk.mp4",))), RECORDS)
    assert path.read_text() == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:02.000\nrain\n\n00:00:02.000 --> 00:00:04.000\nrain\nrock &amp; roll\n"
        "\n00:00:04.000 --> 00:00:06.000\nrock &amp; roll\n"
    )


def test_subrip_numbers_its_cues(tmp_path: Path) -> None:
    path = tmp_path / "out.srt"
    feed(Srt(OutputSpec(kind="srt", path=str(path), sources=("talk.mp4",))), RECORDS)
    assert path.read_text().startswith("1\n00:00:00,000 --> 00:00:02,000\nrain\n\n2\n")


def test_cues_never_overlap() -> None:
    shown = cues([event("a", 0, 10, 0.5), event("b", 2, 4, 0.9), event("c", 20, 21)])
    assert shown == [(0, 2000, ["a"]), (2000, 4000, ["b", "a"]), (4000, 10000, ["a"]), (20000, 21000, ["c"])]


def test_no_cue_is_too_short_to_be_read() -> None:
    shown = cues([event("a", 0, 2.0), event("b", 2.04, 4), event("c", 3.97, 6), event("d", 8, 8.01), event(" ", 9, 10)])
    assert shown == [(0, 2000, ["a"]), (2000, 3970, ["b"]), (3970, 6000, ["c"]), (8000, 8100, ["d"])]
    assert all(end - start >= MIN_CUE_MS for start, end, _ in shown)


def test_a_time_has_hours_and_milliseconds() -> None:
    assert clock(3_723_457) == "01:02:03.457"
    assert clock(1000, ",") == "00:00:01,000"
    assert clock(445_000_000) == "123:36:40.000"


@pytest.mark.parametrize("kind", [Vtt, Srt])
def test_ffmpeg_reads_all_cues_with_their_times(kind: type[Subtitles], tmp_path: Path) -> None:
    late_s = 120 * 3600.0
    events = [event(label, late_s + 2 * i, late_s + 2 * i + 3) for i, label in enumerate(NASTY)]
    found = read(write(kind, tmp_path / f"out.{kind.__name__.lower()}", events))
    shown = cues(events)
    assert [(start, end) for start, end, _ in found] == [(start / 1000, end / 1000) for start, end, _ in shown]
    assert [text.count("\n") for _, _, text in found] == [len(labels) - 1 for _, _, labels in shown]


@pytest.mark.parametrize("label", NASTY)
def test_a_player_shows_subrip_labels_as_text(label: str, tmp_path: Path) -> None:
    path = write(Srt, tmp_path / "out.srt", [event(label, 0, 2), event("after", 2, 4)])
    with av.open(str(path)) as container:
        shown = [each for packet in container.demux(subtitles=0) for each in packet.decode()]
    texts = [rect.ass.decode().split(",", 8)[-1] for each in shown for rect in getattr(each, "rects", [each])]
    brackets = str.maketrans({"<": "‹", ">": "›", "{": "(", "}": ")", "\\": "/"})
    assert texts == [line(label).translate(brackets), "after"]


@pytest.mark.slow
def test_a_browser_shows_webvtt_labels_as_text(tmp_path: Path) -> None:
    sync_api = pytest.importorskip("playwright.sync_api")
    events = [event(label, 2 * i, 2 * i + 2) for i, label in enumerate(NASTY)]
    body = write(Vtt, tmp_path / "out.vtt", [*events, event("also", 0, 2, 0.4)]).read_bytes()
    page_of = {"/": ("text/html", b"<video><track src=out.vtt default></video>"), "/out.vtt": ("text/vtt", body)}

    def answer(route: sync_api.Route) -> None:
        kind, content = page_of["/" + route.request.url.rpartition("/")[2]]
        route.fulfill(status=200, headers={"Content-Type": f"{kind}; charset=utf-8"}, body=content)

    with sync_api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page()
        page.route("**/*", answer)
        page.goto("http://percept.test/")
        found = page.evaluate(
            """() => new Promise(resolve => {
                const track = document.querySelector("track");
                const tell = () => resolve([...track.track.cues].map(
                    cue => [cue.startTime, cue.endTime, cue.getCueAsHTML().textContent]));
                if (track.readyState === 2) tell(); else track.onload = tell;
                track.track.mode = "showing";
            })"""
        )
        browser.close()
    texts = [line(label) for label in NASTY]
    texts[0] += "\nalso"
    assert found == [[2 * i, 2 * i + 2, text] for i, text in enumerate(texts)]
