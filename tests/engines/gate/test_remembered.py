from collections.abc import Mapping

import numpy as np
import pytest

from engines.engine import Engine, Port
from engines.gate.remembered import Remembered
from pipeline.arrays import Array


class Doubling(Engine):
    """Counts what it does."""

    backend, opened, runs, closed = "doubling", 0, 0, 0

    def __init__(self) -> None:
        super().__init__((Port("x", "float32", "B 2"),), (Port("y", "float32", "B 2"),))

    def _open(self) -> None:
        self.opened += 1

    def _run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        self.runs += 1
        return {"y": 2 * feeds["x"]}

    def _close(self) -> None:
        self.closed += 1


def feeds(value: float) -> dict[str, Array]:
    return {"x": np.full((3, 2), value, np.float32)}


def test_each_feed_is_computed_once_even_after_close() -> None:
    engine = Doubling()
    remembered = Remembered(engine)
    assert remembered.name == "doubling-fp32"
    remembered.open()
    first = remembered.run(feeds(1.0))["y"]
    first[:] = 7  # outputs belong to the caller
    np.testing.assert_array_equal(remembered.run(feeds(1.0))["y"], 2.0)
    np.testing.assert_array_equal(remembered.run(feeds(3.0))["y"], 6.0)
    assert (engine.opened, engine.runs) == (1, 2)
    remembered.close()
    assert engine.closed == 1
    remembered.open()
    np.testing.assert_array_equal(remembered.run(feeds(3.0))["y"], 6.0)
    assert (engine.opened, engine.runs) == (1, 2), "nothing new was asked"
    np.testing.assert_array_equal(remembered.run(feeds(4.0))["y"], 8.0)
    assert (engine.opened, engine.runs) == (2, 3)


def test_wrong_feeds_are_refused_as_by_the_engine_itself() -> None:
    remembered = Remembered(Doubling())
    with pytest.raises(RuntimeError, match="is not open"):
        remembered.run(feeds(1.0))
    remembered.open()
    with pytest.raises(ValueError, match="expects inputs"):
        remembered.run({"z": np.zeros((1, 2), np.float32)})
