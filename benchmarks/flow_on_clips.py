"""How much do the two kinds of DIS differ on real clips, in the flow and in what is made of it?

Run by `python -m benchmarks.flow --clips FOLDER`. Films of the folder, evenly spaced, are decoded and labelled by their
motion alone, once with each method; boxes are those that motion gives.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np

from pipeline.arrays import Array
from pipeline.build import make_plan
from pipeline.clip import Clip
from pipeline.config import load_config
from pipeline.plain import Passed, PlainLoop, refuse_failed
from pipeline.run import place, private_directory
from stages.boxes import box_iou
from stages.flow import grey_at, with_previous

FILMS = 10
METHODS = ("dis", "dis-torch")
SAME_IOU = 0.5
LEAST_CHANGE = 2.0
"""In grey levels: pairs that differ less are pictures of the same."""


def on_clips(folder: Path, device: str) -> dict[str, Any]:
    """The figures of both methods, and of how well they agree."""
    paths = [path for path in sorted(folder.iterdir()) if path.suffix in (".mp4", ".mkv", ".avi")]
    films = [paths[place] for place in np.linspace(0, len(paths) - 1, FILMS).astype(int)]
    pairs: dict[str, list[dict[str, float]]] = {"clips": [], "pairs": [], "boxes": []}
    with ExitStack() as stack:
        loops = [stack.enter_context(opened(by, device, stack)) for by in METHODS]
        for film in films:
            for clips in zip(*(loop.run(str(film)) for loop in loops), strict=True):
                refuse_failed(clips, str(film))
                if all("flow" in clip.values for clip in clips):
                    pairs["clips"].append(of_clip(*clips))
                    pairs["pairs"] += of_pairs(*clips)
                    pairs["boxes"].append(of_boxes(*clips))
    figures = {"films": len(films), "clips": len(pairs["clips"]), "pairs": len(pairs["pairs"])}
    figures |= {name: mean(pairs["pairs"], name) for name in pairs["pairs"][0]}
    figures |= {"motion_cosine": {"median": median(each["cosine"] for each in pairs["clips"]),
                                  "least": min(each["cosine"] for each in pairs["clips"])},
                "same_first_word": mean(pairs["clips"], "same_first_word"),
                "probability_differs": mean(pairs["clips"], "probability_differs")}  # fmt: skip
    boxes = {name: sum(each[name] for each in pairs["boxes"]) for name in pairs["boxes"][0]}
    figures["left_over_that_of_dis"] = figures["left_by_dis_torch"] / figures["left_by_dis"]
    figures["boxes"] = boxes | {
        "shared": (boxes["dis_shared"] + boxes["dis_torch_shared"]) / (boxes["dis"] + boxes["dis_torch"])
    }
    print(figures)
    return figures


def opened(by: str, device: str, stack: ExitStack) -> PlainLoop:
    settings = [f"flow.method={by}", "detect.detector=none", 'modalities=["motion"]', f"model.device={device}"]
    directory = stack.enter_context(private_directory())
    return PlainLoop(place(make_plan(load_config(None, settings)), directory), threads=1)


def mean(rows: list[dict[str, float]], name: str) -> float:
    return float(np.mean([row[name] for row in rows]))


def of_clip(dis: Passed, ours: Passed) -> dict[str, float]:
    """How much motion embeddings and the words by motion differ."""
    cosine = float(dis.values["motion_embedding"] @ ours.values["motion_embedding"])
    words, others = ({each["label"]: each["probability"] for each in clip.values["labels"]} for clip in (dis, ours))
    shared = words.keys() & others.keys()
    return {
        "cosine": cosine,
        "same_first_word": float(next(iter(words)) == next(iter(others))),
        "probability_differs": float(np.mean([abs(words[word] - others[word]) for word in shared])) if shared else 1.0,
    }


def of_pairs(dis: Passed, ours: Passed) -> Iterator[dict[str, float]]:
    """For each pair of frames that differ: grey levels left after warping, and pixels between both flows."""
    frames, times_ns = with_previous(Clip(dis.info, dis.values, dis.absent))
    grey = [grey_at(frame, 112) for frame in frames]
    scale = min(grey[0].shape) * np.diff(times_ns)[:, None, None, None] / 1e9
    flows = [clip.values["flow"] * scale.astype(np.float32) for clip in (dis, ours)]
    for number, (theirs, found) in enumerate(zip(*flows, strict=True)):
        before, after = grey[number], grey[number + 1]
        if np.abs(before.astype(np.float32) - after).mean() < LEAST_CHANGE or not (theirs.any() and found.any()):
            continue
        yield {
            "left_by_dis": left(before, after, theirs),
            "left_by_dis_torch": left(before, after, found),
            "left_without_flow": left(before, after, np.zeros_like(found)),
            "between_px": float(np.linalg.norm(theirs - found, axis=-1).mean()),
            "moved_px": float(np.linalg.norm(theirs, axis=-1).mean()),
        }


def left(before: Array, after: Array, flow: Array) -> float:
    """Mean difference in grey levels between the first picture and the second, warped back, where that is in view."""
    x, y = np.meshgrid(*(np.arange(side, dtype=np.float32) for side in before.shape[::-1]))
    to_x, to_y = x + flow[..., 0], y + flow[..., 1]
    back = cv2.remap(after.astype(np.float32), to_x, to_y, cv2.INTER_LINEAR)
    is_seen = (to_x >= 0) & (to_y >= 0) & (to_x <= before.shape[1] - 1) & (to_y <= before.shape[0] - 1)
    return float(np.abs(before - back)[is_seen].mean())


def of_boxes(dis: Passed, ours: Passed) -> dict[str, int]:
    """How many boxes each gives, and how many of them have a partner in the same frame."""
    theirs, found = (np.asarray(clip.values.get("boxes", np.empty((0, 6)))) for clip in (dis, ours))
    fits = (box_iou(theirs[:, 1:5], found[:, 1:5]) >= SAME_IOU) & (theirs[:, :1] == found[None, :, 0])
    return {
        "dis": len(theirs),
        "dis_torch": len(found),
        "dis_shared": int(fits.any(axis=1).sum()) if len(found) else 0,
        "dis_torch_shared": int(fits.any(axis=0).sum()) if len(theirs) else 0,
    }
