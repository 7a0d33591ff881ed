import shutil
from pathlib import Path

import pytest

from engines.backends.table import Candidate, backend
from engines.building.building import ensure
from engines.building.choice import order_for
from engines.cache import store
from engines.cache.cache import locked
from engines.cache.store import Entry, entries, remove

ORT = Candidate("onnxruntime", "fp32", "cpu")


@pytest.fixture
def cache(small: Path, tmp_path: Path) -> Path:
    """A cache with an engine of the small network and its export."""
    model, root = tmp_path / "model", tmp_path / "cache"
    shutil.copytree(small, model)
    ensure(order_for("small", str(model), ORT, str(root), 1), backend("onnxruntime"), lambda text: None)
    return root


def by_kind(root: Path) -> dict[str, Entry]:
    return {entry.kind: entry for entry in entries(str(root))}


def test_a_missing_cache_has_no_entries(tmp_path: Path) -> None:
    assert entries(str(tmp_path / "none")) == []


def test_an_engine_entry_has_its_network_gate_and_export(cache: Path) -> None:
    found = by_kind(cache)
    engine, export = found["engine"], found["export"]
    assert (engine.network, engine.name, engine.device, engine.useless) == ("small", "onnxruntime-fp32", "cpu", "")
    assert engine.gate is not None
    assert engine.gate.passed
    assert not engine.failed
    assert engine.export == export.key
    assert export.size_bytes == sum(file.stat().st_size for file in Path(export.path).iterdir())
    assert (export.network, export.name, export.useless) == ("small", "fp32", "")


def test_an_engine_of_a_changed_model_and_its_export_are_useless(cache: Path, tmp_path: Path) -> None:
    (tmp_path / "model" / "seed.txt").write_text("7")
    found = by_kind(cache)
    assert "the model has changed" in found["engine"].useless
    assert found["export"].useless == "no engine uses it"


def test_an_engine_whose_model_is_gone_is_useless(cache: Path, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "model")
    assert by_kind(cache)["engine"].useless == f"its model is gone: {tmp_path / 'model'}"


def test_an_entry_without_a_readable_meta_is_useless(cache: Path) -> None:
    Path(by_kind(cache)["engine"].path, "meta.json").write_text("{")
    assert by_kind(cache)["engine"].useless == "meta.json cannot be read"


@pytest.mark.parametrize("name", ["engines/abc.bad-0", "exports/abc.new-1x2", "networks"])
def test_left_overs_are_listed_and_can_be_removed(cache: Path, name: str) -> None:
    (cache / name).mkdir(parents=True)
    (cache / name / "network.onnx").write_bytes(b"x" * 5000)
    entry = by_kind(cache)["left over"]
    assert (entry.path, entry.size_bytes, entry.failed) == (str(cache / name), 5000, True)
    assert remove(entry)
    assert not (cache / name).exists()


def test_an_entry_that_is_being_built_is_not_removed(cache: Path) -> None:
    entry = by_kind(cache)["engine"]
    with locked(cache / "engines" / f"{entry.key}.lock"):
        assert store.is_building(str(cache))
        assert not remove(entry)
        assert Path(entry.path).is_dir()
    assert not store.is_building(str(cache))
    assert remove(entry)
    assert not Path(entry.path).exists()


def test_the_networks_of_a_model_are_its_towers_texts_and_exchanges() -> None:
    assert {network for network, _ in store.networks_of("percept-mini")} == {
        "concept_detector",
        "concept_motion",
        "concept_picture",
        "concept_sound",
        "mini_text",
        "mov_fusion_audio",
        "mov_fusion_motion",
    }
