"""How a record shows itself: as one line, and as HTML in a notebook."""

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import av
import msgspec
import numpy as np
import pytest

import percept
from percept._display import COLOURS, NAMES
from percept._thumbnail import thumbnail
from pipeline.result import clock_text
from pipeline.sinks import panel
from tests.media import make_video, read_time_ms

EVIL = "<script>alert('1')</script>\"&\x1b[31m"
LABELS = [
    percept.Label("sheep", 0.79, 0.5, {"image": percept.Evidence(0.975, 0.7, 0.5), "audio": percept.Evidence(0, 0, 0)}),
    percept.Label("rain", 0.77, 0.4, {"image": percept.Evidence(0.01, 0, 0.5), "audio": percept.Evidence(0.94, 1, 0)}),
    percept.Label("dog", 0.1, 0.1),
]


def record(source: str = "a/talk.mp4", *, start_s: float = 4.0, end_s: float = 6.0, **more: Any) -> percept.ClipRecord:
    return percept.ClipRecord(source=source, epoch=0, clip=2, start_s=start_s, end_s=end_s, **more)


def result(source: str = "a/talk.mp4", **more: Any) -> percept.ClipRecord:
    tracks = [percept.Track(1, [(5.0, 80.0, 60.0, 160.0, 120.0)], "sheep", 0.97), percept.Track(2, [])]
    return record(source, width=320, height=240, parts={"labels": LABELS, "tracks": tracks}, **more)


class Page(HTMLParser):
    """Tags, texts and attributes of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def all(self, name: str) -> list[str]:
        return [value or "" for attribute, value in self.attributes if attribute == name]


def page(shown: percept.ClipRecord) -> Page:
    return Page(shown._repr_html_())


def test_a_record_is_one_short_line() -> None:
    assert repr(result()) == "ClipRecord(talk.mp4 0:04–0:06: sheep 79 %, rain 77 %; 2 tracks)"
    assert repr(record(error="cannot be decoded")) == "ClipRecord(talk.mp4 0:04–0:06: error: cannot be decoded)"
    assert repr(record(dropped="too late")) == "ClipRecord(talk.mp4 0:04–0:06: dropped: too late)"
    assert repr(record(gap=True)) == "ClipRecord(talk.mp4 0:04–0:06: gap)"
    assert repr(record(parts={"labels": LABELS[2:]})) == "ClipRecord(talk.mp4 0:04–0:06: dog 10 %)"
    assert repr(record(parts={"labels": []})) == "ClipRecord(talk.mp4 0:04–0:06: no label)"
    assert repr(record(EVIL, gap=True)).count(r"\x1b[31m") == 1
    assert len(repr(record(error="e" * 999))) < 200
    assert [clock_text(each) for each in (4.5, 59.96, 3723.0)] == ["0:04.5", "1:00", "1:02:03"]


def test_a_record_as_plain_data_is_its_json_line() -> None:
    tree = result(absent={"motion": "too_short"}).to_dict()
    assert tree["labels"][0]["evidence"]["image"] == {"probability": 0.975, "similarity": 0.7, "weight": 0.5}
    assert tree["tracks"][0]["boxes"] == [[5.0, 80.0, 60.0, 160.0, 120.0]]
    assert tree["absent"] == {"motion": "too_short"}
    assert "error" not in tree
    assert percept._records.decode_json(msgspec.json.encode(tree)) == result(absent={"motion": "too_short"})


def test_html_has_a_bar_for_each_label_and_modality() -> None:
    shown = page(result(absent={"motion": "too_short"}))
    widths = [re.search(r"--c:(#\w+);width:([\d.]+)%", style) for style in shown.all("style")]
    found = [(match[1], float(match[2])) for match in widths if match]
    image, audio = COLOURS["image"], COLOURS["audio"]
    assert found == [(image, 97.5), (audio, 0), (image, 1), (audio, 94), (image, 0), (audio, 0)]
    text = " ".join(shown.texts)
    for part in ("talk.mp4", "0:04–0:06", "79 %", "picture", "sound", "no motion (too_short)", "#1 sheep 97 %, #2"):
        assert part in text
    assert "dog: 10% (picture –, sound –)" in shown.all("title")
    assert "img" not in shown.tags


def test_everything_from_outside_is_escaped() -> None:
    labels = [percept.Label(EVIL, 0.9, 0.9, {"audio": percept.Evidence(0.5, 0.5, 1.0)})]
    parts = {
        "labels": labels,
        "tracks": [percept.Track(1, [], EVIL, 0.5)],
        "category": percept.Category(EVIL, 0.9, [EVIL]),
        "open_set": percept.OpenSet(2.0, 1.0, True),
    }
    troubled = record(EVIL, parts=parts, absent={"image": EVIL}, failed={EVIL: EVIL})
    for shown in (troubled, record(EVIL, error=EVIL), record(EVIL, dropped=EVIL), record(EVIL, gap=True)):
        found = page(shown)
        assert set(found.tags) <= {"style", "div", "b", "span", "i"}
        assert {name for name, _ in found.attributes} <= {"class", "style", "title", "role", "aria-label"}
    assert "none of these labels fits" in page(troubled).texts


def test_colours_and_names_are_those_of_the_labelled_video() -> None:
    assert {name: "#{:02x}{:02x}{:02x}".format(*colour) for name, colour in panel.COLOURS.items()} == COLOURS
    assert panel.NAMES == NAMES


def decoded(jpeg: bytes) -> Any:
    with av.open(io.BytesIO(jpeg), format="mjpeg") as container:
        return next(container.decode(video=0)).to_ndarray(format="rgb24")


@pytest.mark.parametrize("name", ["talk.mp4", "talk.ts"])
def test_the_picture_is_of_the_middle_of_the_clip(name: str, tmp_path: Path) -> None:
    """A transport stream does not begin at 0, which a seek bar does not show."""
    found = thumbnail(result(str(make_video(tmp_path / name, seconds=8, gop=250))))
    assert found is not None
    picture = decoded(found[0])
    assert picture.shape == (found[2], found[1], 3) == (180, 240, 3)
    assert read_time_ms(picture) == pytest.approx(5000, abs=40)


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_a_picture_that_is_stored_turned_is_upright(rotation: int, tmp_path: Path) -> None:
    turned = make_video(tmp_path / "turned.mp4", seconds=2, rotation=rotation)
    upright, plain = (
        thumbnail(record(str(path), start_s=0.0, end_s=2.0))
        for path in (turned, make_video(tmp_path / "plain.mp4", seconds=2))
    )
    assert upright is not None
    assert plain is not None
    wanted = np.rot90(decoded(plain[0]), rotation // 90).astype(int)
    assert np.abs(decoded(upright[0]) - wanted).mean() < 3


def test_the_boxes_of_the_middle_are_drawn_over_the_picture(tmp_path: Path) -> None:
    path = make_video(tmp_path / "talk.mp4", seconds=8)
    shown = page(result(str(path)))
    (data,) = shown.all("src")
    assert base64.b64decode(data.removeprefix("data:image/jpeg;base64,"))[:2] == b"\xff\xd8"
    assert shown.all("viewbox") == ["0 0 320 240"]
    assert shown.tags.count("rect") == 1
    assert {"80", "60"} <= {*shown.all("x"), *shown.all("y")}
    assert len(result(str(path))._repr_html_()) < 30_000


def test_a_source_that_is_no_readable_file_is_shown_without_a_picture(tmp_path: Path, silent_url: str) -> None:
    text = tmp_path / "notes.mp4"
    text.write_text("not a video")
    playlist = tmp_path / "live.m3u8"
    playlist.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{silent_url}\n#EXT-X-ENDLIST\n")
    for source in (str(text), str(playlist), str(tmp_path), silent_url, "fake:clips=3", "a\0b"):
        assert thumbnail(result(source)) is None
        assert "79 %" in result(source)._repr_html_()


def test_what_a_modality_adds_is_told_beside_what_it_says() -> None:
    evidence = {"image": percept.Evidence(0.975, 0.7, 0.8, 5.12), "audio": percept.Evidence(0.01, 0.1, 0.7, -0.16)}
    labels = [percept.Label("sheep", 0.79, 0.5, evidence, base_log_odds=-3.77)]
    titles = page(record(parts={"labels": labels})).all("title")
    assert "sheep: 79% (picture 98% (+5.1), sound 1% (-0.2))" in titles
