"""`percept view` from the command line, and `--html` of a run."""

import logging
from pathlib import Path
from typing import Any

import pytest

from commands.main import main
from tests.media import make_video
from tests.pages.records import clip, following, label, written

SIZE = (64, 48)


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    make_video("talk.mp4", 4, 25, SIZE)
    return written(tmp_path / "talk.jsonl", following("talk.mp4", 4, SIZE))


def view(*arguments: str) -> int:
    return main(["view", *arguments])


def test_the_page_is_next_to_the_results_and_its_address_is_printed(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert view("talk.jsonl") == 0
    out, err = capsys.readouterr()
    assert out.strip() == results.with_suffix(".html").as_uri()
    assert "wrote talk.html: 2 clips of 1 source, 0.1 MB" in err
    assert view("talk.jsonl") == 0, "a page of ours is written again"


def test_another_name_and_a_file_that_is_not_ours(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.html").write_text("<p>mine")
    assert view("talk.jsonl", "--html", "mine.html") == 2
    assert "mine.html: exists already and is no page of percept" in capsys.readouterr().err
    assert view("talk.jsonl", "--html", "mine.html", "--overwrite") == 0
    assert view("talk.jsonl", "--html", "talk.jsonl", "--overwrite") == 2
    assert view("talk.jsonl", "--html", "talk.mp4", "--video", "talk.mp4", "--overwrite") == 2
    assert view("talk.jsonl", "--html", ".") == 2
    assert "is a folder; expected a file" in capsys.readouterr().err


def test_a_video_that_does_not_fit_is_a_warning(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_video("short.mp4", 1, 25, (48, 96))
    assert view("talk.jsonl", "--video", "short.mp4") == 0
    err = capsys.readouterr().err
    assert "the results end at 4.0 s, but short.mp4 ends at 1.0 s: is it the right file?" in err
    assert "the results are of 64×48 pixels, but short.mp4 has 48×96: is it the right file?" in err
    make_video("long.mp4", 20, 5, SIZE)
    assert view("talk.jsonl", "--video", "long.mp4") == 0
    assert "the results end at 4.0 s, but long.mp4 ends at 20.0 s" in capsys.readouterr().err
    assert view("talk.jsonl", "--video", "gone.mp4") == 2
    assert "--video gone.mp4: no such file" in capsys.readouterr().err
    Path("broken.mp4").write_text("no video")
    assert view("talk.jsonl", "--video", "broken.mp4") == 2
    assert "--video broken.mp4: cannot be read as video or sound" in capsys.readouterr().err
    assert view("talk.jsonl", "--html=") == 2
    assert "--html: has no name; expected a file" in capsys.readouterr().err


def test_a_source_that_is_gone_is_a_warning(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("talk.mp4").rename("moved.mp4")
    assert view("talk.jsonl") == 0
    assert "talk.mp4 was not found, so the page shows no video" in capsys.readouterr().err
    assert view("talk.jsonl", "--video", "moved.mp4") == 0
    assert "warning" not in capsys.readouterr().err
    Path("talk.mp4").write_text("no video")
    assert view("talk.jsonl") == 0
    assert "talk.mp4 cannot be opened" in capsys.readouterr().err


def test_one_video_for_several_sources_goes_by_its_name(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = clip("other.mp4", 0, [label("dog", 0.9)])
    written(results, [*following("talk.mp4", 4, SIZE), other])
    Path("films").mkdir()
    make_video("films/other.mp4", 2, 25, SIZE)
    assert view("talk.jsonl", "--video", "films/other.mp4") == 0
    assert "films/other.mp4" in Path("talk.html").read_text()
    make_video("films/x.mp4", 1, 25, SIZE)
    assert view("talk.jsonl", "--video", "films/x.mp4") == 2
    assert "the results are of 2 sources (talk.mp4, other.mp4), and none has this name" in capsys.readouterr().err


def test_what_is_no_file_of_results_is_refused(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("empty.jsonl").touch()
    for name, text in (("gone.jsonl", "no such file"), ("empty.jsonl", "has no results"), ("talk.mp4", "is a video")):
        assert view(name) == 2
        assert f"{name}: {text}" in capsys.readouterr().err


def test_a_preview_is_announced(results: Path, caplog: pytest.LogCaptureFixture, capsys: Any) -> None:
    make_video("old.mkv", 2, 25, SIZE)
    written(results, following("old.mkv", 2, SIZE))
    with caplog.at_level(logging.INFO):
        assert view("talk.jsonl") == 0
    assert "making a preview, because of the container matroska: talk-preview.mp4" in capsys.readouterr().err
    assert Path("talk-preview.mp4").exists()


def test_html_of_a_run_is_an_output_like_others(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from commands.options import make_config
    from commands.outputs import make_outputs
    from commands.run import make_parser

    def kinds(*arguments: str) -> list[tuple[str, str]]:
        options = make_parser().parse_args(["talk.mp4", *arguments])
        return [(spec.path, spec.kind) for spec in make_outputs(options, make_config(options), ["talk.mp4"])]

    assert kinds("--html", "page.html") == [("-", "jsonl"), ("page.html", "html")]
    assert kinds("-o", "a.jsonl", "-o", "page.html") == [("a.jsonl", "jsonl"), ("page.html", "html")]
    assert main(["run", "talk.mp4", "--html", "page.png"]) == 2
    assert "--html page.png: expected the name of a page, such as page.html" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["", ".", "/", ".."])
def test_what_has_no_name_of_a_file_is_refused(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert view(name) == 2
    assert "expected a file of results, such as talk.jsonl" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "text"), [("", "expected the name of a page"), (".", "is a folder")])
def test_a_page_without_a_name_is_refused(
    name: str, text: str, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "talk.mp4", f"--html={name}"]) == 2
    assert text in capsys.readouterr().err
