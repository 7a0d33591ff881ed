#!/usr/bin/env bash
# kornia's antialiased bicubic resize differs from Pillow's by up to 90 grey levels; torch's own, on uint8, by 1 or 2.
#
# kornia.geometry.resize(interpolation="bicubic", antialias=True) blurs with a Gaussian and then interpolates as torch
# does without antialiasing, with another cubic (a = -0.75) than Pillow's (a = -0.5). The Gaussian is narrow: sigma is
# 0.3 px when 360 lines become 224, which hardly smooths, and 0.1 px for 300 lines, which smooths nothing.
# torch.nn.functional.interpolate(mode="bicubic", antialias=True) on uint8 follows Pillow, including the rounding
# between the two axes. On float32 it is off by a few levels, at hard edges by more, because overshoot is not clipped
# between the axes.
#
# One would guess that "bicubic" and "antialias" name one method, and that libraries differ by rounding.
#
# It matters for everyone who moves the preprocessing of CLIP, SigLIP, ViT and the like into torch or onto a GPU: the
# published image processors resize with Pillow, and the networks were trained on its results.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check \
    torch==2.13.0 kornia==0.9.0 kornia_rs==0.2.0 pillow==13.0.0 numpy==2.4.6

cd "$work"
"$work/venv/bin/python" - <<'PY'
import sys

import kornia
import numpy as np
import PIL
import torch
from PIL import Image
from torch.nn.functional import interpolate

SIZES = ((224, 398), (224, 224), (112, 199), (300, 533))  # height, width; the picture is 360x640


def picture():
    """Soft shading, flat rectangles with hard edges, and stripes: uint8 "360 640 3"."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[:360, :640].astype(float)
    shades = [128 + 100 * np.sin(x / 23) * np.cos(y / 31), 128 + 90 * np.sin((x + y) / 40), x * 255 / 640]
    made = np.stack(shades, axis=-1)
    for _ in range(60):
        top, left = random.integers(0, 340), random.integers(0, 620)
        bottom, right = top + random.integers(4, 90), left + random.integers(4, 120)
        made[top:bottom, left:right] = random.integers(0, 256, 3)
    made[200:300:4, 40:200] = 0
    return np.clip(made, 0, 255).astype(np.uint8)


def levels(batch):
    """A float or uint8 batch "1 3 H W" as whole grey levels "H W 3"."""
    return batch.float().round().clamp(0, 255)[0].permute(1, 2, 0).numpy().astype(int)


print("Versions")
print(f"  torch {torch.__version__}\n  kornia {kornia.__version__}\n  pillow {PIL.__version__}")
print("Expected: every bicubic, antialiased resize is within a few grey levels of Pillow's.")
print("Seen: largest (and mean) difference from Pillow in grey levels of 255, from 360x640")

source = picture()
pixels = torch.from_numpy(source).permute(2, 0, 1)[None]
methods = {
    "torch interpolate on uint8": lambda size: interpolate(pixels, size, mode="bicubic", antialias=True),
    "torch interpolate on float32": lambda size: interpolate(pixels.float(), size, mode="bicubic", antialias=True),
    "kornia resize, antialias": lambda size: kornia.geometry.resize(pixels.float(), size, "bicubic", antialias=True),
    "kornia resize, no antialias": lambda size: kornia.geometry.resize(pixels.float(), size, "bicubic"),
}
pillow = {
    size: np.asarray(Image.fromarray(source).resize(size[::-1], Image.Resampling.BICUBIC)).astype(int)
    for size in SIZES
}
largest = {}
print(f"  {'':30}" + "".join(f"{f'to {height}x{width}':>14}" for height, width in SIZES))
for name, resize in methods.items():
    off = [np.abs(levels(resize(size)) - pillow[size]) for size in SIZES]
    largest[name] = [int(each.max()) for each in off]
    print(f"  {name:30}" + "".join(f"{each.max():6} ({each.mean():5.3f})" for each in off))

changed = []
if max(largest["torch interpolate on uint8"]) > 2:
    changed.append("torch on uint8 is off by more than 2 levels")
if max(largest["torch interpolate on float32"]) > 20:
    changed.append("torch on float32 is off by more than 20 levels")
if max(largest["kornia resize, antialias"]) < 50:
    changed.append("kornia's antialiased resize is within 50 levels of Pillow")
if largest["kornia resize, antialias"][-1] != largest["kornia resize, no antialias"][-1]:
    changed.append("kornia smooths when it shrinks by a sixth")
print("The behaviour has changed: " + "; ".join(changed) if changed else "The behaviour is as described.")
sys.exit(bool(changed))
PY
