"""The sounds of the sample video: birds, rain and a siren are synthesised, two sentences are spoken by espeak-ng."""

import io
import subprocess
import wave

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 32_000
LEVEL_DBFS = -20.0
FADE_S = 0.03

Samples = NDArray[np.float64]


def make(name: str, seconds: float) -> NDArray[np.float32]:
    """float32 "S" in (-0.7, 0.7), faded in and out, at about `LEVEL_DBFS`; tanh limits the peaks."""
    made = {"birds": birds, "rain": rain, "talk": talk, "siren": siren}[name](seconds, np.random.default_rng(0))
    fade = int(FADE_S * RATE_HZ)
    made[:fade] *= np.linspace(0, 1, fade)
    made[-fade:] *= np.linspace(1, 0, fade)
    loudness = np.sqrt(np.mean(made**2))
    rounded: Samples = 0.7 * np.tanh(made / loudness * 10 ** (LEVEL_DBFS / 20) / 0.7)
    return rounded.astype(np.float32)


def band(samples: Samples, low_hz: float, high_hz: float) -> Samples:
    """Band-pass filter with gains that fall by the fourth power beyond the two corner frequencies."""
    spectrum = np.fft.rfft(samples)
    frequency = np.fft.rfftfreq(len(samples), 1 / RATE_HZ)
    spectrum /= (1 + (low_hz / np.maximum(frequency, 1)) ** 4) * (1 + (frequency / high_hz) ** 4)
    return np.fft.irfft(spectrum, len(samples))


def birds(seconds: float, chance: np.random.Generator) -> Samples:
    """Phrases of two to five short calls that glide up or down around 4 kHz."""
    made = chance.normal(size=int(seconds * RATE_HZ)) * 0.003
    start_s = 0.1
    while start_s < seconds - 0.4:
        base_hz = chance.uniform(3200, 4800)
        for call in range(int(chance.integers(2, 6))):
            count, at = int(chance.uniform(0.05, 0.09) * RATE_HZ), int(start_s * RATE_HZ)
            if at + count >= len(made):
                break
            t = np.arange(count) / count
            glide = base_hz * (1 + 0.25 * np.sin(np.pi * t) * (1 if call % 2 else -1) + 0.12 * t)
            phase = 2 * np.pi * np.cumsum(glide) / RATE_HZ
            made[at : at + count] += 0.7 * np.sin(np.pi * t) ** 0.7 * (np.sin(phase) + 0.15 * np.sin(2 * phase))
            start_s += count / RATE_HZ + chance.uniform(0.02, 0.05)
        start_s += chance.uniform(0.15, 0.5)
    return made


def rain(seconds: float, chance: np.random.Generator) -> Samples:
    """Hiss, and 1,500 short ringing drops per second."""
    count = int(seconds * RATE_HZ)
    drops = np.zeros(count)
    for _ in range(int(seconds * 1500)):
        length = int(chance.integers(120, 600))
        at = int(chance.integers(0, count - length))
        t = np.arange(length) / RATE_HZ
        ring = np.sin(2 * np.pi * chance.uniform(1500, 8000) * t) * np.exp(-t * chance.uniform(600, 2000))
        drops[at : at + length] += ring * chance.exponential(0.6)
    return band(chance.normal(size=count), 400, 9000) * 0.8 + drops


def siren(seconds: float, chance: np.random.Generator) -> Samples:
    """A police siren that rises and falls once every two seconds, with echoes."""
    turn = np.arange(int(seconds * RATE_HZ)) / RATE_HZ / 2
    tone_hz = 950 - 450 * np.cos(2 * np.pi * turn)
    phase = 2 * np.pi * np.cumsum(tone_hz) / RATE_HZ
    direct = np.tanh(3 * (np.sin(phase) + np.sin(2 * phase) / 2 + np.sin(3 * phase) / 3))
    made = direct + chance.normal(size=len(direct)) * 0.01
    for delay_s, loudness in ((0.05, 0.8), (0.11, 0.6), (0.19, 0.4), (0.31, 0.24)):
        late = int(delay_s * RATE_HZ)
        made[late:] += loudness * direct[:-late]
    return band(made, 400, 3000)


def talk(seconds: float, chance: np.random.Generator) -> Samples:
    """A question and an answer in two voices."""
    pause = np.zeros(int(0.1 * RATE_HZ))
    question = spoken("en-us+f3", "Shall we have another cup of coffee?", 165)
    answer = spoken("en-gb+m3", "Yes please, with a little milk.", 160)
    count = int(seconds * RATE_HZ)
    made = np.concatenate([pause, question, pause, answer, np.zeros(count)])[:count]
    return made + chance.normal(size=count) * 0.002


def spoken(voice: str, text: str, words_per_minute: int) -> Samples:
    """A sentence spoken by espeak-ng, resampled to `RATE_HZ`."""
    command = ["espeak-ng", "-v", voice, "-s", str(words_per_minute), "--stdout", text]
    output = subprocess.run(command, capture_output=True, check=True, timeout=30).stdout
    with wave.open(io.BytesIO(output)) as file:
        rate_hz = file.getframerate()
        samples = np.frombuffer(file.readframes(min(file.getnframes(), len(output) // 2)), np.int16) / 32768
    count = int(len(samples) * RATE_HZ / rate_hz)
    return np.interp(np.arange(count) / RATE_HZ, np.arange(len(samples)) / rate_hz, samples)
