"""Still images: each is one clip, upright, in the right colours. Pillow writes them and says how they should look."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pipeline.errors import SourceError
from stages.decode.reader import NS
from tests.pipeline.sinks.films import pictures, rewrite
from tests.stages.decode.reading import Reading, read

RED, GREEN, BLUE, YELLOW = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)
ORIENTATION = 0x112
STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""How an upright picture is stored for each orientation of Exif."""


def photo(height: int = 120, width: int = 200) -> Image.Image:
    """Red, green over blue, yellow."""
    picture = np.zeros((height, width, 3), np.uint8)
    top, left = height // 2, width // 2
    picture[:top, :left], picture[:top, left:] = RED, GREEN
    picture[top:, :left], picture[top:, left:] = BLUE, YELLOW
    return Image.fromarray(picture)


def quarters(picture: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The colours in the middle of the quarters, row by row: "4 3"."""
    height, width = picture.shape[:2]
    rows, columns = (np.array([1, 1, 3, 3]) * height // 4, np.array([1, 3, 1, 3]) * width // 4)
    return picture[rows, columns].astype(int)


def check_photo(reading: Reading, expected: Any = (RED, GREEN, BLUE, YELLOW)) -> None:
    """One clip of 2 s with one picture of 200×120, and nothing else in it."""
    assert reading.spans_s == [(0, 2)]
    (clip,) = reading.clips
    assert (clip.info.width, clip.info.height) == (200, 120)
    assert clip.arrays["frames"].shape == (1, 120, 200, 3)
    assert clip.arrays["frame_times_ns"].tolist() == [0]
    assert np.abs(quarters(clip.arrays["frames"][0]) - np.array(expected)).max() <= 6
    assert (clip.absent["audio"], clip.absent["previous_frame"]) == ("no_stream", "too_short")
    assert not clip.info.estimated_times
    assert (reading.info.duration_ns, reading.info.frame_rate_hz, reading.info.notes) == (2 * NS, 0, ())


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "bmp", "tiff", "gif", "jp2", "avif", "tga"])
def test_an_image_is_one_clip(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"photo.{suffix}"
    photo().save(path)
    check_photo(read(path))


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tiff", "avif"])
@pytest.mark.parametrize("orientation", STORED)
def test_an_image_is_upright(tmp_path: Path, suffix: str, orientation: int) -> None:
    path, exif, turn = tmp_path / f"photo.{suffix}", Image.Exif(), STORED[orientation]
    exif[ORIENTATION] = orientation
    stored = photo() if turn is None else photo().transpose(turn)
    stored.save(path, exif=exif)
    check_photo(read(path))


def test_kinds_of_colours(tmp_path: Path) -> None:
    grey = [[0.299 * red + 0.587 * green + 0.114 * blue] * 3 for red, green, blue in (RED, GREEN, BLUE, YELLOW)]
    sixteen = np.asarray(photo().convert("L")).astype(np.uint16) * 257
    cases: dict[str, tuple[Image.Image, Any]] = {
        "cmyk.jpg": (photo().convert("CMYK"), (RED, GREEN, BLUE, YELLOW)),
        "cmyk.tiff": (photo().convert("CMYK"), (RED, GREEN, BLUE, YELLOW)),
        "palette.png": (photo().convert("P"), (RED, GREEN, BLUE, YELLOW)),
        "grey.jpg": (photo().convert("L"), grey),
        "grey.png": (photo().convert("L"), grey),
        "sixteen.png": (Image.fromarray(sixteen), grey),
        "sixteen.tiff": (Image.fromarray(sixteen), grey),
    }
    for name, (picture, expected) in cases.items():
        picture.save(tmp_path / name)
        check_photo(read(tmp_path / name), expected)


@pytest.mark.parametrize("suffix", ["png", "webp", "tiff"])
def test_what_is_transparent_is_black(tmp_path: Path, suffix: str) -> None:
    picture = photo()
    picture.putalpha(Image.fromarray(np.repeat(np.array([0, 255], np.uint8), 60 * 200).reshape(120, 200)))
    picture.save(tmp_path / f"photo.{suffix}")
    check_photo(read(tmp_path / f"photo.{suffix}"), ((0, 0, 0), (0, 0, 0), BLUE, YELLOW))


def test_the_content_decides_not_the_name(tmp_path: Path) -> None:
    photo().save(tmp_path / "photo.jpg")
    for name in ("photo", "photo.png", "photo.mp4", "photo.jpg.tmp"):
        (tmp_path / name).write_bytes((tmp_path / "photo.jpg").read_bytes())
        check_photo(read(tmp_path / name))


def test_numbered_images_are_no_video(tmp_path: Path) -> None:
    """FFmpeg takes "%03d.jpg" for 001.jpg and those after it, also if a file has this name."""
    for name, picture in (("001.jpg", photo().convert("L")), ("002.jpg", photo().convert("L")), ("%03d.jpg", photo())):
        picture.save(tmp_path / name)
    check_photo(read(tmp_path / "%03d.jpg"))
    assert len(read(tmp_path / "001.jpg").clips) == 1


def test_a_resolution_for_printers_does_not_change_the_shape(tmp_path: Path) -> None:
    photo().save(tmp_path / "fax.jpg", dpi=(204, 98))
    check_photo(read(tmp_path / "fax.jpg"))


def test_the_smallest_image(tmp_path: Path) -> None:
    for name in ("tiny.png", "tiny.jpg", "tiny.gif"):
        photo().crop((0, 0, 1, 1)).save(tmp_path / name)
        (clip,) = read(tmp_path / name).clips
        assert clip.arrays["frames"].shape == (1, 1, 1, 3)
        assert np.abs(clip.arrays["frames"][0, 0, 0].astype(int) - RED).max() <= 2


def test_a_large_image_is_reduced_and_a_larger_one_refused(tmp_path: Path) -> None:
    photo(1200, 2000).save(tmp_path / "large.jpg")
    (clip,) = read(tmp_path / "large.jpg").clips
    assert clip.arrays["frames"].shape == (1, 224, 373, 3)
    assert (clip.info.width, clip.info.height) == (2000, 1200)
    assert np.abs(quarters(clip.arrays["frames"][0]) - np.array((RED, GREEN, BLUE, YELLOW))).max() <= 6
    for suffix in ("jpg", "png", "webp", "tiff"):
        photo(1200, 2000).save(tmp_path / f"large.{suffix}")
        with pytest.raises(SourceError, match="2000x1200 pixels, more than the limit of 1000000"):
            read(tmp_path / f"large.{suffix}", max_pixels=1_000_000)


def test_the_length_of_a_clip_is_that_of_the_image(tmp_path: Path) -> None:
    photo().save(tmp_path / "photo.png")
    assert read(tmp_path / "photo.png", clip_ns=5 * NS, stride_ns=9 * NS).spans_s == [(0, 5)]
    assert read(tmp_path / "photo.png", start_ns=60 * NS, end_ns=90 * NS).spans_s == [(0, 2)]
    assert read(tmp_path / "photo.png", start_index=1).clips == []


def test_an_image_has_no_sound_to_ask_for(tmp_path: Path) -> None:
    photo().save(tmp_path / "photo.png")
    with pytest.raises(SourceError, match=r"no audio stream \(found: 1 video\). Use --modalities image,motion"):
        read(tmp_path / "photo.png", modalities=("audio",))
    (clip,) = read(tmp_path / "photo.png", modalities=("image",)).clips
    assert clip.absent["audio"] == "not_asked"


@pytest.mark.parametrize("options", [{}, {"progressive": True}], ids=["baseline", "progressive"])
def test_a_cut_jpeg_is_marked(tmp_path: Path, options: dict[str, Any]) -> None:
    picture = Image.fromarray(np.random.default_rng(3).integers(0, 255, (120, 200, 3), np.uint8))
    picture.save(tmp_path / "whole.jpg", **options)
    data = (tmp_path / "whole.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(data[: len(data) * 2 // 3])
    whole, cut = (read(tmp_path / name).clips[0] for name in ("whole.jpg", "cut.jpg"))
    assert (whole.info.decode_errors, whole.info.corrupt_frames) == (0, 0)
    assert (cut.info.decode_errors, cut.info.corrupt_frames) == (1, 1)
    if not options:
        assert np.array_equal(cut.arrays["frames"][0, :48], whole.arrays["frames"][0, :48])


@pytest.mark.parametrize("suffix", ["png", "webp", "avif"])
def test_other_cut_images_are_errors(tmp_path: Path, suffix: str) -> None:
    photo().save(tmp_path / f"whole.{suffix}")
    data = (tmp_path / f"whole.{suffix}").read_bytes()
    (tmp_path / f"cut.{suffix}").write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(SourceError, match=rf"cut\.{suffix}: the picture cannot be decoded .* Is the file complete\?"):
        read(tmp_path / f"cut.{suffix}")


def test_a_tiff_that_ffmpeg_gives_as_black_is_marked(tmp_path: Path) -> None:
    """It passes over the tables of JPEG in TIFF, as libtiff writes it, and decodes nothing, without an error."""
    photo().save(tmp_path / "scan.tiff", compression="jpeg")
    (clip,) = read(tmp_path / "scan.tiff").clips
    assert not clip.arrays["frames"].any()
    assert (clip.info.decode_errors, clip.info.corrupt_frames) == (1, 1)


@pytest.mark.parametrize("suffix", ["gif", "png", "avif"])
def test_an_animation_is_a_video(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"film.{suffix}"
    first, *others = (photo().rotate(90 * turn) for turn in range(4))
    first.save(path, save_all=True, append_images=others, duration=500)
    (clip,) = read(path).clips
    assert len(clip.arrays["frames"]) == 4
    assert clip.arrays["frame_times_ns"].tolist() == [0, NS // 2, NS, 3 * NS // 2]


def test_an_animated_webp_is_refused_with_a_remedy(tmp_path: Path) -> None:
    photo().save(tmp_path / "film.webp", save_all=True, append_images=[photo().rotate(90)], duration=500)
    with pytest.raises(SourceError, match="is an animated WebP, which FFmpeg cannot decode"):
        read(tmp_path / "film.webp")


def test_what_follows_the_picture_in_a_photo_is_left_out(tmp_path: Path) -> None:
    """Phones append a depth map, a gain map or a second view. The same bytes are a recording under another name."""
    photo().convert("L").save(tmp_path / "one.jpg")
    data = (tmp_path / "one.jpg").read_bytes()
    (tmp_path / "two.jpg").write_bytes(data * 2)
    (tmp_path / "two.mjpg").write_bytes(data * 2)
    assert len(read(tmp_path / "two.jpg").clips[0].arrays["frames"]) == 1
    assert read(tmp_path / "two.mjpg").spans_s == [(0, 0.08)]


def test_the_reader_decord_leaves_images_to_pyav(tmp_path: Path) -> None:
    pytest.importorskip("decord")
    photo().save(tmp_path / "photo.png")
    check_photo(read(tmp_path / "photo.png", reader="decord"))


def test_a_frame_with_unknown_side_data_keeps_the_known(tmp_path: Path) -> None:
    """Motion JPEG of a camera that writes Exif into every picture."""
    exif = Image.Exif()
    exif[ORIENTATION] = 3
    photo().transpose(Image.Transpose.ROTATE_180).save(tmp_path / "one.jpg", exif=exif)
    with av.open(str(tmp_path / "film.mkv"), "w") as container:
        stream: Any = container.add_stream("mjpeg", rate=5)
        stream.width, stream.height, stream.pix_fmt = 200, 120, "yuvj420p"
        for number in range(10):
            packet = av.Packet((tmp_path / "one.jpg").read_bytes())
            packet.pts = packet.dts = number
            packet.time_base, packet.stream = Fraction(1, 5), stream
            container.mux(packet)
    (clip,) = read(tmp_path / "film.mkv").clips
    assert len(clip.arrays["frames"]) == 10
    assert np.abs(quarters(clip.arrays["frames"][5]) - np.array((RED, GREEN, BLUE, YELLOW))).max() <= 6


def test_the_labelled_video_of_an_image_is_as_long_as_its_clip(tmp_path: Path) -> None:
    photo(240, 400).save(tmp_path / "photo.png")
    rewriter = rewrite(tmp_path / "photo.png", tmp_path / "film.mp4")
    assert rewriter.left_out == []
    with av.open(str(tmp_path / "film.mp4")) as container:
        assert container.duration == 2_000_000
    times_s, written = zip(*pictures(tmp_path / "film.mp4"), strict=True)
    assert [round(time_s * 25) for time_s in times_s] == list(range(50))
    for picture in (written[0], written[-1]):
        assert np.abs(quarters(picture) - np.array((RED, GREEN, BLUE, YELLOW))).max() <= 12
