"""A video is rewritten picture by picture: times, sizes, colours and damage."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.errors import SourceError
from pipeline.sinks.rewrite import NS, Area, area_of, output_size
from tests.media import Sound, damage, make_size_change, make_sound, make_video, read_time_ms
from tests.pipeline.sinks.films import Picture, pictures, rewrite, sound_s, times_s


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_video(tmp_path_factory.mktemp("rewrite") / "talk.mp4", seconds=2, fps=15, audio=Sound())


def test_every_picture_keeps_its_time_and_its_content(talk: Path, tmp_path: Path) -> None:
    rewriter = rewrite(talk, tmp_path / "out.mp4")
    after = pictures(tmp_path / "out.mp4")
    assert [time_s for time_s, _ in after] == pytest.approx(times_s(talk), abs=1e-3)
    for time_s, picture in after:
        assert read_time_ms(picture) == pytest.approx(time_s * 1000, abs=1)
    assert (rewriter.film.errors, rewriter.frames) == (0, len(after))


def test_names_with_a_colon_are_files(talk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "10:30:05.mp4").symlink_to(talk)
    monkeypatch.chdir(tmp_path)
    rewriter = rewrite(Path("10:30:05.mp4"), Path("10:30:05-labelled.mp4"))
    assert rewriter.frames == len(pictures(tmp_path / "10:30:05-labelled.mp4")) > 0


def test_pictures_are_drawn_on_with_their_time(talk: Path, tmp_path: Path) -> None:
    def draw(picture: Picture, time_s: float, area: Area) -> None:
        drawn.append(time_s)
        picture[:20, :20] = 255

    drawn: list[float] = []
    rewrite(talk, tmp_path / "out.mp4", draw)
    assert drawn == pytest.approx(times_s(talk), abs=1e-3)
    before, after = pictures(talk), pictures(tmp_path / "out.mp4")
    assert all(picture[4:16, 4:16].mean() > 240 for _, picture in after)
    for (_, one), (_, other) in zip(before, after, strict=True):
        assert np.abs(one[60:].astype(int) - other[60:]).mean() < 6, "the rest stays as it was"


@pytest.mark.parametrize(
    "more", [{"vfr": True}, {"start_s": 3.0}, {"fps": 29.97, "b_frames": 3}, {"interleaved": False}], ids=str
)
def test_odd_timing_is_kept(tmp_path: Path, more: dict[str, Any]) -> None:
    source = make_video(tmp_path / "talk.mp4", seconds=2, audio=Sound(), **{"fps": 15, **more})
    rewrite(source, tmp_path / "out.mp4")
    before, after = times_s(source), times_s(tmp_path / "out.mp4")
    late = "start_s" in more  # players begin at the first picture or sound
    times = [time_s - (before[0] if late else 0) for time_s in before]
    assert [time_s - (after[0] if late else 0) for time_s in after] == pytest.approx(times, abs=2e-3)
    assert sound_s(tmp_path / "out.mp4")[1] == pytest.approx(sound_s(source)[1], abs=0.05)


def test_a_stretch_is_cut_with_its_sound(talk: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    rewrite(talk, out, start_ns=NS // 2, end_ns=NS * 3 // 2)
    times = times_s(out)
    assert times[0] == pytest.approx(0, abs=0.07)
    assert times[-1] == pytest.approx(1.0, abs=0.1)
    assert sound_s(out)[1] == pytest.approx(1.0, abs=0.06)


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_a_rotated_picture_is_written_upright(tmp_path: Path, rotation: int) -> None:
    def corner(time_s: float, width: int, height: int) -> Picture:
        """White in the corner that is at the top left after the rotation."""
        picture = np.zeros((height, width, 3), np.uint8)
        turned = np.rot90(picture, rotation // 90)
        turned[:40, :40] = 255
        return picture

    source = make_video(tmp_path / "turned.mp4", 0.2, size=(320, 240), rotation=rotation, picture=corner)
    rewrite(source, tmp_path / "out.mp4")
    picture = pictures(tmp_path / "out.mp4")[0][1]
    assert picture.shape == ((320, 240, 3) if rotation != 180 else (240, 320, 3))
    assert picture[8:32, 8:32].mean() > 200
    assert picture[60:].mean() < 30


def test_pixels_become_square(tmp_path: Path) -> None:
    source = make_video(tmp_path / "wide.mp4", 0.2, size=(320, 240), pixel_aspect=Fraction(2))
    rewrite(source, tmp_path / "out.mp4")
    assert pictures(tmp_path / "out.mp4")[0][1].shape == (240, 640, 3)


def test_a_small_picture_is_enlarged(tmp_path: Path) -> None:
    source = make_video(tmp_path / "small.mp4", 0.2, size=(160, 120))
    rewrite(source, tmp_path / "out.mp4")
    assert pictures(tmp_path / "out.mp4")[0][1].shape == (240, 320, 3)


def test_sizes_are_even_and_readable() -> None:
    assert output_size(1280, 720) == (1280, 720)
    assert output_size(175, 143) == (294, 240)
    assert output_size(7680, 4320) == (1920, 1080)
    assert output_size(1, 1) == (240, 240)
    assert output_size(5000, 2) == (1920, 2)


@pytest.mark.parametrize("suffix", [".mkv", ".mov"])
def test_the_container_follows_the_name_of_the_file(talk: Path, tmp_path: Path, suffix: str) -> None:
    rewrite(talk, tmp_path / f"out{suffix}.part")
    assert len(pictures(tmp_path / f"out{suffix}.part")) == len(pictures(talk))


def test_damage_is_counted_and_the_rest_is_written(talk: Path, tmp_path: Path) -> None:
    bad = damage(talk, tmp_path / "bad.mp4", start=0.3, zeros=3000)
    rewriter = rewrite(bad, tmp_path / "out.mp4")
    assert rewriter.film.errors > 0
    assert len(pictures(tmp_path / "out.mp4")) == rewriter.frames > 20


def test_a_source_without_pictures_is_refused(talk: Path, tmp_path: Path) -> None:
    cover = make_sound(tmp_path / "a.mp3", 0.5, cover=True)
    with pytest.raises(SourceError, match=r"it has no pictures$"):
        rewrite(cover, tmp_path / "out.mp4")
    with pytest.raises(SourceError, match="it has no pictures in this stretch"):
        rewrite(make_video(tmp_path / "late.mp4", 1, start_s=1, audio=Sound()), tmp_path / "out.mp4", end_ns=NS // 2)
    assert not (tmp_path / "out.mp4").exists()


def test_a_picture_of_another_shape_has_black_bars(tmp_path: Path) -> None:
    areas: list[Area] = []
    source = make_size_change(tmp_path / "turned.ts", [(320, 240), (240, 320), (640, 480)], seconds_each=0.4)
    rewrite(source, tmp_path / "out.mp4", lambda picture, time_s, area: areas.append(area))
    after = pictures(tmp_path / "out.mp4")
    assert {picture.shape for _, picture in after} == {(240, 320, 3)}
    assert areas[0] == Area(0, 0, 320, 240, 320, 240)
    assert areas[-1] == Area(0, 0, 320, 240, 640, 480)
    assert areas[15] == Area(70, 0, 180, 240, 240, 320)
    turned = after[15][1]
    assert max(turned[:, :64].max(), turned[:, -64:].max()) < 20
    assert turned[:, 80:240].mean() > 60


def test_a_file_may_have_room_below_its_pictures(tmp_path: Path) -> None:
    def draw(picture: Picture, time_s: float, area: Area) -> None:
        assert picture.shape == (320, 320, 3)
        assert not picture[240:].any()
        picture[250:] = 200

    source = make_size_change(tmp_path / "turned.ts", [(320, 240), (240, 320)], seconds_each=0.4)
    rewrite(source, tmp_path / "out.mp4", draw, below_px=80)
    after = [picture for _, picture in pictures(tmp_path / "out.mp4")]
    before = [picture for _, picture in pictures(source) if picture.shape == (240, 320, 3)]
    assert {picture.shape for picture in after} == {(320, 320, 3)}
    assert all((picture[256:].min() > 190) & (picture[242:246].max() < 20) for picture in after)
    assert np.abs(after[0][:238].astype(int) - before[0][:238]).mean() < 6
    assert after[-1][:240, 80:240].mean() > 60, "the one that turned is above the room, too"


@pytest.mark.parametrize(
    ("size", "into", "area"),
    [
        ((320, 240), (640, 480), (0, 0, 640, 480)),
        ((1920, 1088), (1920, 1080), (0, 0, 1920, 1080)),
        ((1000, 500), (400, 400), (0, 100, 400, 200)),
        ((500, 1000), (400, 400), (100, 0, 200, 400)),
        ((4000, 1), (400, 400), (0, 199, 400, 1)),
    ],
)
def test_a_picture_is_in_the_middle(size: tuple[int, int], into: tuple[int, int], area: tuple[int, ...]) -> None:
    found = area_of(*size, *into)
    assert (found.left, found.top, found.width, found.height) == area
    assert (found.source_width, found.source_height) == size
