"""Picture and sound are of one programme."""

from pathlib import Path

import pytest

from tests.clock_film import Picture, Sound, write_film
from tests.clock_reading import ClockReading, read_clock
from tests.clock_ts import programmes

SMALL, LARGE = Picture(size=(64, 48)), Picture(size=(128, 96))
RADIO_S = 7.0
RADIO = Sound(codec="mp2", fixed_hz=300 + 100 * RADIO_S)
"""Always tells `RADIO_S`."""


def programme(folder: Path, number: int, picture: Picture | None, *sounds: Sound, seconds: float = 4.0) -> Path:
    options = {
        "mpegts_start_pid": str(0x100 + 0x10 * number),
        "mpegts_pmt_start_pid": str(0x1000 + 0x10 * number),
        "mpegts_service_id": str(number),
    }
    return write_film(folder / f"{number}.ts", seconds, picture, sounds, options=options)


def tells(reading: ClockReading) -> str:
    """What the sound tells."""
    errors = [abs(moment.told_s - moment.time_s) for moment in reading.sound]
    if not errors:
        return "nothing"
    return "the time" if max(errors) < 0.2 else "the radio"


@pytest.mark.parametrize("first", ["small", "large"])
@pytest.mark.parametrize("clock_is", ["small", "large"])
def test_the_sound_is_that_of_the_pictures_programme(first: str, clock_is: str, tmp_path: Path) -> None:
    loud, plain = Sound(codec="mp2", options={"b": "256k"}), Sound(options={"b": "64k"})
    radio = Sound(codec="mp2", options={"b": "256k"}, fixed_hz=RADIO.fixed_hz)
    small = (SMALL, loud if clock_is == "small" else radio)
    large = (LARGE, plain if clock_is == "large" else RADIO)
    order = [small, large] if first == "small" else [large, small]
    parts = [programme(tmp_path, number + 1, *part) for number, part in enumerate(order)]
    path = programmes(tmp_path / "both.ts", parts)
    reading = read_clock(path)
    assert (reading.info.width, reading.info.height) == LARGE.size
    assert tells(reading) == ("the time" if clock_is == "large" else "the radio")
    number = next(number for number in (0, 1) if f"sound track {number} of 2" in reading.info.notes[0])
    assert reading.info.notes == (f"sound track {number} of 2, of the picture's programme",)
    other = read_clock(path, audio_track=str(1 - number))
    assert tells(other) == ("the radio" if clock_is == "large" else "the time"), "what is asked for counts"
    assert other.info.notes == (f"sound track {1 - number} of 2",)


def test_a_silent_programme_keeps_its_silence(tmp_path: Path) -> None:
    parts = [
        programme(tmp_path, 1, SMALL, RADIO),
        programme(tmp_path, 2, LARGE, Sound(gains=[0, 0])),
        programme(tmp_path, 3, None, RADIO),
    ]
    assert tells(read_clock(programmes(tmp_path / "all.ts", parts))) == "nothing"


def test_a_programme_without_sound_does_not_take_that_of_another(tmp_path: Path) -> None:
    parts = [programme(tmp_path, 1, SMALL, RADIO), programme(tmp_path, 2, LARGE)]
    reading = read_clock(programmes(tmp_path / "both.ts", parts))
    assert reading.info.notes == ("the programme of the picture has no sound",)
    assert {clip.absent.get("audio") for clip in reading.clips} == {"no_stream"}
    sound = read_clock(tmp_path / "both.ts", modalities=("audio",))
    assert tells(sound) == "the radio", "nothing else is there to be heard"


def test_a_programme_of_sound_alone_goes_with_one_of_pictures_alone(tmp_path: Path) -> None:
    parts = [programme(tmp_path, 1, LARGE), programme(tmp_path, 2, None, Sound(codec="mp2"))]
    assert tells(read_clock(programmes(tmp_path / "apart.ts", parts))) == "the time"


def segment(folder: Path, name: str, picture: Picture | None, sound: Sound | None) -> str:
    write_film(folder / f"{name}.ts", 4.0, picture, sound)
    head = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:4\n"
    (folder / f"{name}.m3u8").write_text(f"{head}#EXTINF:4.0,\n{name}.ts\n#EXT-X-ENDLIST\n")
    return f"{name}.m3u8"


def variant(uri: str, picture: Picture, more: str = "") -> str:
    width, height = picture.size
    return f"#EXT-X-STREAM-INF:BANDWIDTH={1000 * width},RESOLUTION={width}x{height}{more}\n{uri}\n"


def test_the_sound_is_that_of_the_same_hls_variant(tmp_path: Path) -> None:
    low = segment(tmp_path, "low", SMALL, Sound(fixed_hz=1000, options={"b": "256k"}))
    high = segment(tmp_path, "high", LARGE, Sound(options={"b": "64k"}))
    (tmp_path / "master.m3u8").write_text("#EXTM3U\n" + variant(low, SMALL) + variant(high, LARGE))
    reading = read_clock(tmp_path / "master.m3u8")
    assert (reading.info.width, reading.info.height) == LARGE.size
    assert tells(reading) == "the time"


def test_hls_variants_share_the_sound_of_their_group(tmp_path: Path) -> None:
    low, high = segment(tmp_path, "low", SMALL, None), segment(tmp_path, "high", LARGE, None)
    media = ""
    for name, default, sound in (("en", "NO", Sound(fixed_hz=1000)), ("de", "YES", Sound())):
        uri = segment(tmp_path, name, None, sound)
        media += f'#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="{name}",DEFAULT={default},URI="{uri}"\n'
    group = ',CODECS="avc1.42c00a,mp4a.40.2",AUDIO="a"'
    text = "#EXTM3U\n" + media + variant(low, SMALL, group) + variant(high, LARGE, group)
    (tmp_path / "master.m3u8").write_text(text)
    reading = read_clock(tmp_path / "master.m3u8")
    assert tells(reading) == "the time"
    assert reading.info.notes == ("sound track 1 of 2",)
