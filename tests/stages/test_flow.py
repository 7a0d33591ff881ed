"""Flow on pictures whose motion is known: shifts, warps of real frames by kornia, and cuts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from pipeline.arrays import Array, check_array
from pipeline.clip import Absent, Clip, ClipInfo
from pipeline.errors import ConfigError, ModelError
from pipeline.stage import Budget, Resources, RunSettings
from stages.flow import Flow, at_least
from stages.flow_raft import network_pictures

SECOND = 1_000_000_000


def texture(height: int, width: int, seed: int = 0) -> Array:
    """Smooth random RGB with detail at several sizes."""
    random = np.random.default_rng(seed)
    picture = np.zeros((height, width, 3))
    for cells in (4, 9, 20, 45):
        small = random.normal(size=(cells, cells, 3)).astype(np.float32)
        picture += cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.clip(picture * 30 + 128, 0, 255), np.uint8)


def clip_of(frames: Sequence[Array], times_ns: Sequence[int], **more: Any) -> Clip:
    arrays = {"frames": np.stack(frames), "frame_times_ns": np.array(times_ns, np.int64), **more}
    return Clip(ClipInfo("a.mp4", 0, 0, 0, 2 * SECOND), arrays)


def flow_of(clip: Clip, key_frames: bool = False, **options: Any) -> Any:
    settings = RunSettings(engine="torch", precision="fp32", key_frames=key_frames)
    stage = Flow(Flow.Options(**options), settings, Budget())
    resources = Resources()
    stage.open(resources)
    flow = stage.process(clip)["flow"]
    resources.close()
    return flow


@pytest.fixture(params=["dis", "raft", "dis-torch"])
def method(request: pytest.FixtureRequest) -> dict[str, str]:
    """Options of the stage; RAFT with the published weights."""
    if request.param != "raft":
        return {"method": request.param}
    return {"method": "raft", "weights": str(request.getfixturevalue("shared_data") / "weights")}


@pytest.fixture(scope="module")
def random_weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    import torch

    from engines.networks.raft import RaftSmall

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("raft") / "raft-small.pth"
    torch.save({f"module.{name}": tensor for name, tensor in RaftSmall().state_dict().items()}, path)
    return str(path)


def moved(picture: Array, x_px: float, y_px: float) -> Array:
    matrix = np.array([[1, 0, x_px], [0, 1, y_px]], float)
    size = picture.shape[1], picture.shape[0]
    return np.asarray(cv2.warpAffine(picture, matrix, size, borderMode=cv2.BORDER_REFLECT))


def middle(flow: Array) -> Array:
    height, width = flow.shape[1:3]
    return flow[:, height // 4 : -height // 4, width // 4 : -width // 4].astype(np.float32)


def test_flow_is_in_short_sides_per_second_to_the_right_and_down(method: dict[str, str]) -> None:
    still = texture(224, 398)
    flow = flow_of(clip_of([still, moved(still, 5.6, -2.8)], [0, SECOND // 8]), **method)
    assert check_array("flow", flow, "P h w 2", "float16") == {"P": 1, "h": 112, "w": 199}
    assert np.allclose(middle(flow).mean((0, 1, 2)), [5.6 / 224 * 8, -2.8 / 224 * 8], atol=0.02)


@pytest.mark.parametrize("rate_hz", [4, 8, 25])
def test_the_same_motion_yields_the_same_flow_at_any_frame_rate(rate_hz: int) -> None:
    still, speed_px = texture(224, 300), 56
    frames = [moved(still, speed_px * i / rate_hz, 0) for i in range(4)]
    flow = flow_of(clip_of(frames, [i * SECOND // rate_hz for i in range(4)]))
    assert np.allclose(middle(flow)[..., 0].mean((1, 2)), 0.25, atol=0.02)


def test_the_same_motion_yields_the_same_flow_at_any_size(method: dict[str, str]) -> None:
    small, large = texture(224, 300), texture(448, 600)
    clips = [clip_of([still, moved(still, still.shape[0] / 50, 0)], [0, SECOND // 8]) for still in (small, large)]
    found = [middle(flow_of(clip, **method)).mean((0, 1, 2)) for clip in clips]
    assert np.allclose(found, [[0.16, 0.0]] * 2, atol=0.01)


def test_flow_includes_the_pair_from_the_previous_clip() -> None:
    still = texture(224, 224)
    frames = [moved(still, 4 * i, 0) for i in range(3)]
    alone = flow_of(clip_of(frames[1:], [SECOND // 8, SECOND // 4]))
    joined = flow_of(
        clip_of(
            frames[1:],
            [SECOND // 8, SECOND // 4],
            previous_frame=frames[0],
            previous_time_ns=np.zeros(1, np.int64),
        )
    )
    assert (len(alone), len(joined)) == (1, 2)
    assert np.array_equal(joined[1], alone[0])
    assert np.allclose(middle(joined)[..., 0].mean((1, 2)), 4 / 224 * 8, atol=0.01)


def test_a_previous_frame_of_another_size_is_not_used() -> None:
    still = texture(224, 224)
    other = {"previous_frame": texture(224, 300), "previous_time_ns": np.zeros(1, np.int64)}
    assert len(flow_of(clip_of([still, still], [SECOND, 2 * SECOND], **other))) == 1


def test_one_frame_alone_is_too_short() -> None:
    assert flow_of(clip_of([texture(224, 224)], [0])) == Absent("too_short")


def test_between_key_frames_there_is_no_flow() -> None:
    assert flow_of(clip_of([texture(224, 224)] * 2, [0, SECOND]), key_frames=True) == Absent("key_frames")


def test_there_is_no_flow_across_a_scene_cut(method: dict[str, str]) -> None:
    one, two = texture(224, 300, seed=1), texture(224, 300, seed=2)
    frames = [one, moved(one, 3, 0), two, moved(two, 3, 0)]
    flow = flow_of(clip_of(frames, [i * SECOND // 8 for i in range(4)]), **method)
    assert [bool(pair.any()) for pair in flow] == [True, False, True]


def test_cuts_between_real_clips_are_detected_and_real_motion_is_not_a_cut(
    shared_data: Path, method: dict[str, str]
) -> None:
    folder = shared_data / "flow"
    pairs = [("fastflownet_000038_10.png", "fastflownet_000038_11.png"), ("raft_frame_0016.png", "raft_frame_0017.png")]
    pictures = [[load(folder / name) for name in pair] for pair in pairs]
    for before, after in pictures:
        assert flow_of(clip_of([before, after], [0, SECOND // 8]), **method).any()
    assert not flow_of(clip_of([pictures[0][0], pictures[1][0]], [0, SECOND // 8]), **method).any()


@pytest.mark.parametrize("size", [(1, 1), (2, 640), (17, 300), (31, 640), (300, 17), (40, 40)])
@pytest.mark.parametrize("by", ["dis", "dis-torch"])
def test_tiny_and_narrow_pictures_work(size: tuple[int, int], by: str) -> None:
    picture = texture(*size)
    flow = flow_of(clip_of([picture, picture], [0, SECOND // 8]), method=by)
    assert flow.shape == (1, *size, 2)
    assert np.isfinite(flow).all()


@pytest.mark.parametrize("size", [(17, 300), (300, 17), (40, 40), (90, 700)])
def test_raft_accepts_pictures_of_any_size(size: tuple[int, int], random_weights: str) -> None:
    picture = texture(*size)
    flow = flow_of(clip_of([picture, picture], [0, SECOND // 8]), method="raft", weights=random_weights)
    assert flow.shape == (1, *size, 2)
    assert np.isfinite(flow).all()


def test_network_pictures_are_padded_to_multiples_of_eight_and_not_too_long() -> None:
    frames = [np.full((90, 1280, 3), 255, np.uint8)] * 3
    pictures, size = network_pictures(frames, 1280, 90)
    assert check_array("pictures", pictures, "T 3 H W", "float32") == {"T": 3, "H": 64, "W": 640}
    assert size == (640, 45)
    assert np.allclose(pictures, 1)


def test_motion_is_the_same_if_the_network_gets_smaller_pictures(shared_data: Path) -> None:
    still = texture(224, 800)
    weights = str(shared_data / "weights" / "raft-small.pth")
    flow = flow_of(clip_of([still, moved(still, 5.6, -5.6)], [0, SECOND]), method="raft", weights=weights)
    assert flow.shape == (1, 112, 400, 2)
    assert np.allclose(middle(flow).mean((0, 1, 2)), [5.6 / 224, -5.6 / 224], atol=0.002)


def test_raft_without_weights_is_reported_before_anything_starts(tmp_path: Path) -> None:
    def stage(weights: str) -> Flow:
        return Flow(Flow.Options(method="raft", weights=weights), RunSettings(), Budget())

    with pytest.raises(ConfigError, match=r"--flow raft: needs the published weights.*--set flow.weights="):
        stage("").check()
    with pytest.raises(ModelError, match=r"not a file, nor a folder with raft-small.safetensors or raft-small.pth"):
        stage(str(tmp_path)).check()


@pytest.mark.parametrize("precision", ["auto", "bf16", "int8"])
def test_on_the_cpu_flow_is_fp32_whatever_the_towers_use(precision: str, random_weights: str) -> None:
    run = RunSettings(engine="torch", device="cpu", precision=precision)
    stage = Flow(Flow.Options(method="raft", weights=random_weights), run, Budget())
    stage.prepare(lambda text: None)
    resources = Resources()
    stage.open(resources)
    assert stage.describe() == {"flow": "raft-small-torch-fp32@112"}
    resources.close()
    assert Flow(Flow.Options(), RunSettings(), Budget()).describe() == {"flow": "opencv-dis-fast@112"}


def test_flow_fits_its_size_limit() -> None:
    budget = Budget(frames=17, short_side_px=224, long_side_px=640)
    frames = [texture(112, 640)] * 17
    flow = flow_of(
        clip_of(
            frames,
            [i * SECOND // 8 for i in range(1, 18)],
            previous_frame=frames[0],
            previous_time_ns=np.zeros(1, np.int64),
        )
    )
    stage = Flow(Flow.Options(), RunSettings(), budget)
    assert len(flow) == 17
    assert flow.nbytes <= stage.gives()["flow"].max_bytes < 1.1 * flow.nbytes


def test_times_that_do_not_increase_are_an_error() -> None:
    picture = texture(64, 64)
    with pytest.raises(ValueError, match="must increase"):
        flow_of(clip_of([picture, picture], [SECOND, SECOND]))


def test_padding_repeats_the_edge_and_does_not_change_large_pictures() -> None:
    picture = np.arange(6, dtype=np.uint8).reshape(2, 3)
    assert at_least(picture, 4).tolist() == [[0, 1, 2, 2], [3, 4, 5, 5], [3, 4, 5, 5], [3, 4, 5, 5]]
    assert at_least(picture, 2) is picture


def load(path: Path) -> Array:
    picture = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    return np.asarray(cv2.resize(picture, (398, 224), interpolation=cv2.INTER_AREA))


def warped(picture: Array, seed: int) -> tuple[Array, Array]:
    """The picture moved by kornia with a smooth random flow of up to about 6 px; and that flow "H W 2" in pixels."""
    import torch
    from kornia.geometry.transform import remap

    height, width = picture.shape[:2]
    random = np.random.default_rng(seed)
    coarse = random.normal(0, 2, (4, 6, 2)).astype(np.float32) + random.normal(0, 2, 2).astype(np.float32)
    backward = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    source = torch.from_numpy(picture.astype(np.float32)).permute(2, 0, 1)[None]
    maps = [torch.from_numpy(grid + backward[..., axis])[None] for axis, grid in enumerate((x, y))]
    after = remap(source, *maps, mode="bilinear", padding_mode="border", align_corners=True)
    # A point p of the result comes from p + b(p), so the content of q moved to the p with p + b(p) = q.
    forward = -backward
    for _ in range(8):
        back = cv2.remap(backward, x + forward[..., 0], y + forward[..., 1], cv2.INTER_LINEAR)
        forward = -back
    return after[0].permute(1, 2, 0).round().clamp(0, 255).to(torch.uint8).numpy(), forward


def test_end_point_error_on_warped_real_frames_is_below_a_pixel_and_farnebacks(shared_data: Path) -> None:
    errors: dict[str, list[float]] = {"dis": [], "dis-torch": [], "farneback": []}
    for seed, path in enumerate(sorted((shared_data / "flow").iterdir())[:8]):
        before = load(path)
        after, truth = warped(before, seed)
        ours = {by: flow_of(clip_of([before, after], [0, SECOND]), method=by)[0] for by in ("dis", "dis-torch")}
        large = {by: cv2.resize(flow.astype(np.float32), before.shape[1::-1]) for by, flow in ours.items()}
        grey = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (before, after)]
        farneback = cv2.calcOpticalFlowFarneback(*grey, None, 0.5, 3, 15, 3, 5, 1.2, 0)
        inner = np.s_[12:-12, 12:-12]
        found = {by: flow * min(before.shape[:2]) for by, flow in large.items()}
        for name, flow in (*found.items(), ("farneback", farneback)):
            errors[name].append(float(np.linalg.norm(flow[inner] - truth[inner], axis=-1).mean()))
    mean = {name: float(np.mean(values)) for name, values in errors.items()}
    print(f"mean end-point error in px: {mean}")
    assert mean["dis"] < 0.6
    assert mean["dis"] < mean["farneback"]
    assert mean["dis-torch"] < 1.1 * mean["dis"]
