#!/usr/bin/env bash
# FFmpeg's mono mix of a stereo sound is 3 dB louder in float than in integers, and exceeds full scale.
#
# Mixing two equal channels to mono gives 0.9 for 0.9 when the result is s16 or s32, but 1.27 when it is flt or dbl,
# from the same frames. libswresample lowers the mixing coefficients so that they sum to 1 only if integers are
# involved; for float they stay 0.707 each. The option rematrix_maxval=1 makes all formats the same.
#
# One would guess that mono is the mean of the channels, and that the sample format changes the representation, not the
# level.
#
# It matters for sound in machine learning, where float mono is the usual format. Levels differ from those of tools that
# use the mean, as librosa does; a log-mel spectrogram is off by a constant; a mono recording and the same recording in
# stereo differ by 3 dB; and code that expects samples within 1.0 fails on loud music.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check av==18.1.0 numpy==2.4.6

cd "$work"
"$work/venv/bin/python" - <<'PY'
import sys

import av
import numpy as np

PEAK, RATE_HZ = 0.9, 48_000
FULL_SCALE = {"s16": 2.0**15, "s32": 2.0**31, "flt": 1.0, "dbl": 1.0}
SOUNDS = {"stereo, both equal": (1, 1), "stereo, left only": (1, 0), "mono": (1,)}

tone = PEAK * np.sin(2 * np.pi * 440 * np.arange(RATE_HZ // 4) / RATE_HZ)


def peak_of_mono(channels, result, options):
    """Peak of the sound mixed to mono, in shares of full scale."""
    samples = np.stack([each * tone for each in channels]).astype(np.float32)
    layout = "stereo" if len(channels) == 2 else "mono"
    frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout=layout)
    frame.sample_rate = RATE_HZ
    resampler = av.AudioResampler(format=result, layout="mono", rate=RATE_HZ, options=options)
    pieces = [*resampler.resample(frame), *resampler.resample(None)]
    mixed = np.concatenate([piece.to_ndarray().ravel() for piece in pieces]) / FULL_SCALE[result]
    return float(np.abs(mixed).max())


print("Versions")
print(f"  av {av.__version__} (libswresample {'.'.join(map(str, av.library_versions['libswresample']))})")
print(f"Expected: a tone of peak {PEAK} in both channels has a mono of peak {PEAK} in every sample format.")
print("Seen: peak of the mono, by sample format")
print(f"  {'':42}" + "".join(f"{result:>8}" for result in FULL_SCALE))
peaks = {}
for name, channels in SOUNDS.items():
    for label, options in (("", {}), (", rematrix_maxval=1", {"rematrix_maxval": "1.0"})):
        peaks[name + label] = [round(peak_of_mono(channels, result, options), 2) for result in FULL_SCALE]
        print(f"  {name + label:42}" + "".join(f"{peak:8.2f}" for peak in peaks[name + label]))

wanted = {
    "stereo, both equal": [0.9, 0.9, 1.27, 1.27],
    "stereo, both equal, rematrix_maxval=1": [0.9] * 4,
    "stereo, left only": [0.45, 0.45, 0.64, 0.64],
    "stereo, left only, rematrix_maxval=1": [0.45] * 4,
    "mono": [0.9] * 4,
    "mono, rematrix_maxval=1": [0.9] * 4,
}
changed = [f"{name} gives {peaks[name]}" for name in peaks if peaks[name] != wanted[name]]
print("The behaviour has changed: " + "; ".join(changed) if changed else "The behaviour is as described.")
sys.exit(bool(changed))
PY
