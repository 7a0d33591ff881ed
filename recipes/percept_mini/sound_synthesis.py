"""Synthetic sounds: tones, chirps, bells, clicks, pulses, noises, applause. They widen the range of training sounds."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

RATE_HZ = 16_000


def made_up_sound(random: Generator, length: int) -> NDArray[np.float32]:
    """One of the sounds below, or silence: float32 "length", peak at most 1."""
    kinds = (tone, tone, chirp, bell, clicks, clicks, pulses, pulses, swelling_noise, silence)
    sound = kinds[int(random.integers(len(kinds)))](random, np.arange(length) / RATE_HZ)
    return (sound / max(1e-9, float(np.abs(sound).max()))).astype(np.float32)


def tone(random: Generator, time_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """A harmonic tone with attack, decay and vibrato, sometimes two or three in succession: an instrument, a horn."""
    out = np.zeros_like(time_s)
    falloff, odd_only = random.uniform(0.3, 2.5), random.random() < 0.25
    vibrato = random.uniform(0, 0.01) * np.sin(2 * np.pi * random.uniform(3, 8) * time_s)
    attack_s, decay = np.exp(random.uniform(-7, -1.5)), random.choice([0.0, random.uniform(1, 12)])
    for note in range(int(random.integers(1, 4))):
        start_s = 0.0 if note == 0 else random.uniform(0, 0.9)
        base_hz = np.exp(random.uniform(np.log(55), np.log(1_800)))
        since_s = np.maximum(time_s - start_s, 0)
        envelope = np.minimum(since_s / attack_s, 1) * np.exp(-decay * since_s)
        for k in range(1, int(min(30, 7_500 / base_hz)) + 1, 2 if odd_only else 1):
            out += (
                envelope
                * k**-falloff
                * np.sin(2 * np.pi * k * base_hz * (time_s + vibrato / 10) + random.uniform(0, 6.28))
            )
    return out


def chirp(random: Generator, time_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """A whistle that moves repeatedly between two pitches: a bird, a siren, an alarm."""
    low_hz, high_hz = np.sort(np.exp(random.uniform(np.log(200), np.log(7_000), 2)))
    shape = (np.sin, lambda x: 2 * ((x / 6.283) % 1) - 1, lambda x: np.sign(np.sin(x)))[int(random.integers(3))]
    swing = 0.5 + 0.5 * shape(2 * np.pi * np.exp(random.uniform(-0.7, 3)) * time_s)
    pitch_hz = low_hz * (high_hz / low_hz) ** swing
    gate = (time_s * random.uniform(1, 12)) % 1 < random.uniform(0.3, 1.3)
    return np.sin(2 * np.pi * np.cumsum(pitch_hz) / RATE_HZ) * gate


def bell(random: Generator, time_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Inharmonic partials that ring out."""
    out = np.zeros_like(time_s)
    base_hz, start_s, rate = np.exp(random.uniform(5, 7.6)), random.uniform(0, 0.4), random.uniform(1, 10)
    since_s = np.maximum(time_s - start_s, 0) % random.choice([9.0, random.uniform(0.05, 0.5)])
    for ratio in np.concatenate([[1.0], random.uniform(1.2, 7, 6)]):
        out += np.exp(-rate * ratio * since_s) * np.sin(2 * np.pi * min(base_hz * ratio, 7_800) * since_s) / ratio
    return out * (time_s >= start_s)


def clicks(random: Generator, time_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Short noises, regular (a clock, steps, drums) or at random times (fire, rain drops)."""
    rate_hz = np.exp(random.uniform(0.3, 4.2))
    if random.random() < 0.5:
        starts_s = np.arange(random.uniform(0, 0.3), 1, 1 / rate_hz)
    else:
        starts_s = random.uniform(0, 1, max(1, int(rate_hz)))
    decay, ring_hz = np.exp(random.uniform(2.5, 7)), np.exp(random.uniform(4, 8.8))
    out = np.zeros_like(time_s)
    for start_s in starts_s:
        since_s = np.maximum(time_s - start_s, 0)
        noise = random.standard_normal(len(time_s)) + 2 * random.random() * np.sin(2 * np.pi * ring_hz * since_s)
        out += (time_s >= start_s) * np.exp(-decay * since_s) * noise * random.uniform(0.3, 1)
    return out


def pulses(random: Generator, time_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Low-pass noise and a buzz that pulse together: a motor, a rotor, a saw."""
    beat_hz = np.exp(random.uniform(1.5, 5))
    phase = (
        2 * np.pi * beat_hz * (time_s + random.uniform(0, 0.02) * np.sin(2 * np.pi * random.uniform(0.3, 3) * time_s))
    )
    envelope = (0.5 + 0.5 * np.sin(phase)) ** random.uniform(0.5, 6)
    spectrum = np.fft.rfft(random.standard_normal(len(time_s)))
    spectrum /= 1 + (np.arange(len(spectrum)) / np.exp(random.uniform(4, 9))) ** 2
    noise = np.fft.irfft(spectrum, len(time_s))
    buzz = sum(np.sin(k * phase) / k ** random.uniform(0.3, 2) for k in range(1, 12))
    return envelope * noise / noise.std() + random.uniform(0, 1.5) * buzz


def swelling_noise(random: Generator, time_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Coloured noise that swells and fades slowly: wind, waves, a shower, breath."""
    spectrum = np.fft.rfft(random.standard_normal(len(time_s)))
    centre, width = random.uniform(0, len(spectrum) / 2), np.exp(random.uniform(6, 9))
    spectrum *= np.exp(-(((np.arange(len(spectrum)) - centre) / width) ** 2))
    swell = 1 + random.uniform(0, 1) * np.sin(2 * np.pi * random.uniform(0.1, 3) * time_s + random.uniform(0, 6.28))
    return np.fft.irfft(spectrum, len(time_s)) * swell


def applause(random: Generator, time_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """A crowd that claps in a room: eight kinds of hands, each person at a pace of their own, near or far."""
    length = len(time_s)
    people = np.exp(random.uniform(np.log(16), np.log(400)))
    out = np.zeros(length)
    for _ in range(8):
        beats = np.zeros(length)
        for _ in range(round(people / 8)):
            pauses_s = random.normal(1, 0.08, int(6 * time_s[-1]) + 1) / random.uniform(2.5, 5.5)
            at = ((np.cumsum(pauses_s) - random.uniform(0, 0.4)) * RATE_HZ).astype(int)
            at = at[(at >= 0) & (at < length)]
            beats[at] += np.exp(random.normal(0, 0.6)) * random.uniform(0.6, 1, len(at))
        out += followed(beats, clap(random))
    return out


def clap(random: Generator) -> NDArray[np.float64]:
    """One clap, 0.4 s: a burst of some milliseconds around 1 kHz, and the room."""
    time_s = np.arange(int(0.4 * RATE_HZ)) / RATE_HZ
    burst = random.standard_normal(len(time_s)) * np.exp(-time_s / random.uniform(0.002, 0.01))
    spectrum = np.fft.rfft(burst)
    hertz = np.linspace(0, RATE_HZ / 2, len(spectrum))
    spectrum *= 0.15 + np.exp(-((np.log2((hertz + 1) / np.exp(random.uniform(6.5, 7.8))) / 0.8) ** 2))
    room = random.standard_normal(len(time_s)) * np.exp(-6.9 * time_s / random.uniform(0.15, 0.6))
    room *= random.uniform(0, 0.6) / np.linalg.norm(room)
    room[0] = 1.0
    return followed(np.fft.irfft(spectrum, len(time_s)), room)


def followed(sound: NDArray[np.float64], response: NDArray[np.float64]) -> NDArray[np.float64]:
    """The sound through an impulse response, as long as before."""
    size = len(sound) + len(response)
    return np.fft.irfft(np.fft.rfft(sound, size) * np.fft.rfft(response, size), size)[: len(sound)]


def silence(random: Generator, time_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Zeros."""
    return np.zeros_like(time_s)
