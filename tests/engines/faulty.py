"""A wrong engine as people really meet it: the file is sound, its weights are good, and what comes out is not.

ONNX Runtime 1.31.1 gets products of QDQ networks wrong where activations are uint8, with the optimisations of EXTENDED
and above, which are on by default. On a vision transformer plain cosine stays near 0.9 while centred cosine falls to 0.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import onnx

from engines.building.export import export
from engines.engine import Port
from engines.gate.golden import golden
from pipeline.arrays import Array

INPUTS = (Port("pictures", "float32", "B 3 32 32"),)
OUTPUTS = (Port("tokens", "float32", "B 64"),)
CALIBRATION_SAMPLES = 16


def export_vit(into: Path) -> Path:
    """A random vision transformer in fp32, deep enough for the fault to show, of `INPUTS` and `OUTPUTS`."""
    from engines.networks.torchaudio_import import import_torchaudio

    import_torchaudio()
    import torch
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    from engines.networks.transformers_towers import VisionTower

    torch.manual_seed(0)
    sizes = {"hidden_size": 64, "intermediate_size": 256, "num_hidden_layers": 8, "num_attention_heads": 1}
    model = CLIPVisionModelWithProjection(CLIPVisionConfig(**sizes, image_size=32, patch_size=8, projection_dim=64))
    path = into / "vit.onnx"
    export(VisionTower(model.vision_model, model.visual_projection).eval(), INPUTS, OUTPUTS, path)
    return path


def make_qdq_fault(exported: Path, into: Path) -> Path:
    """Quantise the network of `export_vit` so that ONNX Runtime computes something else. Gives the new file.

    Other runtimes, and ONNX Runtime with fewer optimisations, compute it well.
    """
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    plain, faulty = into / "plain.onnx", into / "faulty.onnx"
    model = onnx.load(exported)
    del model.graph.value_info[:]  # the quantiser stumbles over its dynamic sizes
    onnx.save(model, plain)
    with _quiet():
        quantize_static(
            plain,
            faulty,
            _Feeds(),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            op_types_to_quantize=["MatMul", "Gemm"],
        )
    return faulty


class _Feeds:
    """The golden batch, one sample after the other, as the quantiser asks for it."""

    def __init__(self) -> None:
        pictures = golden(INPUTS, CALIBRATION_SAMPLES)["pictures"]
        self._feeds = iter([{"pictures": picture[None]} for picture in pictures])

    def get_next(self) -> dict[str, Array] | None:
        return next(self._feeds, None)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the quantiser's advice, which it gives through the root logger."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)
