import json
from pathlib import Path

import numpy as np
import pytest

from engines.backends.on_onnxruntime import OnnxRuntimeBackend
from engines.backends.table import Candidate, backend
from engines.building.building import ensure
from engines.building.choice import order_for
from engines.cache.cache import Cache
from engines.cache.store import entries
from engines.cache.verify import Verdict, verify
from engines.models.digests import sha256_of

ORT = Candidate("onnxruntime", "fp32", "cpu")


@pytest.fixture
def root(small: Path, tmp_path: Path) -> Path:
    build(small, tmp_path)
    return tmp_path


def build(small: Path, root: Path) -> None:
    ensure(order_for("small", str(small), ORT, str(root), 1), backend("onnxruntime"), lambda text: None)


def exported(root: Path) -> Path:
    (path,) = [path for path in (root / "exports").iterdir() if path.is_dir() and "." not in path.name]
    return path


def engine_meta(root: Path) -> Path:
    (path,) = (root / "engines").glob("*/meta.json")
    return path


def perturb(folder: Path) -> None:
    """Change a weight in the exported file and update its sha-256: only the gate can detect this."""
    import onnx
    from onnx import numpy_helper

    path = folder / "network.onnx"
    model = onnx.load(path)
    weights = next(each for each in model.graph.initializer if len(each.dims) == 4)
    weights.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weights) * np.float32(1.2), weights.name))
    onnx.save(model, path)
    meta = json.loads((folder / "meta.json").read_text())
    meta["files"]["network.onnx"] = sha256_of(path)
    (folder / "meta.json").write_text(json.dumps(meta))


def verdicts(root: Path) -> list[Verdict]:
    return list(verify(str(root)))


def test_a_good_engine_passes_with_figures(root: Path) -> None:
    (verdict,) = verdicts(root)
    assert (verdict.state, verdict.name, verdict.is_fine) == ("passed", "onnxruntime-fp32", True)
    assert verdict.gate is not None
    assert {figures.batch for figures in verdict.gate.figures} == {1, 8, 16}


def test_a_wrong_weight_is_detected_set_aside_and_rebuilt(root: Path, small: Path) -> None:
    perturb(exported(root))
    assert Cache(root, "exports").find(exported(root).name)
    (verdict,) = verdicts(root)
    assert (verdict.state, verdict.is_fine) == ("failed", False)
    assert verdict.gate is not None
    assert verdict.gate.worst.max_abs > 1e-3
    assert verdicts(root) == []
    build(small, root)
    assert [each.state for each in verdicts(root)] == ["passed"]


def test_a_damaged_file_is_reported_and_set_aside(root: Path) -> None:
    path = exported(root) / "network.onnx"
    path.write_bytes(path.read_bytes()[:-1] + b"\x00")
    damaged, engine = verdicts(root)
    assert (damaged.kind, damaged.state) == ("export", "damaged")
    assert (engine.state, engine.text) == ("not checked", "its export is missing; the next run rebuilds it")
    assert list((root / "exports").glob("*.bad-0"))


def test_an_engine_that_failed_when_it_was_built_is_no_new_fault(root: Path) -> None:
    perturb(exported(root))
    meta = json.loads(engine_meta(root).read_text())
    meta["outcome"]["gate"] |= {"passed": False, "faults": ["planted"]}
    engine_meta(root).write_text(json.dumps(meta))
    (verdict,) = verdicts(root)
    assert (verdict.state, verdict.is_fine) == ("refused", True)
    assert "nothing uses it" in verdict.text
    assert exported(root).is_dir()


def test_an_engine_whose_backend_is_missing_is_not_checked_and_kept(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OnnxRuntimeBackend, "missing", lambda self, device: "is not installed. Run: pip install it")
    (verdict,) = verdicts(root)
    assert (verdict.state, verdict.text) == ("not checked", "is not installed. Run: pip install it")
    assert engine_meta(root).is_file()


def test_verification_can_be_limited_to_one_model(root: Path) -> None:
    assert list(verify(str(root), "percept-mini")) == []


def test_an_engine_for_another_machine_is_neither_checked_nor_failed(root: Path) -> None:
    meta = json.loads(engine_meta(root).read_text())
    meta["outcome"]["device"] = "sm89"
    meta["outcome"]["gate"] |= {"passed": False, "faults": ["built for sm89"], "figures": []}
    engine_meta(root).write_text(json.dumps(meta))
    (verdict,) = verdicts(root)
    assert (verdict.state, verdict.text) == ("not checked", "sm89 is not here")
    assert not next(entry for entry in entries(str(root)) if entry.kind == "engine").failed
