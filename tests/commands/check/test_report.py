"""Tables of `percept check`, for people and as JSON."""

import json

import pytest

from commands.check.report import Report, Section, as_data, lines

TORCH = Section("packages", (("torch", "2.13.0+cpu"), ("av", "18.1.0")))
ENGINES = Section("engines", (("image", "torch-fp32", "is the reference"),), ("tower", "engine", "reason"))


def test_columns_are_aligned() -> None:
    assert list(lines(TORCH)) == ["packages", "  torch  2.13.0+cpu", "  av     18.1.0"]
    assert list(lines(ENGINES)) == [
        "engines",
        "  tower  engine      reason",
        "  image  torch-fp32  is the reference",
    ]


def test_rows_may_have_columns_of_their_own() -> None:
    section = Section("missing", (("openvino", "pip install it", "faster"), ("the rest", "unknown")))
    assert list(lines(section))[1:] == ["  openvino  pip install it  faster", "  the rest  unknown"]


def test_the_last_cell_is_wrapped_on_a_terminal_and_whole_in_a_pipe() -> None:
    section = Section("media", (("video", " ".join(["codec"] * 20)),))
    wrapped = list(lines(section, columns=40))[1:]
    assert max(map(len, wrapped)) <= 40
    assert [line.startswith(" " * 9) for line in wrapped] == [False, True, True, True]
    assert " ".join(" ".join(wrapped).split()[1:]) == section.rows[0][1]
    assert len(list(lines(section))) == 2


def test_text_from_outside_cannot_control_the_terminal() -> None:
    (_, line) = lines(Section("sources", (("a\x1b[2J.mp4", "one\nline\x9b"),)))
    assert line == "  a?[2J.mp4  one?line?"


def test_a_title_is_printed_once(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report()
    for section in (TORCH, Section("nothing", ()), Section("packages", (("other", "1"),)), ENGINES):
        report.add(section)
    report.finish()
    assert capsys.readouterr().out == "\n".join([*lines(TORCH), "", *lines(ENGINES), ""])


def test_as_json_everything_is_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report(as_json=True)
    report.add(TORCH)
    report.add(ENGINES)
    assert capsys.readouterr().out == ""
    report.finish()
    assert json.loads(capsys.readouterr().out) == {
        "packages": {"torch": "2.13.0+cpu", "av": "18.1.0"},
        "engines": [{"tower": "image", "engine": "torch-fp32", "reason": "is the reference"}],
    }


def test_a_row_of_three_is_a_list() -> None:
    assert as_data(Section("missing", (("openvino", "pip install it", "faster"),))) == {
        "openvino": ["pip install it", "faster"]
    }
