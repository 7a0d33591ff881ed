#!/usr/bin/env bash
# With transformers' CLAP, the embedding of a short sound varies at random, and differs alone and in a batch.
#
# The feature extractor marks each sound that was longer than ten seconds (`is_longer`), and a fused CLAP sends these
# through another branch. If no sound of a call is longer, the extractor picks one at random and marks it as longer
# anyway. So one of four short sounds uses the wrong branch, a different one in each call, and a short sound alone
# always does. Sounds that really are longer are cut at random places. The random numbers come from numpy's global
# state: torch.manual_seed does not fix them, np.random.seed does.
#
# One would guess that inference is repeatable, at least for sounds that are not cut at all, and that the embedding of a
# sound does not depend on what else is in its batch.
#
# It matters for search and zero-shot labels: an index made in batches contains one wrong vector per batch, and a query,
# made alone, is wrong every time. The remedy is to set `is_longer` from the length of the sound.
#
# The network here is small and its weights are random, so the size of the change is not that of a published model.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check torch==2.13.0 transformers==5.23.0 numpy==2.4.6

cd "$work"
export HF_HUB_OFFLINE=1
"$work/venv/bin/python" - <<'PY'
import sys

import numpy as np
import torch
import transformers
from transformers import ClapAudioConfig, ClapAudioModelWithProjection, ClapFeatureExtractor

RATE_HZ = 48_000
CALLS = 3

torch.manual_seed(0)
FUSED = {"enable_fusion": True, "enable_patch_fusion": True}  # as in the published fused checkpoints
SMALL = {"depths": [1] * 4, "num_attention_heads": [2] * 4, "patch_embeds_hidden_size": 24, "hidden_size": 192}
model = ClapAudioModelWithProjection(ClapAudioConfig(**FUSED, **SMALL)).eval()
extractor = ClapFeatureExtractor()


def tone(frequency_hz, seconds):
    """A tone that rises slowly."""
    time = np.arange(seconds * RATE_HZ) / RATE_HZ
    return (0.3 * np.sin(2 * np.pi * frequency_hz * time * (1 + 0.02 * time))).astype(np.float32)


def features(sounds):
    torch.manual_seed(0)
    return extractor(sounds, sampling_rate=RATE_HZ, return_tensors="pt")


def embedded(found):
    with torch.inference_mode():
        return torch.nn.functional.normalize(model(**found).audio_embeds, dim=-1)


def cosines(a, b):
    return [round(float(each), 3) for each in (a * b).sum(-1)]


print("Versions")
print(f"  transformers {transformers.__version__}\n  torch {torch.__version__}\n  numpy {np.__version__}")
print("Expected: no sound of five seconds counts as longer than ten; all cosines of a sound with itself are 1.")
print("Seen:")
short = [tone(frequency_hz, 5) for frequency_hz in (300, 500, 800, 1300)]
np.random.seed(3)
batches = [features(short) for _ in range(CALLS)]
for number, batch in enumerate(batches):
    print(f"  four sounds of 5 s, call {number + 1}: is_longer = {batch['is_longer'].ravel().tolist()}")
alone = features(short[:1])
print(f"  the first of them alone:    is_longer = {alone['is_longer'].ravel().tolist()}")
marked = [batch["is_longer"].ravel().tolist() for batch in batches]
by_length = batches[0] | {"is_longer": torch.zeros(4, 1, dtype=torch.bool)}
right = embedded(by_length)
as_given = cosines(embedded(batches[0]), right)
by_itself = cosines(embedded(alone), right[:1])
print(f"  cosine of call 1 with is_longer set by length: {as_given}")
print(f"  cosine of the first sound alone with the same: {by_itself}")

same_inputs = all(torch.equal(batch["input_features"], batches[0]["input_features"]) for batch in batches)
long = [tone(300, 20)]
once, again = features(long)["input_features"], features(long)["input_features"]
apart = float((once - again).abs().max())
np.random.seed(0)
once = features(long)["input_features"]
np.random.seed(0)
held = float((once - features(long)["input_features"]).abs().max())
print(f"  one sound of 20 s twice: spectrograms differ by up to {apart:.0f} dB; with np.random.seed by {held:.0f} dB")

changed = []
if not same_inputs:
    changed.append("the spectrograms of short sounds differ")
if any(sum(each) != 1 for each in marked) or len({each.index(True) for each in marked if True in each}) < 2:
    changed.append("not one sound at random is marked as longer")
if alone["is_longer"].ravel().tolist() != [True] or by_itself[0] > 0.99:
    changed.append("a short sound alone is not marked as longer")
if [cosine < 0.99 for cosine in as_given] != marked[0]:
    changed.append("the mark does not change the embedding")
if apart < 1 or held > 0:
    changed.append("long sounds are not cut by numpy's global random state")
print("The behaviour has changed: " + "; ".join(changed) if changed else "The behaviour is as described.")
sys.exit(bool(changed))
PY
