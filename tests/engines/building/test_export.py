"""Exported files: axes as declared, the same bytes each time, no traces of the machine."""

from pathlib import Path

import onnx
import pytest
import torch
from torch import Tensor, nn

from engines.backends.on_onnxruntime import OnnxRuntimeEngine
from engines.building.export import BF16_OPSET, OPSET, check_parity, check_types, export
from engines.engine import Port
from pipeline.errors import ModelError

INPUTS = (Port("pictures", "float32", "B 3 8 8"),)
OUTPUTS = (Port("tokens", "float32", "B 5"),)


class Small(nn.Module):
    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.linear = nn.Linear(3 * 64, 5)

    def forward(self, pictures: Tensor) -> Tensor:
        tokens: Tensor = self.linear(pictures.flatten(1))
        return tokens


class FixedBatch(Small):
    """A careless reshape: the exported file has a fixed batch."""

    def forward(self, pictures: Tensor) -> Tensor:
        tokens: Tensor = self.linear(pictures.reshape(int(pictures.shape[0]), 192)[:2])
        return tokens


def test_only_the_batch_is_dynamic(tmp_path: Path) -> None:
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


def test_an_undeclared_size_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="expected"):
        export(Small().eval(), INPUTS, (Port("tokens", "float32", "B 6"),), tmp_path / "network.onnx")


def test_the_same_network_yields_the_same_bytes_without_any_path(tmp_path: Path) -> None:
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
    with pytest.raises(ModelError, match="tokens differs by"):
        check_parity(Small(seed=1).eval(), tmp_path / "network.onnx", INPUTS, OUTPUTS)


class Normed(nn.Module):
    """A convolution followed by a batch norm, which the exporter folds into it."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU())
        self.linear = nn.Linear(4, 5)

    def forward(self, pictures: Tensor) -> Tensor:
        tokens: Tensor = self.linear(self.conv(pictures).mean((2, 3)))
        return tokens


@pytest.mark.parametrize(
    ("precision", "kind", "opset"),
    [("bf16", onnx.TensorProto.BFLOAT16, BF16_OPSET), ("fp16", onnx.TensorProto.FLOAT16, OPSET)],
)
def test_lower_precision_is_in_the_graph(tmp_path: Path, precision: str, kind: int, opset: int) -> None:
    export(Normed().eval(), INPUTS, OUTPUTS, tmp_path / "network.onnx", precision)
    model = onnx.load(tmp_path / "network.onnx")
    assert {each.data_type for each in model.graph.initializer} - {onnx.TensorProto.INT64} == {kind}
    ends = [*model.graph.input, *model.graph.output]
    assert {each.type.tensor_type.elem_type for each in ends} == {onnx.TensorProto.FLOAT}
    assert [node.op_type for node in model.graph.node].count("Cast") == 2
    assert [entry.version for entry in model.opset_import] == [opset]
    onnx.checker.check_model(model, full_check=True)


def test_fp16_computes_about_the_same(tmp_path: Path) -> None:
    export(Normed().eval(), INPUTS, OUTPUTS, tmp_path / "network.onnx", "fp16")
    engine = OnnxRuntimeEngine(tmp_path / "network.onnx", INPUTS, OUTPUTS)
    engine.open()
    pictures = torch.randn(7, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        wanted = Normed().eval()(pictures)
    torch.testing.assert_close(
        torch.from_numpy(engine.run({"pictures": pictures.numpy()})["tokens"]), wanted, atol=5e-3, rtol=0
    )
    engine.close()


def test_types_that_do_not_fit_are_an_error(tmp_path: Path) -> None:
    export(Normed().eval(), INPUTS, OUTPUTS, tmp_path / "network.onnx", "fp16")
    model = onnx.load(tmp_path / "network.onnx")
    weights = next(each for each in model.graph.initializer if len(each.dims) == 4)
    weights.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(weights).astype("float32"), weights.name))
    onnx.save(model, tmp_path / "network.onnx")
    with pytest.raises(ModelError, match=r"elem type differs|inconsistent type"):
        check_types(tmp_path / "network.onnx")


def test_weights_too_large_for_one_file_are_stored_next_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engines.building.export.PROTOBUF_BYTES", 100)
    export(Small().eval(), INPUTS, OUTPUTS, tmp_path / "network.onnx")
    assert len(list(tmp_path.iterdir())) == 2
    assert (tmp_path / "network.onnx").stat().st_size < 3_000


def test_a_length_has_the_range_of_the_network(tmp_path: Path) -> None:
    class Lengths(nn.Module):
        def forward(self, ids: Tensor) -> Tensor:
            return ids.float().mean(1, keepdim=True)

    ids, out = (Port("ids", "int64", "B L"),), (Port("vectors", "float32", "B 1"),)
    export(Lengths().eval(), ids, out, tmp_path / "network.onnx", ranges={"L": (2, 128)})
    engine = OnnxRuntimeEngine(tmp_path / "network.onnx", ids, out)
    engine.open()
    assert engine.run({"ids": torch.ones(2, 128, dtype=torch.int64).numpy()})["vectors"].shape == (2, 1)
    engine.close()
