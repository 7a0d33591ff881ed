"""Exported files: axes as declared, the same bytes each time, nothing of the machine in them."""

from pathlib import Path

import onnx
import pytest
import torch
from torch import Tensor, nn

from engines.engine import Port
from engines.export import OPSET, check_parity, export
from pipeline.errors import ModelError

INPUTS = (Port("pictures", "float32", "B 3 8 8"),)
OUTPUTS = (Port("tokens", "float32", "B 5"),)


class Small(nn.Module):
    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.say = nn.Linear(3 * 64, 5)

    def forward(self, pictures: Tensor) -> Tensor:
        said: Tensor = self.say(pictures.flatten(1))
        return said


class FixedBatch(Small):
    """What a careless reshape does: the batch it was exported with is built in."""

    def forward(self, pictures: Tensor) -> Tensor:
        said: Tensor = self.say(pictures.reshape(int(pictures.shape[0]), 192)[:2])
        return said


def test_the_batch_is_dynamic_and_the_rest_is_not(tmp_path: Path) -> None:
    export(Small().eval(), INPUTS, OUTPUTS, tmp_path / "network.onnx")
    model = onnx.load(tmp_path / "network.onnx")
    axes = model.graph.input[0].type.tensor_type.shape.dim
    assert axes[0].dim_param
    assert not axes[0].dim_value
    assert [axis.dim_value for axis in axes[1:]] == [3, 8, 8]
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", OPSET)]
    onnx.checker.check_model(model)


def test_a_fixed_axis_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"tokens has axes \(2, 5\); expected \(B, 5\)"):
        export(FixedBatch().eval(), INPUTS, OUTPUTS, tmp_path / "network.onnx")


def test_another_size_than_declared_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="expected"):
        export(Small().eval(), INPUTS, (Port("tokens", "float32", "B 6"),), tmp_path / "network.onnx")


def test_the_same_network_gives_the_same_bytes_without_any_path(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        export(Small().eval(), INPUTS, OUTPUTS, tmp_path / name / "network.onnx")
    written = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert written
    for name in written:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    text = (tmp_path / "a" / "network.onnx").read_bytes()
    for trace in (b".py", b"stack_trace", str(Path(__file__).parent).encode()):
        assert trace not in text


def test_a_file_that_computes_something_else_is_an_error(tmp_path: Path) -> None:
    export(Small().eval(), INPUTS, OUTPUTS, tmp_path / "network.onnx")
    with pytest.raises(ModelError, match="tokens is off by"):
        check_parity(Small(seed=1).eval(), tmp_path / "network.onnx", INPUTS, OUTPUTS)
