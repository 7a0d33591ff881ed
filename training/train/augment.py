"""Augmentation, the same for all frames of a clip: crops, mirroring, changes of colour, and masked sound.

Random numbers are from torch's generator, which the loop seeds for each step.
"""

import numpy as np
import torch
from torch import Tensor

from engines.networks.torchaudio_import import import_torchaudio
from pipeline.arrays import Array

LEAST_AREA = 0.6
"""A crop keeps at least this share of the picture's area."""
MOST_SHIFT_SHARE = 0.1
MOST_TIME_SHARE, MOST_BANDS_SHARE = 0.15, 0.15
"""At most these shares of the bins and bands of a log-mel patch are masked."""


def changed_stream(name: str, stream: Array, mirror: bool) -> Array:
    """A stream of a clip, augmented: "frames", "flow" or "log_mel". Sound is never mirrored."""
    if name == "log_mel":
        return changed_log_mel(stream)
    return (changed_flow if name == "flow" else changed_frames)(stream, mirror)


def changed_frames(frames: Array, mirror: bool) -> Array:
    """Frames uint8 "T H W 3", augmented with the same crop, mirroring and change of colour."""
    import kornia.augmentation as augmentation

    colours = augmentation.ColorJiggle(0.2, 0.2, 0.2, 0.02, p=0.8)
    height, width = frames.shape[1:3]
    video = torch.from_numpy(frames).permute(0, 3, 1, 2)[None].float() / 255
    changed, _, _ = _cut_and_mirrored(video, mirror, [colours])
    pixels = (changed[0].permute(0, 2, 3, 1) * 255).round().clamp(0, 255).to(torch.uint8)
    assert pixels.shape[1:3] == (height, width)
    return pixels.numpy()


def changed_flow(flow: Array, mirror: bool) -> Array:
    """Flow "P h w 2" in short sides per second, augmented as if its frames were cropped and mirrored.

    Mirroring reverses horizontal motion: u -> -u. A crop is enlarged to the size of the picture, and so is its motion.
    """
    video = torch.from_numpy(flow.astype(np.float32)).permute(0, 3, 1, 2)[None]
    changed, larger, mirrored = _cut_and_mirrored(video, mirror, [])
    factors = torch.tensor([-larger[0] if mirrored else larger[0], larger[1]])
    result: Array = (changed[0] * factors[:, None, None]).permute(0, 2, 3, 1).numpy().astype(flow.dtype)
    return result


def _cut_and_mirrored(
    video: Tensor, mirror: bool, more: list[torch.nn.Module]
) -> tuple[Tensor, tuple[float, float], bool]:
    """The cropped video "1 T C H W", by what factors it was enlarged (x, y), and whether it was mirrored."""
    import kornia.augmentation as augmentation

    height, width = video.shape[-2:]
    shape, ratio = (height, width), width / height
    cut = augmentation.RandomResizedCrop(shape, scale=(LEAST_AREA, 1.0), ratio=(ratio, ratio), p=1.0)
    flip = augmentation.RandomHorizontalFlip(p=0.5 if mirror else 0.0)
    sequence = augmentation.VideoSequential(cut, flip, *more, data_format="BTCHW", same_on_frame=True)
    changed: Tensor = sequence(video)
    cut_done, flip_done = (sequence._params[number].data for number in (0, 1))
    before, after = (np.ptp(cut_done[name][0].numpy(), axis=0) for name in ("src", "dst"))
    larger = after / np.maximum(before, 1.0)
    return changed, (float(larger[0]), float(larger[1])), bool(flip_done["batch_prob"][0] > 0.5)


def changed_log_mel(log_mel: Array) -> Array:
    """Patches "K B M", shifted in time, with a range of bins and a range of bands set to the patches' lowest value.

    SpecAugment (Park et al. 2019, arXiv 1904.08779), the same for all patches of a clip.
    """
    transforms = import_torchaudio().transforms
    patches = torch.from_numpy(log_mel)
    bins, bands = log_mel.shape[1:]
    most = int(bins * MOST_SHIFT_SHARE)
    moved = patches.roll(int(torch.randint(-most, most + 1, ()).item()), dims=1)
    floor = float(patches.min())
    time = transforms.TimeMasking(max(1, int(bins * MOST_TIME_SHARE)))
    band = transforms.FrequencyMasking(max(1, int(bands * MOST_BANDS_SHARE)))
    # torchaudio expects "... band time"
    masked = band(time(moved.transpose(1, 2), floor), floor).transpose(1, 2)
    result: Array = masked.contiguous().numpy()
    return result
