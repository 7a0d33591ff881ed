"""The live lines of a run: how far it is, how long it takes, and what fits."""

import msgspec
import pytest

from commands.progress import Pace, run_lines
from pipeline.status import Position, Status, Writing


def status(
    number: int, position_s: float, elapsed_s: float, media_s: float = 0.0, end_s: float | None = 100.0
) -> Status:
    at = Position(source="talk.mp4", source_number=number, source_count=2, clip=1, position_s=position_s, end_s=end_s)
    return Status(position=at, elapsed_s=elapsed_s, media_s=media_s)


def test_sources_count_by_their_weight() -> None:
    pace = Pace([300.0, 100.0])
    assert pace.fraction(status(1, 50, 0)) == pytest.approx(0.375)
    assert pace.fraction(status(2, 50, 0)) == pytest.approx(0.875)
    assert Pace().fraction(status(2, 50, 0)) == pytest.approx(0.75)
    assert pace.fraction(status(1, 50, 0, end_s=None)) is None


def test_a_stretch_counts_from_its_start() -> None:
    at = msgspec.structs.replace(status(1, 30, 0).position, start_s=20.0, end_s=40.0, source_count=1)
    assert Pace([7.0]).fraction(Status(position=at)) == pytest.approx(0.5)


def test_the_time_left_and_the_speed_leave_out_the_start() -> None:
    pace = Pace([1.0, 1.0])
    pace.add(status(1, 20, 60.0, media_s=20))  # the first result came after a minute
    now = status(1, 60, 70.0, media_s=60)
    pace.add(now)
    assert pace.x_real_time(now) == pytest.approx(4.0)
    assert pace.left_s(now) == pytest.approx(10 * (1 - 0.3) / (0.3 - 0.1))


def test_the_line_names_the_source_the_place_and_the_time_left() -> None:
    pace = Pace([1.0, 1.0])
    pace.add(status(1, 20, 60.0, media_s=20))
    (line,) = run_lines(status(1, 60, 70.0, media_s=60), pace, 80)
    assert line.plain.startswith("talk.mp4 1/2  ━━━━━━")
    assert line.plain.endswith("─  1:00/1:40  4.0×  0:35 left")
    (line,) = run_lines(Status(phase="prepare", elapsed_s=3.2), Pace(), 80)
    assert line.plain == "preparing  3 s"


@pytest.mark.parametrize("width", [20, 40, 60, 80, 200])
@pytest.mark.parametrize("name", ["a.mp4", "とても長い名前のビデオファイルです.mp4", "x" * 300, "e\x1b[2J\n.mp4"])
def test_no_line_is_wider_than_the_terminal_or_moves_its_cursor(width: int, name: str) -> None:
    at = Position(source=name, source_number=1, source_count=1, clip=1, position_s=3600, end_s=7200)
    now = Status(position=at, errors=3, drops=2, writing=(Writing(path=name, done=1, total=3),))
    for line in run_lines(now, Pace(), width):
        assert line.cell_len <= width
        assert not {"\x1b", "\n"} & set(line.plain)


def test_an_output_that_lags_has_a_line_of_its_own() -> None:
    now = msgspec.structs.replace(status(1, 5, 1), writing=(Writing(path="out/talk-labelled.mp4", done=40, total=60),))
    line = run_lines(now, Pace(), 80)[1].plain
    assert line.startswith("writing talk-labelled.mp4  ━━━")
    assert line.endswith("40/60 clips")
