"""Specs of arrays, and the check of dtype and shape."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.arrays import RECORD, Spec, check_array, read_only
from pipeline.part import Part

dims = st.lists(st.sampled_from(["T", "H", "W", "1", "3", "0"]), max_size=4)


@given(dims, st.lists(st.integers(0, 4), min_size=3, max_size=3))
def test_an_array_that_fits_returns_the_size_of_each_letter(wanted: list[str], sizes: list[int]) -> None:
    of = dict(zip("THW", sizes, strict=True))
    array = np.zeros([of[dim] if dim in of else int(dim) for dim in wanted], np.float32)
    assert check_array("x", array, " ".join(wanted), "float32") == {dim: of[dim] for dim in wanted if dim in of}


@pytest.mark.parametrize(
    ("dims", "dtype", "shape", "wanted"),
    [
        ("T H W 3", "uint8", (4, 3, 6, 8), "uint8 (T, H, W, 3)"),
        ("T H W 3", "uint8", (4, 6, 3), "uint8 (T, H, W, 3)"),
        ("T", "float32", (4,), "float32 (T)"),
        ("N N", "uint8", (2, 3), "uint8 (N, N)"),
        ("", "uint8", (1,), "uint8 ()"),
    ],
    ids=["a fixed size differs", "too few dimensions", "another dtype", "one letter, two sizes", "not a scalar"],
)
def test_an_array_that_does_not_fit_is_named_with_what_was_expected(
    dims: str, dtype: str, shape: tuple[int, ...], wanted: str
) -> None:
    with pytest.raises(ValueError, match="must be") as caught:
        check_array("Clip.frames", np.zeros(shape, np.uint8), dims, dtype)
    assert str(caught.value) == f"Clip.frames must be {wanted}, got uint8 {shape}"


def test_a_read_only_view_shares_memory_with_an_array_that_stays_writable() -> None:
    array = np.zeros(3)
    view = read_only(array)
    with pytest.raises(ValueError, match="read-only"):
        view[0] = 1.0
    array[0] = 2.0
    assert view[0] == 2.0


def test_a_bare_spec_has_no_fields_of_its_subclass() -> None:
    """Workers receive bare specs: the type of a part is code of the stage."""
    part = Part(type=list[float], doc="Sums.")
    assert part.bare() == RECORD
    assert type(part.bare()) is Spec
    assert part.bare().is_record
    spec = Spec("uint8", "T H W 3", 300)
    assert spec.bare() == spec
    assert not spec.is_record
