"""Text on pictures: its width, its place, and what is left of one that is too long."""

import numpy as np

from pipeline.sinks.lettering import WHITE, Text, one_line, plain


def test_text_is_shortened_to_its_width() -> None:
    text = Text(20)
    long = "a label with many words " * 9
    for width in (60, 200):
        fitted = text.fit(long, width)
        assert fitted.endswith("…")
        assert text.width(fitted) <= width
    assert text.fit("rain\n  on a roof", 500) == "rain on a roof"


def test_text_without_a_typeface_is_ascii() -> None:
    assert plain("Ärger 犬…") == "Arger ?..."


def test_text_is_drawn_as_wide_as_it_says() -> None:
    for size in (12, 28):
        text, picture = Text(size), np.zeros((60, 400, 3), np.uint8)
        text.draw(picture, "gjÅ walking the dog", 10, 40, WHITE)
        columns = np.flatnonzero(picture.any(axis=(0, 2)))
        assert 10 <= columns[0] < 10 + size / 3
        assert abs(columns[-1] - 10 - text.width("gjÅ walking the dog")) <= size / 4


def test_a_text_from_outside_is_one_line() -> None:
    assert one_line("rain\n\ton  a roof\r") == "rain on a roof"
    assert len(one_line("x" * 10_000)) == 200
