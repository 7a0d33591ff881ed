"""Clips changed a little, the same for all of a clip's frames: another crop, mirrored, other colours, parts unheard.

What is random follows torch's generator, which the loop sets for each step.
"""

import numpy as np
import torch
from torch import Tensor

from engines.networks.torchaudio_import import import_torchaudio
from pipeline.arrays import Array

LEAST_AREA = 0.6
"""Of the picture that a crop keeps."""
MOST_SHIFT_SHARE = 0.1
MOST_TIME_SHARE, MOST_BANDS_SHARE = 0.15, 0.15
"""Of the bins and bands of a log-mel patch that are masked."""


def changed_frames(frames: Array, mirror: bool) -> Array:
    """Frames uint8 "T H W 3": one crop, one mirroring and one change of colour for all of them."""
    import kornia.augmentation as augmentation

    colours = augmentation.ColorJiggle(0.2, 0.2, 0.2, 0.02, p=0.8)
    height, width = frames.shape[1:3]
    video = torch.from_numpy(frames).permute(0, 3, 1, 2)[None].float() / 255
    changed, _, _ = _cut_and_mirrored(video, mirror, [colours])
    pixels = (changed[0].permute(0, 2, 3, 1) * 255).round().clamp(0, 255).to(torch.uint8)
    assert pixels.shape[1:3] == (height, width)
    return pixels.numpy()


def changed_flow(flow: Array, mirror: bool) -> Array:
    """Flow "P h w 2" in short sides per second, as it would be were the frames cut and mirrored.

    In a mirror what goes right goes left: u -> -u. A crop is enlarged to the picture's size, and its motion with it.
    """
    video = torch.from_numpy(flow.astype(np.float32)).permute(0, 3, 1, 2)[None]
    changed, larger, mirrored = _cut_and_mirrored(video, mirror, [])
    factors = torch.tensor([-larger[0] if mirrored else larger[0], larger[1]])
    result: Array = (changed[0] * factors[:, None, None]).permute(0, 2, 3, 1).numpy().astype(flow.dtype)
    return result


def _cut_and_mirrored(
    video: Tensor, mirror: bool, more: list[torch.nn.Module]
) -> tuple[Tensor, tuple[float, float], bool]:
    """Video "1 T C H W", how much larger things in it became (x, y), and whether left and right changed places."""
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
    """Patches "K B M", moved in time and with a stretch of bins and of bands at the patches' lowest value.

    SpecAugment (Park et al. 2019, arXiv 1904.08779); all patches of a clip alike.
    """
    transforms = import_torchaudio().transforms
    patches = torch.from_numpy(log_mel)
    bins, bands = log_mel.shape[1:]
    most = int(bins * MOST_SHIFT_SHARE)
    moved = patches.roll(int(torch.randint(-most, most + 1, ()).item()), dims=1)
    floor = float(patches.min())
    time = transforms.TimeMasking(max(1, int(bins * MOST_TIME_SHARE)))
    band = transforms.FrequencyMasking(max(1, int(bands * MOST_BANDS_SHARE)))
    # torchaudio wants "... band time"
    masked = band(time(moved.transpose(1, 2), floor), floor).transpose(1, 2)
    result: Array = masked.contiguous().numpy()
    return result
