"""How loud sound is, and the gain that brings it to one level before a tower hears it.

How far away a microphone stands, or how a recording was mastered, says nothing about what is heard. So towers get the
sound of a clip at the level `TARGET_DBFS`, and the weight of sound follows that level. What is quieter than any sound
worth hearing (digital silence, dither, the hiss of a converter) stays as it is.
"""

import numpy as np

from pipeline.arrays import Array
from pipeline.clip import Clip
from stages.words.scoring import ramp

SILENCE_DBFS = -120.0
TARGET_DBFS = -30.0
"""Level of the sound in a tower's input. The bundled tower was trained on all levels, half of them from -35 to -19."""
SOUND_DBFS = -60.0
"""Sound of at least this level is brought to the target."""
FLOOR_DBFS = -65.0
"""A noise floor: sound up to this level is left alone. In between, the gain in dB rises linearly, without a jump."""


def loudness_dbfs(samples: Array) -> float:
    """Root mean square of samples "S" in dB relative to full scale; -120 for silence or no samples."""
    power = float(np.mean(np.square(samples, dtype=np.float64))) if len(samples) else 0.0
    return max(SILENCE_DBFS, 10 * float(np.log10(power + 1e-30)))


def gain_db(level_dbfs: float) -> float:
    """The gain for sound of this level: at most 30 dB, negative for loud sound, 0 for a noise floor."""
    if level_dbfs >= SOUND_DBFS:
        return TARGET_DBFS - level_dbfs
    return (TARGET_DBFS - SOUND_DBFS) * ramp(level_dbfs, FLOOR_DBFS, SOUND_DBFS)


def gain_of(samples: Array) -> float:
    """The gain in dB for real samples "S" (no gaps). A constant offset has no part in their level."""
    return gain_db(loudness_dbfs(samples - np.mean(samples, dtype=np.float64))) if len(samples) else 0.0


def gain_of_clip(clip: Clip) -> float:
    """The gain in dB for all sound of a clip, with the context before it, but without gaps: one for the whole input."""
    audio, mask = clip["audio"], clip.get("audio_mask")
    return gain_of(audio if mask is None else audio[mask != 0])


def amplified(samples: Array, gain: float) -> Array:
    """Samples float32 "S" with a gain in dB; the same to the bit if it is 0. Peaks may exceed 1 and are not clipped."""
    louder: Array = samples.astype(np.float32) * np.float32(10 ** (gain / 20))
    return louder


def normalised(samples: Array) -> Array:
    """Samples float32 "S" at the level at which towers hear them."""
    return amplified(samples, gain_of(samples))
