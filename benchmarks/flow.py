"""What are the error and the cost of each optical flow method?

    python -m benchmarks.flow ../shared/data/flow [--weights ../shared/data/weights/raft-small.pth] [--updates 4 8 12]
        [--only NAME ...] [--clips ../shared/data/clips]

Every frame of the folder is moved by known flow (bicubic sampling from a larger picture, so that content enters at the
borders). The error of a method is the end-point error in pixels, over all pixels whose content stays in view. For
consecutive frames, whose flow is unknown, it is the mean difference in grey levels between the first frame and the
second frame warped back by the flow. Cost is processor time on one thread, which other processes hardly affect; with
--device cuda, wall time. Pictures have a short side of 224 px. "stage: ..." is the flow stage, which works at half.

With --clips, the stage's DIS and "dis-torch" are also compared on ten real clips: see `benchmarks.flow_on_clips`.
Figures of methods that --only leaves out stay as they were.
"""

import argparse
import json
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from benchmarks import report
from benchmarks.flow_on_clips import on_clips
from engines.backends.on_torch import TorchEngine
from engines.models.network import network
from engines.networks.raft import load_raft
from pipeline.arrays import Array
from pipeline.clip import Clip, ClipInfo
from pipeline.stage import Budget, Resources, RunSettings
from stages.flow import Flow
from stages.flow_raft import network_pictures

SHORT_SIDE_PX, LONG_SIDE_PX, MARGIN_PX = 224, 640, 32
"""Pictures are cut from larger ones with a margin on each side; the long side is limited as in decode."""
MIDDLE = np.s_[MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX]
DEGREES, ZOOM, WAVES, WAVE_PX = 3.0, 1.03, 4, 1.5

Case = tuple[str, Array, Array, Array]
"""Kind of motion, two pictures RGB uint8 "H W 3", and the flow between them float32 "H W 2"."""
Method = Callable[[Array, Array], Array]
"""Two pictures RGB uint8 "H W 3" -> flow float32 "H W 2" in pixels."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("frames", type=Path, help="folder of pictures; consecutive frames have consecutive names")
    parser.add_argument("--weights", type=Path, default=Path("../shared/data/weights/raft-small.pth"))
    parser.add_argument("--updates", type=int, nargs="*", default=[6, 8, 12])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--only", nargs="*", help="methods that are measured")
    parser.add_argument("--clips", type=Path, help="folder of films")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    methods: dict[str, Method] = {"no motion": no_motion, "dis fast": dis(), "farneback": farneback}
    methods |= {f"stage: {by}": by_stage(by, options.device) for by in ("dis", "dis-torch")}
    methods |= {f"raft-small, {n} updates": raft(options.weights, n, options.device) for n in options.updates}
    chosen = options.only if options.only is not None else list(methods)
    pictures = {path.stem: large(path) for path in sorted(options.frames.iterdir()) if cv2.haveImageReader(str(path))}
    cases = [
        (kind, *pair(picture, mapped))
        for seed, picture in enumerate(pictures.values())
        for kind, mapped in motions(picture.shape[0], picture.shape[1], seed).items()
    ]
    clock = time.thread_time if options.device == "cpu" else time.perf_counter
    earlier = json.loads((report.RESULTS / "flow.json").read_text())
    figures: dict[str, Any] = earlier["methods"]
    for name in chosen:
        figures[name] = measured(methods[name], cases, clock)
        figures[name]["left_over"] = left_over(methods[name], pictures)
        print(line(name, figures[name]), flush=True)
    clips = on_clips(options.clips, options.device) if options.clips else earlier.get("clips", {})
    summary = {
        "frames": len(pictures),
        "device": options.device,
        "measured": chosen,
        "methods": figures,
        "torch_over_dis": torch_over_dis(figures),
        "clips": clips,
    }
    report.write("flow", summary)


def torch_over_dis(figures: dict[str, Any]) -> dict[str, float]:
    """The mean end-point error of the stage's "dis-torch" over that of its DIS: by kind, of all, and at worst."""
    ours, theirs = (
        {kind: epe["mean"] for kind, epe in figures[f"stage: {by}"]["epe_px"].items()} for by in ("dis-torch", "dis")
    )
    ratios = {kind: ours[kind] / theirs[kind] for kind in ours}
    return ratios | {"all": sum(ours.values()) / sum(theirs.values()), "worst": max(ratios.values())}


def measured(method: Method, cases: list[Case], clock: Callable[[], float]) -> dict[str, Any]:
    """Mean and median end-point error by kind of motion, and milliseconds per pair."""
    errors: dict[str, list[Array]] = {}
    seconds: list[float] = []
    for kind, before, after, truth in cases:
        began = clock()
        found = method(before, after)
        seconds.append(clock() - began)
        errors.setdefault(kind, []).append(np.linalg.norm(found - truth, axis=-1)[in_view(truth)])
    return {
        "epe_px": {
            kind: {"mean": float(np.mean([e.mean() for e in each])), "median": float(np.median(np.concatenate(each)))}
            for kind, each in errors.items()
        },
        "ms_per_pair": 1e3 * float(np.median(seconds)),
    }


def motions(height: int, width: int, seed: int) -> dict[str, Callable[[Array], Array]]:
    """Functions by kind of motion, from the place of content "... 2" (x, y from the centre) to its place afterwards."""
    random = np.random.default_rng(seed)
    angle = random.uniform(0, 2 * np.pi)
    way = np.array([np.cos(angle), np.sin(angle)])
    turn = np.deg2rad(DEGREES)
    turned = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    shifts = {f"shift {px} px": lambda at, px=px: at + px * way for px in (2, 8, 20)}
    return {
        **shifts,
        "zoom 3 %": lambda at: at * ZOOM,
        "turn 3°": lambda at: at @ turned,
        "smooth": waves(random.uniform(0.2, 1, (WAVES, 2)) / (width, height), random),
        "ripples": waves(random.uniform(1, 3, (WAVES, 2)) / (width, height), random),
    }


def waves(per_px: Array, random: np.random.Generator) -> Callable[[Array], Array]:
    """A motion by a sum of waves with `per_px` "N 2" periods per pixel and random phases, heights and directions."""
    phases, heights = random.uniform(0, 2 * np.pi, WAVES), random.normal(0, WAVE_PX, (WAVES, 2))
    return lambda at: at + np.sin(2 * np.pi * at @ per_px.T + phases) @ heights


def pair(picture: Array, mapped: Callable[[Array], Array]) -> tuple[Array, Array, Array]:
    """The centre of the picture, the same after the motion, and the flow between them "H W 2"."""
    height, width = picture.shape[:2]
    grid = np.stack(np.meshgrid(np.arange(width) - width / 2, np.arange(height) - height / 2), axis=-1)
    flow = mapped(grid) - grid
    source = grid.copy()
    for _ in range(20):  # the source of a point is the fixed point of source = point - flow(source)
        source = grid - (mapped(source) - source)
    size = np.array([width, height])
    at = torch.from_numpy(2 * (source + size / 2) / (size - 1) - 1)[None]
    tensor = torch.from_numpy(picture).permute(2, 0, 1)[None].double()
    after = F.grid_sample(tensor, at, mode="bicubic", padding_mode="reflection", align_corners=True)
    moved = after[0].permute(1, 2, 0).round().clamp(0, 255).to(torch.uint8).numpy()
    return picture[MIDDLE], np.ascontiguousarray(moved[MIDDLE]), flow[MIDDLE].astype(np.float32)


def in_view(flow: Array) -> Array:
    """Whether each pixel is still in the picture after the flow: bool "H W"."""
    height, width = flow.shape[:2]
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    to_x, to_y = x + flow[..., 0], y + flow[..., 1]
    return (to_x >= 0) & (to_y >= 0) & (to_x <= width - 1) & (to_y <= height - 1)


def left_over(method: Method, pictures: dict[str, Array]) -> float:
    """Mean difference in grey levels after warping, over consecutive pictures whose names differ only in a number."""
    left = []
    for (name, first), (after_name, second) in pairwise(pictures.items()):
        before, after = first[MIDDLE], second[MIDDLE]
        if name.rstrip("0123456789") != after_name.rstrip("0123456789") or before.shape != after.shape:
            continue
        flow = method(before, after).astype(np.float32)
        x, y = np.meshgrid(*(np.arange(side, dtype=np.float32) for side in before.shape[1::-1]))
        grey = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32) for picture in (before, after)]
        back = cv2.remap(grey[1], x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR)
        left.append(np.abs(grey[0] - back)[in_view(flow)].mean())
    return float(np.mean(left))


def no_motion(before: Array, after: Array) -> Array:
    return np.zeros((*before.shape[:2], 2), np.float32)


def dis() -> Method:
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    return lambda before, after: search.calc(grey_of(before), grey_of(after), None)


def by_stage(by: str, device: str) -> Method:
    """The flow stage with this method. What it does about scene cuts is turned off."""
    stage = Flow(Flow.Options(method=by, least_agreement=-1), RunSettings(device=device), Budget())
    stage.open(Resources())
    times_ns = np.array([0, 1_000_000_000])

    def flow(before: Array, after: Array) -> Array:
        height, width = before.shape[:2]
        arrays = {"frames": np.stack([before, after]), "frame_times_ns": times_ns}
        found = stage.process(Clip(ClipInfo("", 0, 0, 0, 2_000_000_000), arrays))["flow"][0]
        large = cv2.resize(found.astype(np.float32), (width, height))
        return np.asarray(large * (np.float32([width, height]) * min(found.shape[:2]) / found.shape[1::-1]))

    return flow


def farneback(before: Array, after: Array) -> Array:
    flow: Array = cv2.calcOpticalFlowFarneback(grey_of(before), grey_of(after), None, 0.5, 3, 15, 3, 5, 1.2, 0)
    return flow


def raft(weights: Path, updates: int, device: str) -> Method:
    module = load_raft(weights)
    module.iterations = updates
    engine = TorchEngine(lambda: module, *network("raft_small").ports(weights), device=device)
    engine.open()

    def flow(before: Array, after: Array) -> Array:
        height, width = before.shape[:2]
        pictures, _ = network_pictures([before, after], width, height)
        found = engine.run({"before": pictures[:1], "after": pictures[1:]})["flow"]
        return np.moveaxis(found[0, :, :height, :width], 0, -1)

    return flow


def grey_of(picture: Array) -> Array:
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY))


def large(path: Path) -> Array:
    """The picture as RGB uint8 "H W 3", scaled to a short side of `SHORT_SIDE_PX` plus two margins."""
    picture = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    scale = (SHORT_SIDE_PX + 2 * MARGIN_PX) / min(picture.shape[:2])
    picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.asarray(picture[:, : LONG_SIDE_PX + 2 * MARGIN_PX])


def line(name: str, figures: dict[str, Any]) -> str:
    each = "  ".join(f"{kind} {epe['mean']:.2f}/{epe['median']:.2f}" for kind, epe in figures["epe_px"].items())
    return f"{name:<24} {each}  residual {figures['left_over']:.2f}  {figures['ms_per_pair']:.0f} ms"


if __name__ == "__main__":
    main()
