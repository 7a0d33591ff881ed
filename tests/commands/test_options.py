import argparse
import re
from pathlib import Path

import pytest

from commands.options import make_config, seconds
from commands.outputs import fingerprint, make_outputs, output_kind, split_events
from commands.run import make_parser
from pipeline.config import Config
from pipeline.errors import ConfigError
from pipeline.sinks.kinds import KINDS
from pipeline.status import OutputSpec


def parse(*arguments: str) -> argparse.Namespace:
    return make_parser().parse_intermixed_args(split_events(list(arguments)))


def config(*arguments: str) -> Config:
    return make_config(parse(*arguments))


def outputs(*arguments: str) -> list[OutputSpec]:
    options = parse(*arguments)
    return make_outputs(options, make_config(options), options.sources)


@pytest.mark.parametrize(
    ("text", "value"), [("90", 90), ("1:30", 90), ("00:01:30.5", 90.5), ("2:00:00", 7200), ("0.25", 0.25), ("30s", 30)]
)
def test_times_are_seconds_or_clock_times(text: str, value: float) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["", "1:xx", "-3", "1:2:3:4", "ninety", "s", "30x"])
def test_other_texts_are_not_times(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="expected seconds or hh:mm:ss"):
        seconds(text)


def test_every_option_reaches_its_key() -> None:
    made = config(
        "a.mp4", "--labels", "dog, rain", "--clip-seconds", "4", "--stride-seconds", "8", "--fps", "4", "--top-k", "3",
        "--modalities", "image, audio", "--audio-track", "ger", "--exclusive", "--model", "m", "--audio-model", "s",
        "--engine", "torch", "--device", "cpu", "--start", "0:10", "--end", "1:00:00",
    )  # fmt: skip
    assert made.labels.words == "dog, rain"
    assert (made.clips.seconds, made.clips.stride_seconds, made.clips.fps) == (4, 8, 4)
    assert (made.labels.top_k, made.labels.exclusive) == (3, True)
    assert made.modalities == ("image", "audio")
    assert made.decode.audio_track == "ger"
    assert (made.model.path, made.model.audio_path, made.model.engine, made.model.device) == ("m", "s", "torch", "cpu")
    assert (made.clips.start_s, made.clips.end_s) == (10, 3600)


def test_faster_ways_reach_their_keys() -> None:
    assert config("a.mp4", "--every", "30s").clips.stride_seconds == 30
    assert config("a.mp4", "--shots").clips.shots
    assert config("a.mp4", "--keyframes").decode.key_frames


@pytest.mark.parametrize(
    ("ways", "problem"),
    [
        (("--shots", "--every", "30"), "clips.shots does not go with clips.stride_seconds"),
        (("--shots", "--keyframes"), "clips.shots does not go with decode.key_frames"),
        (("--keyframes", "--modalities", "motion"), "modalities has motion alone"),
        (("--keyframes", "--set", "decode.reader=decord"), "decode.key_frames needs the reader av"),
    ],
)
def test_faster_ways_that_exclude_each_other_are_refused(ways: tuple[str, ...], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        config("a.mp4", *ways)


def test_options_for_events_reach_their_keys() -> None:
    events = config("a.mp4", "--min-probability", "60%", "--min-duration", "0:04", "--gap", "1.5", "--no-merge").events
    assert (events.enter, events.min_duration_s, events.gap_s, events.merge) == (0.6, 4.0, 1.5, False)
    assert events.leave_at == pytest.approx(0.36)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--min-probability", "50"), "'50' is not a probability; expected from 0 to 1"),
        (("--set", "events.enter=50"), "events.enter is 50.0; expected from 0 to 1"),
        (
            ("--min-probability", "0.2", "--set", "events.leave=0.3"),
            "events.leave is 0.3; expected at most enter (0.2)",
        ),
        (("--gap", "soon"), "'soon' is not a time"),
    ],
)
def test_nonsense_about_events_is_refused(arguments: tuple[str, ...], problem: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(problem)):
        config("a.mp4", *arguments)


def test_zones_and_lines_are_written_with_their_names() -> None:
    follow = config(
        "a.mp4", "--zone", "door.1:0,0.5;0.3,0.5;0.3,1", "--zone", "b:0,0;1,0;1,1", "--line", "gate:0.5,0;0.5,1"
    ).follow
    assert follow.zones == {
        "door.1": ((0.0, 0.5), (0.3, 0.5), (0.3, 1.0)),
        "b": ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0)),
    }
    assert follow.lines == {"gate": ((0.5, 0.0), (0.5, 1.0))}


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--zone", "door"), "--zone 'door': expected NAME:x,y;x,y;..."),
        (("--line", "gate:0.5,0"), "--line 'gate:0.5,0': has 1 point; expected 2"),
        (
            ("--zone", "door:0,0;640,0;640,480"),
            "has a corner outside the picture; expected fractions",
        ),
        (("--zone", "a:0,0;1,0;1,1", "--zone", "a:0,0;1,0;1,1"), "a is given twice; expected another name"),
        (("--zone", "a:0,0;1,0;1,1", "--line", "a:0,0;1,1"), "follow.lines has 'a', which is a zone, too"),
    ],
)
def test_what_is_no_place_is_refused(arguments: tuple[str, ...], problem: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(problem)):
        config("a.mp4", *arguments)


@pytest.mark.parametrize(("name", "kind"), [("a.txt", "mot"), ("a.json", "coco"), ("a.xml", "cvat")])
def test_the_name_of_tracks_says_their_format(name: str, kind: str, tmp_path: Path) -> None:
    (spec,) = [each for each in outputs("a.mp4", "--tracks", str(tmp_path / name)) if each.per_source]
    assert (spec.kind, spec.path) == (kind, str(tmp_path / name))
    with pytest.raises(ConfigError, match=r"expected a name that ends in \.txt"):
        outputs("a.mp4", "--tracks", "tracks")


def test_the_flow_method_is_an_option_of_its_stage() -> None:
    made = config("a.mp4", "--flow", "raft", "--set", "flow.weights=raft-small.pth")
    assert made.stages == {"flow": {"method": "raft", "weights": "raft-small.pth"}}


def test_without_options_the_config_is_the_default() -> None:
    assert config("a.mp4") == Config()


def test_options_override_the_file_and_set_overrides_options(tmp_path: Path) -> None:
    path = tmp_path / "my.toml"
    path.write_text("[clips]\nfps = 2\nseconds = 3\n")
    made = config("a.mp4", "-c", str(path), "--fps", "5", "--set", "clips.seconds=6")
    assert (made.clips.fps, made.clips.seconds) == (5, 6)


@pytest.mark.parametrize("word", ['say "hi"', "back\\slash", "犬 дождь", "42", "true", "[x]", "line\nbreak"])
def test_labels_are_not_changed(word: str) -> None:
    assert config("a.mp4", "--labels", word).labels.words == word


def test_a_video_after_events_is_a_source() -> None:
    options = parse("--events", "talk.mp4", "b.mp4")
    assert (options.events, options.sources) == ("", ["talk.mp4", "b.mp4"])
    assert parse("a.mp4", "--events", "out/").events == "out/"
    options = parse("a.mp4", "--events", "out.csv", "b.mp4")
    assert (options.events, options.sources) == ("out.csv", ["a.mp4", "b.mp4"])


def test_a_misspelt_option_gets_a_suggestion() -> None:
    with pytest.raises(ConfigError, match=r"--lables.*did you mean --labels"):
        parse("a.mp4", "--lables", "x")


def test_the_suffix_determines_the_kind() -> None:
    names = ("a.json", "a.parquet", "a.txt", "-", "a.jsonl", "a.CSV", "a.vtt", "a.srt", "/dev/null", "results")
    assert [output_kind(path, KINDS) for path in names] == [
        "json", "parquet", "table", "jsonl", "jsonl", "csv", "vtt", "srt", "jsonl", "jsonl",
    ]  # fmt: skip
    with pytest.raises(ConfigError, match=r"--video a\.mp4"):
        output_kind("a.mp4", KINDS)
    with pytest.raises(ConfigError, match="not a format for results"):
        output_kind("a.xlsx", KINDS)


def test_options_determine_the_outputs_of_a_run(tmp_path: Path) -> None:
    assert [(spec.kind, spec.path) for spec in outputs("a.mp4")] == [("jsonl", "-")]
    inline = outputs("a.mp4", "--events")
    assert inline[0].with_events
    assert len(inline) == 1
    several = outputs("a.mp4", "--events", str(tmp_path / "e.srt"), "--video", str(tmp_path))
    assert [spec.kind for spec in several] == ["jsonl", "srt", "video"]
    assert outputs("a.mp4", "--exclusive", "--events")[0].events.measure == "share"


def test_the_panel_of_the_labelled_video_is_an_option(tmp_path: Path) -> None:
    video = outputs("a.mp4", "--video", str(tmp_path), "--panel", "corner", "--set", "video.max_labels=2")[-1].video
    assert (video.panel, video.max_labels) == ("corner", 2)
    assert outputs("a.mp4", "--video", str(tmp_path), "--set", 'video.panel="off"')[-1].video.panel == "off"
    with pytest.raises(ConfigError, match="--panel: there is no labelled video; expected --video"):
        outputs("a.mp4", "--panel", "off")
    with pytest.raises(ConfigError, match="invalid choice: 'left'"):
        outputs("a.mp4", "--video", str(tmp_path), "--panel", "left")


def test_resume_needs_a_file_and_reaches_every_output(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"-o results\.jsonl"):
        outputs("a.mp4", "--resume")
    out = str(tmp_path / "out.jsonl")
    specs = outputs("a.mp4", "-o", out, "--events", str(tmp_path / "e.csv"), "--resume")
    assert [(spec.kind, spec.resume, spec.resume_from) for spec in specs] == [("jsonl", True, ""), ("csv", True, out)]


def test_one_subtitle_file_cannot_contain_two_sources() -> None:
    with pytest.raises(ConfigError, match=r"'\*\.vtt'"):
        outputs("a.mp4", "b.mp4", "--events", "x.vtt")


def test_the_fingerprint_depends_on_everything_that_affects_results(tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("dog\n")
    first = fingerprint(config("a.mp4", "--labels", f"@{words}"))
    assert fingerprint(config("b.mp4", "--labels", f"@{words}", "--engine", "torch")) == first
    words.write_text("cat\n")
    assert fingerprint(config("a.mp4", "--labels", f"@{words}")) != first
    assert fingerprint(config("a.mp4", "--fps", "4")) != fingerprint(config("a.mp4"))


@pytest.mark.parametrize(
    ("arguments", "is_for_gpu"),
    [
        ([], True),
        (["--device", "cuda:0"], True),
        (["--engine", "torch"], True),
        (["--device", "cpu"], False),
        (["--engine", "openvino"], False),
        (["-c", "default"], False),
    ],
)
def test_settings_for_gpus_are_used_if_there_is_a_gpu(
    arguments: list[str], is_for_gpu: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("commands.options.gpu_here", lambda: True)
    assert ("model" in [group.name for group in config("a.mp4", *arguments).groups]) == is_for_gpu
    monkeypatch.setattr("commands.options.gpu_here", lambda: False)
    assert "model" not in [group.name for group in config("a.mp4", *arguments).groups]


@pytest.mark.parametrize("name", ["table", "jsonl", "json", "csv"])
def test_a_format_is_that_of_stdout_beside_the_files(name: str, tmp_path: Path) -> None:
    out = str(tmp_path / "out.jsonl")
    assert [(spec.kind, spec.path) for spec in outputs("a.mp4", "--format", name)] == [(name, "-")]
    assert [(spec.kind, spec.path) for spec in outputs("a.mp4", "-o", "-", "--format", name)] == [(name, "-")]
    both = outputs("a.mp4", "-o", out, "--format", name)
    assert [(spec.kind, spec.path) for spec in both] == [("jsonl", out), (name, "-")]


@pytest.mark.parametrize("suffix", [".json", ".parquet"])
def test_a_file_that_is_written_whole_is_resumed_only_from_json_lines(suffix: str, tmp_path: Path) -> None:
    lines, whole = str(tmp_path / "out.jsonl"), str(tmp_path / f"out{suffix}")
    with pytest.raises(ConfigError, match=r"is written whole, .* Use JSON lines: -o .*out\.jsonl"):
        outputs("a.mp4", "-o", whole, "--resume")
    resumed = outputs("a.mp4", "-o", lines, "-o", whole, "--resume")
    assert [(spec.kind, spec.resume_from) for spec in resumed] == [("jsonl", ""), (suffix[1:], lines)]
