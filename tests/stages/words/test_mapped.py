"""Arrays that processes map from one file."""

from pathlib import Path

import numpy as np
import pytest

from stages.words.mapped import mapped_arrays, save_arrays


def test_arrays_of_all_kinds_come_back_aligned_and_read_only(tmp_path: Path) -> None:
    path = tmp_path / "arrays"
    given = {
        "text": np.frombuffer(b"dog", np.uint8),
        "vectors": np.arange(12.0).reshape(3, 4).T,
        "share": np.array([0.25, 0.5], np.float32),
        "starts": np.array([0, 2], np.int64),
        "none": np.empty((0, 4)),
    }
    save_arrays(path, given)
    found = mapped_arrays(path)
    assert found.keys() == given.keys()
    for name, array in given.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)
        assert found[name].flags.aligned
    with pytest.raises(ValueError, match="read-only"):
        found["vectors"][0, 0] = 1.0
    assert [each.name for each in tmp_path.iterdir()] == ["arrays"]
