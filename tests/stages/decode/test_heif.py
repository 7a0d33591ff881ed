"""Images of tiles are put together, cut to their size, and turned."""

import struct
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pipeline.errors import SourceError
from stages.decode.heif import QUARTERS, read_grid, turns_of
from tests.stages.decode.heif_grid import box, write_grid
from tests.stages.decode.reading import read
from tests.stages.decode.test_still import STORED


def picture(height: int, width: int) -> NDArray[np.uint8]:
    """A gradient, so that every place has its own colour."""
    rows, columns = np.mgrid[0:height, 0:width]
    return np.stack([255 * rows // height, 255 * columns // width, 0 * rows + 80], axis=2).astype(np.uint8)


def frame_of(path: Path) -> NDArray[np.uint8]:
    (clip,) = read(path, short_side_px=2000, long_side_px=2000).clips
    (frame,) = clip.arrays["frames"]
    return np.asarray(frame, np.uint8)


@pytest.mark.parametrize("in_idat", [False, True], ids=["in the file", "in idat"])
def test_tiles_are_one_picture_of_the_size_that_the_file_gives(tmp_path: Path, in_idat: bool) -> None:
    path = write_grid(tmp_path / "grid.avif", picture(230, 350), in_idat=in_idat)
    assert np.abs(frame_of(path).astype(int) - picture(230, 350)).mean() < 2
    assert np.abs(frame_of(path).astype(int) - np.asarray(Image.open(path).convert("RGB"))).mean() < 1


@pytest.mark.parametrize("orientation", STORED)
def test_a_grid_is_upright(tmp_path: Path, orientation: int) -> None:
    turn = STORED[orientation]
    upright = Image.fromarray(picture(160, 260))
    stored = np.asarray(upright if turn is None else upright.transpose(turn))
    frame = frame_of(write_grid(tmp_path / "grid.avif", stored, orientation))
    assert frame.shape == (160, 260, 3)
    assert np.abs(frame.astype(int) - np.asarray(upright)).mean() < 2


@pytest.mark.parametrize(("indices", "turns"), [([0], []), ([0x80], []), ([1, 0, 2], [QUARTERS[1]])])
def test_property_0_is_none(indices: list[int], turns: list[object]) -> None:
    """The last property turns: an index of 0 must not reach it from behind."""
    ipco = box(b"ispe", bytes(12)) + box(b"irot", b"\1")
    ipma = bytes(4) + struct.pack(">IHB", 1, 7, len(indices)) + bytes(indices)
    assert list(turns_of({b"ipco": ipco, b"ipma": ipma}, 7)) == turns


def test_a_grid_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    path = write_grid(tmp_path / "grid.avif", picture(230, 350))
    with pytest.raises(SourceError, match="350x230 pixels, more than the limit of 50000"):
        read(path, max_pixels=50_000)


def test_a_damaged_description_is_an_error(tmp_path: Path) -> None:
    """Any byte of it may be wrong: the file is refused in words, or still read."""
    data = write_grid(tmp_path / "grid.avif", picture(130, 140)).read_bytes()
    places = np.random.default_rng(4).integers(0, data.index(b"mdat"), 400)
    refused = 0
    for place in places:
        (tmp_path / "bad.avif").write_bytes(data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :])
        try:
            read_grid(tmp_path / "bad.avif")
        except ValueError:
            refused += 1
    assert 0 < refused < len(places)
    for cut in range(0, data.index(b"mdat"), 16):
        (tmp_path / "bad.avif").write_bytes(data[:cut])
        with pytest.raises(ValueError, match=r"description|grid|tiles"):
            read_grid(tmp_path / "bad.avif")
    (tmp_path / "bad.avif").write_bytes(data.replace(b"dimg", b"gimd"))
    with pytest.raises(SourceError, match=r"cannot be put together \(its main image is no grid\)\. Convert it"):
        read(tmp_path / "bad.avif")
