"""What of an archive an example is compared with."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from archive.search.asking import comparable


@pytest.mark.parametrize(
    ("dims", "expected"),
    [({"image": 8, "audio": 8}, ("audio",)), ({"image": 8}, ("image",)), ({"motion": 8}, ("audio",))],
)
def test_a_sound_is_compared_with_pictures_where_an_archive_has_no_sound(
    dims: dict[str, int], expected: tuple[str, ...]
) -> None:
    told: list[str] = []
    opened: Any = SimpleNamespace(rows=SimpleNamespace(catalog=SimpleNamespace(dims=dims)), report=told.append)
    assert comparable(opened, {"audio": np.ones(8)}) == expected
    assert bool(told) == (expected == ("image",))
