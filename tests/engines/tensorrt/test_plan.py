"""Real builds of plans, for a GPU that need not be present: TensorRT-RTX supports that."""

import dataclasses
import gc
import time
import weakref
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from engines.backends.backend import Order
from engines.building.build_child import build_in_child
from engines.building.building import ensure_export
from engines.engine import Port
from engines.models.network import NETWORKS, network
from engines.networks.fusion import MovFusion, save_fusion
from engines.networks.fusion_shape import FusionShape
from engines.networks.raft import RaftSmall
from engines.tensorrt import plan as tensorrt_build
from engines.tensorrt.api import find_tensorrt, free_on_error, recording_logger
from engines.tensorrt.on_tensorrt import BACKEND, PLAN, deserialise
from engines.tensorrt.plan import Options, Phases, build_plan, profile_shapes, save_timing_cache
from pipeline.errors import ModelError
from tests.engines.networks.test_raft import weights
from tests.engines.stubs.onnx_files import order, write_onnx

pytest.importorskip("tensorrt_rtx")
MINI = Path(__file__).resolve().parents[3] / "engines" / "bundled" / "percept-mini"
AHEAD = Options(capability=(8, 6))
WELL_FORMED = 0
MALFORMED = 32
"""Results of `get_engine_validity` for a plan's header; without a GPU it checks nothing else."""


@pytest.fixture(scope="module")
def trt() -> ModuleType:
    return find_tensorrt("sm86")


def build(
    trt: ModuleType, onnx_path: Path, plan: Path, wanted: Order | None = None, options: Options = AHEAD
) -> list[str]:
    lines: list[str] = []
    build_plan(trt, wanted or order(), onnx_path, plan, lines.append, options)
    return lines


def header_fault(trt: ModuleType, plan: Path) -> int:
    return int(trt.Runtime(recording_logger(trt)).get_engine_validity(plan.read_bytes())[1])


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_plan_is_built_in_the_precision_of_the_graph(trt: ModuleType, precision: str, tmp_path: Path) -> None:
    lines = build(trt, write_onnx(tmp_path / "n.onnx", precision), tmp_path / "plan", order(precision))
    assert lines[-1].startswith(f"built {precision} plan: ")
    assert header_fault(trt, tmp_path / "plan") == WELL_FORMED


def test_the_plan_file_contains_only_the_plan_and_is_reproducible(trt: ModuleType, tmp_path: Path) -> None:
    write_onnx(tmp_path / "n.onnx")
    for name in ("a", "b"):
        build(trt, tmp_path / "n.onnx", tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    (tmp_path / "c").write_bytes(b"more" + (tmp_path / "a").read_bytes())
    assert header_fault(trt, tmp_path / "c") == MALFORMED


def test_weights_in_a_second_file_are_found(trt: ModuleType, tmp_path: Path) -> None:
    write_onnx(tmp_path / "n.onnx", external=True)
    assert (tmp_path / "n.onnx.data").stat().st_size >= 192 * 5 * 4
    build(trt, tmp_path / "n.onnx", tmp_path / "plan")
    (tmp_path / "n.onnx.data").unlink()
    with pytest.raises(ModelError, match="cannot parse it"):
        build(trt, tmp_path / "n.onnx", tmp_path / "plan")


def test_an_unsupported_operator_is_named(trt: ModuleType, tmp_path: Path) -> None:
    write_onnx(tmp_path / "n.onnx", last="Unique")
    with pytest.raises(ModelError, match=r"operator Unique \(node the_Unique\): UNSUPPORTED_NODE") as caught:
        build(trt, tmp_path / "n.onnx", tmp_path / "plan")
    assert "While parsing node number 3 [Unique" in str(caught.value)
    assert not (tmp_path / "plan").exists()


def test_a_file_that_is_not_a_network_is_reported(trt: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "n.onnx").write_bytes(b"not a network" * 50)
    with pytest.raises(ModelError, match=r"n.onnx: tensorrt_rtx [\d.]+ cannot parse it: MODEL_DESERIALIZE_FAILED"):
        build(trt, tmp_path / "n.onnx", tmp_path / "plan")


def test_a_batch_of_zero_is_a_bad_profile(trt: ModuleType, tmp_path: Path) -> None:
    write_onnx(tmp_path / "n.onnx")
    with pytest.raises(ModelError, match=r"refuses the sizes .*pictures.*\n(.*\n)*.*MIN<=OPT<=MAX"):
        build(trt, tmp_path / "n.onnx", tmp_path / "plan", order(max_batch=0))


def test_an_order_for_other_inputs_is_refused(trt: ModuleType, tmp_path: Path) -> None:
    write_onnx(tmp_path / "n.onnx")
    wrong = Order("clip_vision", "", (Port("sounds", "float32", "B 3 8 8"),), (), "fp32", "sm86")
    with pytest.raises(ModelError, match=r"inputs are \['pictures'\]; expected \['sounds'\]"):
        build(trt, tmp_path / "n.onnx", tmp_path / "plan", wrong)


def test_a_free_axis_that_the_order_fixes_is_refused(trt: ModuleType, tmp_path: Path) -> None:
    write_onnx(tmp_path / "n.onnx")
    wrong = Order("clip_vision", "", (Port("pictures", "float32", "2 3 8 8"),), (), "fp32", "sm86")
    with pytest.raises(ModelError, match="no optimization profile has been defined"):
        build(trt, tmp_path / "n.onnx", tmp_path / "plan", wrong)


def test_a_letter_without_a_range_is_named() -> None:
    with pytest.raises(ModelError, match=r"input ids \(B L\): no range is known for L"):
        profile_shapes(Port("ids", "int64", "B L"), {"B": (1, 2, 4)})


def test_every_letter_has_its_range() -> None:
    sizes = {"B": (1, 8, 64), "L": (2, 16, 77)}
    assert profile_shapes(Port("ids", "int64", "B L 3"), sizes) == ((1, 2, 3), (8, 16, 3), (64, 77, 3))


def test_an_unsupported_kind_of_gpu_is_refused(trt: ModuleType, tmp_path: Path) -> None:
    write_onnx(tmp_path / "n.onnx")
    with pytest.raises(ModelError, match=r"cannot build for SM70; it supports SM75, .*SM120"):
        build(trt, tmp_path / "n.onnx", tmp_path / "plan", options=Options(capability=(7, 0)))


def test_progress_is_reported_and_never_decreases(
    trt: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensorrt_build, "REPORT_EVERY_S", 0.0)
    *lines, last = build(trt, write_onnx(tmp_path / "n.onnx", "bf16"), tmp_path / "plan", order("bf16"))
    shares = [int(line.removeprefix("building bf16 plan: ").removesuffix(" %")) for line in lines]
    assert shares == sorted(shares)
    assert 80 <= shares[-1] <= 100
    assert len(set(shares)) > 5
    assert last.startswith("built bf16 plan")


def test_progress_is_not_reported_at_every_event(trt: ModuleType, tmp_path: Path) -> None:
    begin_s = time.monotonic()
    lines = build(trt, write_onnx(tmp_path / "n.onnx"), tmp_path / "plan")
    assert len(lines) <= 2 + time.monotonic() - begin_s


def test_inner_phases_count_towards_the_step_of_the_outer_one() -> None:
    phases = Phases()
    phases.start("all", None, 2)
    phases.step("all", 0)
    phases.start("inner", "all", 4)
    phases.step("inner", 1)
    assert phases.share == pytest.approx((1 + 2 / 4) / 2)
    phases.finish("inner")
    phases.step("all", 1)
    assert phases.share == 1.0


def test_a_cancelled_build_stops_and_the_next_one_works(trt: ModuleType, tmp_path: Path) -> None:
    write_onnx(tmp_path / "n.onnx")
    with pytest.raises(ModelError, match="building the fp32 plan was cancelled"):
        build(trt, tmp_path / "n.onnx", tmp_path / "plan", options=Options(capability=(8, 6), cancelled=lambda: True))
    assert not (tmp_path / "plan").exists()
    build(trt, tmp_path / "n.onnx", tmp_path / "plan")


def test_an_error_keeps_no_objects_of_the_library_alive(
    trt: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The garbage collector would free them at a bad moment: see `free_on_error`."""
    made: list[weakref.ref[Any]] = []
    real = trt.Builder

    def watched(logger: Any) -> Any:
        builder = real(logger)
        made.append(weakref.ref(builder))
        return builder

    monkeypatch.setattr(trt, "Builder", watched)
    write_onnx(tmp_path / "n.onnx")
    gc.disable()
    try:
        with pytest.raises(ModelError) as kept:
            build(trt, tmp_path / "n.onnx", tmp_path / "plan", order(max_batch=0))
        assert kept.value.__traceback__ is not None
        assert [reference() for reference in made] == [None]
    finally:
        gc.enable()


def test_an_exception_from_the_report_propagates_out_of_the_build(
    trt: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensorrt_build, "REPORT_EVERY_S", 0.0)

    def report(line: str) -> None:
        raise KeyboardInterrupt(line)

    with pytest.raises(KeyboardInterrupt, match="building fp32 plan"):
        build_plan(trt, order(), write_onnx(tmp_path / "n.onnx"), tmp_path / "plan", report, AHEAD)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [(lambda plan: plan[: len(plan) // 2], r"plan.header.size == blobSize"), (lambda plan: b"x" * 4096, "magicTag")],
    ids=["truncated", "garbage"],
)
def test_a_damaged_plan_is_refused_with_the_reason(trt: ModuleType, damage: Any, reason: str, tmp_path: Path) -> None:
    build(trt, write_onnx(tmp_path / "n.onnx"), tmp_path / "plan")
    (tmp_path / "plan").write_bytes(damage((tmp_path / "plan").read_bytes()))
    with (
        pytest.raises(ModelError, match=rf"(?s)plan: tensorrt_rtx [\d.]+ cannot load it\n.*{reason}"),
        free_on_error(),
    ):
        deserialise(trt, trt.Runtime(recording_logger(trt)), tmp_path / "plan")


def test_a_missing_plan_is_reported(trt: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"plan: cannot be read: No such file"):
        deserialise(trt, trt.Runtime(recording_logger(trt)), tmp_path / "plan")


def test_each_of_two_builds_reports_its_own_error(trt: ModuleType, tmp_path: Path) -> None:
    """The library uses one logger: while the first builder exists, the second one's errors go to the first's logger."""
    first = trt.Builder(recording_logger(trt))
    for last in ("Unique", "NonZero"):
        write_onnx(tmp_path / "n.onnx", last=last)
        with pytest.raises(ModelError) as caught:
            build(trt, tmp_path / "n.onnx", tmp_path / "plan")
        assert f"While parsing node number 3 [{last}" in str(caught.value)
    assert "Unique" not in str(caught.value)
    del first


class FakeTimingCache:
    """Imitates TensorRT's: bytes "v1:a,b"; other versions are not combined. The real one needs a GPU."""

    def __init__(self, kept: bytes) -> None:
        self.version, _, entries = kept.partition(b":")
        self.entries = set(entries.split(b",")) - {b""}

    def combine(self, other: "FakeTimingCache", ignore_mismatch: bool) -> bool:
        if other.version == self.version:
            self.entries |= other.entries
        return other.version == self.version

    def serialize(self) -> bytes:
        return self.version + b":" + b",".join(sorted(self.entries))


class FakeConfig:
    def __init__(self) -> None:
        self.cache = FakeTimingCache(b"v1:")

    def create_timing_cache(self, kept: bytes) -> FakeTimingCache:
        return FakeTimingCache(kept or b"v1:")

    def set_timing_cache(self, cache: FakeTimingCache, ignore_mismatch: bool) -> bool:
        if cache.version != b"v1":
            return False
        self.cache = cache
        return True

    def get_timing_cache(self) -> FakeTimingCache:
        return self.cache


def test_new_timings_are_added_to_the_timing_cache(tmp_path: Path) -> None:
    path, lines = tmp_path / "timing" / "cache", list[str]()
    for measured in (b"a", b"b"):
        config = FakeConfig()
        config.cache.entries.add(measured)
        save_timing_cache(config, path, lines.append)
    assert path.read_bytes() == b"v1:a,b"
    config = FakeConfig()
    tensorrt_build.load_timing_cache(config, path)
    assert config.cache.entries == {b"a", b"b"}
    assert lines == []


def test_a_timing_cache_of_another_version_is_ignored_and_replaced(tmp_path: Path) -> None:
    path, lines = tmp_path / "cache", list[str]()
    path.write_bytes(b"v0:old")
    config = FakeConfig()
    tensorrt_build.load_timing_cache(config, path)
    config.cache.entries.add(b"new")
    save_timing_cache(config, path, lines.append)
    assert path.read_bytes() == b"v1:new"


def test_a_timing_cache_that_cannot_be_written_costs_only_time(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    lines: list[str] = []
    save_timing_cache(FakeConfig(), tmp_path / "file" / "cache", lines.append)
    assert len(lines) == 1
    assert lines[0].startswith("the timing cache was not saved")


def test_a_plan_is_built_in_a_child_process(tmp_path: Path) -> None:
    lines: list[str] = []
    write_onnx(tmp_path / "n.onnx", "bf16")
    build_in_child("tensorrt", order("bf16"), tmp_path / "n.onnx", tmp_path, lines.append, 60.0)
    assert (tmp_path / PLAN).stat().st_size > 192 * 5 * 2
    assert lines[-1].startswith("built bf16 plan")


def test_the_log_of_the_child_process_is_in_the_error(tmp_path: Path) -> None:
    write_onnx(tmp_path / "n.onnx", last="Unique")
    with pytest.raises(ModelError, match=r"(?s)operator Unique .*While parsing node number 3"):
        build_in_child("tensorrt", order(), tmp_path / "n.onnx", tmp_path, lambda line: None, 60.0)


PLANS = [
    *(("concept_sound", precision) for precision in ("fp32", "bf16", "fp16")),
    *(
        (key, "bf16")
        for key in (
            "concept_picture",
            "mini_text",
            "clip_vision",
            "clip_text",
            "siglip_vision",
            "siglip_text",
            "clap_audio",
            "clap_text",
        )
    ),
    *((key, "bf16") for key in ("clap_fused_audio", "align_vision", "concept_motion")),
    ("raft_small", "fp16"),
    ("concept_detector", "fp16"),
    *((f"{kind}_vision", "fp16") for kind in ("owlvit", "owlv2")),
    ("mov_fusion_motion", "fp32"),
    ("mov_fusion_audio", "bf16"),
]
MINUTES = {
    ("concept_sound", "fp32"),
    ("mini_text", "bf16"),
    ("siglip_vision", "bf16"),
    ("siglip_text", "bf16"),
    ("clap_text", "bf16"),
    ("clap_fused_audio", "bf16"),
    ("align_vision", "bf16"),
    ("raft_small", "fp16"),
    ("mov_fusion_motion", "fp32"),
}
"""Those that are built only when asked for, because together they take minutes, and have layers that others have."""
LIKE_OTHERS = {
    "align_text": "a BERT like clap_text",
    "metaclip_2_text": "like clip_text",
    "metaclip_2_vision": "like clip_vision",
    "onnx_file": "runs on the CPU: it is in fp32",
    "open_clip_text": "needs open_clip",
    "open_clip_vision": "needs open_clip",
    "owlv2_text": "like clip_text",
    "owlvit_text": "like clip_text",
}
"""Networks for which no plan is built, and why."""
FAMILIES = {
    "clap_fused": "tiny_clap_fused",
    **{kind: f"tiny_{kind}" for kind in ("clip", "siglip", "clap", "align", "raft", "mov", "owlvit", "owlv2")},
}
"""Fixture with the checkpoint, by the prefix of a network's key; all others belong to the bundled model."""


def test_every_network_is_built_or_has_a_reason() -> None:
    assert {key for key, _ in PLANS} | LIKE_OTHERS.keys() == NETWORKS.keys() - {"small"}


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("key", "precision"),
    [pytest.param(*plan, marks=[pytest.mark.minutes] * (plan in MINUTES)) for plan in PLANS],
)
def test_our_networks_become_plans(
    key: str,
    precision: str,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    cache_directory: Path,
    tmp_path: Path,
    trt: ModuleType,
) -> None:
    monkeypatch.setattr(RaftSmall.__init__, "__defaults__", (1,))  # each iteration has the same layers again
    family = next((fixture for kind, fixture in FAMILIES.items() if key.startswith(f"{kind}_")), "")
    directory = request.getfixturevalue(family) if family else MINI
    inputs, outputs = network(key).ports(directory)
    ours = Order(key, str(directory), inputs, outputs, precision, "sm86", cache_directory=str(cache_directory))
    ours = dataclasses.replace(ours, max_batch=network(key).max_batch or ours.max_batch)
    exported = ensure_export(ours, BACKEND.graph(precision), lambda line: None)
    BACKEND.build(ours, exported, tmp_path, lambda line: None)
    assert header_fault(trt, tmp_path / PLAN) == WELL_FORMED
    count = sum(tensor.numel() for tensor in ours.load().state_dict().values())
    assert (tmp_path / PLAN).stat().st_size > 0.9 * count * (4 if precision == "fp32" else 2)


@pytest.fixture(scope="session")
def tiny_raft(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights for the full-size network: there is no smaller one."""
    path = tmp_path_factory.mktemp("models") / "raft-small.pth"
    torch.save(weights(), path)
    return path


@pytest.fixture(scope="session")
def tiny_mov(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fusion head whose sound tokens are shorter than the picture's."""
    directory = tmp_path_factory.mktemp("models") / "head"
    save_fusion(MovFusion(FusionShape(dims={"image": 384, "motion": 384, "audio": 512})), directory)
    return directory
