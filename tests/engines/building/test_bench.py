from pathlib import Path

import msgspec
import pytest

from engines.backends.table import Candidate, Settings, backend
from engines.building.bench import Timed, Timing, agree, time_all
from engines.building.choice import build_all, installed, networks, order_for, taken
from engines.models.checkpoint import read_model
from pipeline.errors import ModelError

ORT = Candidate("onnxruntime", "fp32", "cpu")


def settings(cache: Path, engine: str) -> Settings:
    return Settings(engine, "fp32", "cpu", 1, str(cache))


def test_installed_lists_the_reference_and_a_reason_for_missing_backends() -> None:
    found, missing = installed("cpu")
    assert {Candidate("torch", "fp32", "cpu"), Candidate("torch", "bf16", "cpu"), ORT} <= set(found)
    assert any(why.startswith("tensorrt: ") for why in missing)


def test_every_engine_is_timed_in_its_own_process(tiny_clip: Path, cache_directory: Path) -> None:
    run = settings(cache_directory, "onnxruntime")
    (row,) = time_all(str(tiny_clip), "", (), run, lambda text: None, [1, 3], 0.03)
    assert (row.choice.engine, row.choice.towers, row.choice.reason) == ("onnxruntime-fp32", ("image",), "")
    assert set(row.items_per_s) == {1, 3}
    assert all(rate > 1 for rate in row.items_per_s.values())
    assert row.load_s > 0
    assert 1 << 20 < row.memory_bytes < 1 << 31


def test_rounds_agree_if_every_size_was_nearly_as_fast_in_each() -> None:
    def rounds(*rates: float) -> list[dict[int, Timed]]:
        return [{1: Timed(100.0, 0), 8: Timed(rate, 0)} for rate in rates]

    assert agree(rounds(200.0, 204.0, 201.0))
    assert not agree(rounds(200.0, 230.0, 201.0))


def test_an_engine_that_cannot_be_loaded_is_reported(tiny_clip: Path, tmp_path: Path) -> None:
    order = order_for("clip_vision", str(tiny_clip), ORT, str(tmp_path), 1)
    with Timing(order, "onnxruntime") as timing, pytest.raises(ModelError, match="onnxruntime-fp32: "):
        timing.open()


def test_a_process_that_dies_is_reported(tiny_clip: Path, cache_directory: Path) -> None:
    order = order_for("clip_vision", str(tiny_clip), ORT, str(cache_directory), 1)
    with Timing(order, "onnxruntime") as timing:
        assert timing._child is not None
        timing._child.kill()
        timing._child.wait()
        with pytest.raises(ModelError, match="onnxruntime-fp32: its process ended"):
            timing.open()


def test_a_process_that_does_not_answer_times_out(tiny_clip: Path, cache_directory: Path) -> None:
    order = order_for("clip_vision", str(tiny_clip), ORT, str(cache_directory), 1)
    with (
        Timing(order, "onnxruntime", timeout_s=0.01) as timing,
        pytest.raises(ModelError, match=r"did not answer within 0 s"),
    ):
        timing.open()


def test_towers_that_share_a_network_are_listed_once() -> None:
    spec = read_model("percept-mini")
    assert spec.image is not None
    shared = msgspec.structs.replace(spec, motion=spec.image, fusion=None)
    assert [towers for towers, _ in networks(shared)] == [("image", "motion"), ("audio",), ("detector",)]
    assert [towers for towers, _ in networks(shared, ["audio"])] == [("audio",)]


def test_every_engine_is_listed_with_its_gate(tiny_clip: Path, cache_directory: Path) -> None:
    choices = list(build_all(str(tiny_clip), "", (), settings(cache_directory, "onnxruntime"), lambda text: None))
    assert [(choice.engine, choice.is_usable) for choice in choices] == [("onnxruntime-fp32", True)]
    assert choices[0].gate is not None
    (choice,) = taken(str(tiny_clip), "", (), settings(cache_directory, "onnxruntime"))
    assert (choice.engine, choice.gate, choice.reason) == ("onnxruntime-fp32", choices[0].gate, "requested by name")
    (choice,) = taken(str(tiny_clip), "", (), settings(cache_directory, "onnxruntime,torch"))
    assert (choice.engine, choice.reason) == ("onnxruntime-fp32", "first choice here")


def test_a_network_without_int8_is_reported_with_the_command(tiny_clip: Path, cache_directory: Path) -> None:
    if why := backend("openvino").missing("cpu"):
        pytest.skip(why)
    run = Settings("openvino", "int8", "cpu", 1, str(cache_directory))
    (choice,) = build_all(str(tiny_clip), "", (), run, lambda text: None)
    assert (choice.engine, choice.is_usable, choice.gate) == ("openvino-int8", False, None)
    assert "percept engine quantize" in choice.reason
