"""Codecs are those that really decode."""

import av
import pytest

from commands.check.codecs import AUDIO, PICTURES, VIDEO, WRITTEN, hardware_decoders, usable


def test_only_what_exists_is_usable() -> None:
    assert usable(["h264", "no-such-codec", "aac"]) == ["h264", "aac"]
    assert usable(["prores_raw_of_2050"], "w") == []


@pytest.mark.parametrize("name", [*VIDEO, *AUDIO, *PICTURES])
def test_a_decoder_that_is_named_can_be_opened(name: str) -> None:
    assert usable([name]) == [name]
    assert av.CodecContext.create(name, "r").name


def test_the_encoders_are_those_of_the_labelled_video() -> None:
    assert usable(WRITTEN, "w") == list(WRITTEN)


def test_hardware_is_told_by_kind() -> None:
    assert set(hardware_decoders()) <= {"cuda", "vaapi", "qsv", "vulkan"}
