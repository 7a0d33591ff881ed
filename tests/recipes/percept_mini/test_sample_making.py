import struct
import zlib

import numpy as np
import pytest

from recipes.percept_mini.sample_pictures import resources
from recipes.percept_mini.sample_sounds import LEVEL_DBFS, make


@pytest.mark.parametrize("name", ["birds", "rain", "siren"])
def test_sounds_are_equally_loud_and_the_same_each_time(name: str) -> None:
    samples = make(name, 1.0)
    assert samples.dtype == np.float32
    assert np.abs(samples).max() < 0.7
    assert 10 * np.log10(np.mean(samples.astype(np.float64) ** 2)) == pytest.approx(LEVEL_DBFS, abs=1.5)
    np.testing.assert_array_equal(samples, make(name, 1.0))


def test_files_are_read_from_a_qt_resource_collection() -> None:
    names = [b"", "a.txt".encode("utf-16-be"), "b.txt".encode("utf-16-be")]
    packed = struct.pack(">I", 5) + zlib.compress(b"hello")
    contents = struct.pack(">I", 3) + b"raw" + struct.pack(">I", len(packed)) + packed
    table, offsets = b"", []
    for name in names:
        offsets.append(len(table))
        table += struct.pack(">HI", len(name) // 2, 0) + name
    tree = struct.pack(">IHII", offsets[0], 2, 2, 1)
    tree += struct.pack(">IHHHI", offsets[1], 0, 0, 0, 0) + struct.pack(">IHHHI", offsets[2], 1, 0, 0, 7)
    head = 20
    starts = (1, head, head + len(tree), head + len(tree) + len(contents))
    data = b"qres" + struct.pack(">IIII", *starts) + tree + contents + table
    assert dict(resources(data)) == {"/a.txt": b"raw", "/b.txt": b"hello"}
    with pytest.raises(ValueError, match="not a Qt resource collection"):
        list(resources(b"PK\x03\x04" + bytes(20)))
