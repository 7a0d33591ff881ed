"""Training sounds for the sound tower, and the teacher that scores them.

Real recordings (ESC-10 folds 1 and 2, animals, instruments, urban sounds that are not for reporting), speech from
eSpeak NG, synthetic applause and other synthetic sounds are cut, changed in speed, filtered, mixed and changed in
level; YAMNet then scores each result.
"""

from __future__ import annotations

import hashlib
import io
import shutil
import subprocess
import tarfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from recipes.percept_mini.folds import is_reported_sound, recording
from recipes.percept_mini.sound_synthesis import applause, made_up_sound
from stages.loudness import normalised

Samples = NDArray[np.float32]

RATE_HZ = 16_000
PATCH = 15_600
"""Samples per input of the teacher: 0.975 s."""

VOICES = [
    "en-gb",
    "en-us",
    "en-gb-scotland",
    "en-029",
    "de",
    "fr-fr",
    "es",
    "it",
    "nl",
    "pl",
    "ru",
    "tr",
    "el",
    "fi",
    "sv",
    "hu",
    "cs",
    "pt-br",
    "ja",
    "ko",
    "cmn",
    "hi",
    "ar",
    "vi",
    "sw",
]
SENTENCES = (
    "Good morning, how are you today?",
    "Please wait in the hall until somebody calls your name.",
    "No, no, no! Stop that at once!",
    "one two three four five six seven eight nine ten",
    "The weather tomorrow will be cloudy with some rain in the afternoon.",
    "Ha ha ha, that was really funny.",
)
CROWDS = 60
"""Number of synthetic applauses."""
HEARD_FROM = 0.3
"""Score of the teacher from which a synthetic applause is used as one."""
GROUPS = {"esc10": 0.29, "animals": 0.20, "instruments": 0.15, "urban": 0.22, "speech": 0.09, "applause": 0.05}
"""How often a sound is drawn from each group."""


@dataclass(frozen=True)
class Recording:
    """One sound: its origin, and its samples at 16 kHz, as int16 to save memory."""

    name: str
    """Sounds of one name are held out together."""
    group: str
    samples: NDArray[np.int16]
    label: str = ""
    often: float = 1.0
    """How often it is drawn, compared with others of its group."""

    @property
    def held_out(self) -> bool:
        return is_held_out(self.name)


def is_held_out(name: str) -> bool:
    """True for a tenth of the recordings, chosen by name ("animals/dog/dog_1.ogg"): used for validation only."""
    return hashlib.sha256(name.encode()).digest()[0] < 26


def read_audio(path: Path | io.BytesIO) -> NDArray[np.int16]:
    """The first audio stream, mono at 16 kHz: int16 "S"."""
    import av

    with av.open(path, metadata_errors="ignore") as container:
        resampler = av.AudioResampler("s16", "mono", RATE_HZ)
        frames = [frame for source in container.decode(audio=0) for frame in resampler.resample(source)]
        frames += resampler.resample(None)
    return np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames])


def training_files(data: Path) -> Iterator[tuple[str, Path]]:
    """Yields (group, file) of every recording for training; fold 3 of ESC-10 is the test set and is left out."""
    audio = data / "audio"
    for fold in (1, 2):
        for path in sorted(audio.glob(f"esc10/*/{fold}-*.ogg")):
            yield "esc10", path
    for group in ("animals", "instruments"):
        for path in sorted(audio.glob(f"{group}/*/*.ogg")):
            yield group, path


def recordings(data: Path, speech: bool = True, urban: bool = True) -> list[Recording]:
    """All training recordings, in a fixed order; with synthetic speech if `speech`, with UrbanSound8K if `urban`.

    Raises:
        FileNotFoundError: there are no recordings, or eSpeak NG is not installed.
    """
    found = [
        Recording(f"{group}/{path.parent.name}/{path.name}", group, read_audio(path), label_of(path))
        for group, path in training_files(data)
    ]
    if not found:
        raise FileNotFoundError(
            f"{data / 'audio'}: no recordings; expected esc10/, animals/ and instruments/ with .ogg files"
        )
    return found + (urban_recordings(data) if urban else []) + (list(spoken()) if speech else [])


def label_of(path: PurePath) -> str:
    """The folder's name, with spaces for underscores."""
    return path.parent.name.replace("_", " ")


def urban_files(data: Path, folder: Path, reported: bool) -> Iterator[tuple[str, Path]]:
    """Yields "label/name" and the unpacked file of the same clips as `urban_sounds`."""
    with tarfile.open(data / "audio" / "urbansound8k.tar") as archive:
        for member in archive:
            content = archive.extractfile(member)
            if content is not None and is_reported_sound(member.name) == reported:
                path = folder / PurePath(member.name).name
                path.write_bytes(content.read())
                yield member.name, path


def urban_sounds(data: Path, reported: bool) -> Iterator[tuple[PurePath, NDArray[np.int16]]]:
    """Yields "label/name" and samples of UrbanSound8K's clips: only those for reporting, or only the others.

    Raises:
        FileNotFoundError: there is no such archive.
    """
    archive = data / "audio" / "urbansound8k.tar"
    if not archive.is_file():
        raise FileNotFoundError(f"{archive}: not found, but needed for urban sounds. Train without: --no-urban")
    with tarfile.open(archive) as file:
        for member in file:
            content = file.extractfile(member)
            if content is not None and is_reported_sound(member.name) == reported:
                yield PurePath(member.name), read_audio(io.BytesIO(content.read()))


def urban_recordings(data: Path) -> list[Recording]:
    """UrbanSound8K without what is for reporting. Cuts of one recording are held out together, and each class and each
    recording of a class is drawn equally often."""
    clips = list(urban_sounds(data, reported=False))
    cuts = Counter(recording(path.name) for path, _ in clips)
    in_class = Counter(label for label, _ in {(label_of(path), recording(path.name)) for path, _ in clips})
    return [
        Recording(
            f"urban/{recording(path.name)}",
            "urban",
            samples,
            label_of(path),
            1 / in_class[label_of(path)] / cuts[recording(path.name)],
        )
        for path, samples in clips
    ]


def spoken() -> Iterator[Recording]:
    """Sentences in many voices, pitches and speeds."""
    if shutil.which("espeak-ng") is None:
        raise FileNotFoundError(
            "espeak-ng: not installed, but needed for speech. Run: apt install espeak-ng, or use --no-speech"
        )
    for number, voice in enumerate(VOICES):
        for which, sentence in enumerate(SENTENCES):
            variant = ("", "+f3", "+m4", "+croak", "+f5", "+whisper")[(number + which) % 6]
            pitch, speed = (20, 50, 80, 99)[(number + 2 * which) % 4], (120, 160, 210)[which % 3]
            command = ["espeak-ng", "-v", voice + variant, "-p", str(pitch), "-s", str(speed), "--stdout", sentence]
            sound = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout
            yield Recording(f"speech/{voice}/{which}", "speech", read_audio(io.BytesIO(sound)), "people talking")


class Teacher:
    """YAMNet from its TFLite file."""

    def __init__(self, path: Path) -> None:
        import warnings

        from ai_edge_litert.interpreter import Interpreter

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # preserved tensors are meant for debugging; the features are one
            self._net = Interpreter(str(path), num_threads=1, experimental_preserve_all_tensors=True)
        self._net.allocate_tensors()
        index = {detail["name"]: detail["index"] for detail in self._net.get_tensor_details()}
        self._input = self._net.get_input_details()[0]["index"]
        self._scores, self._log_mel = (detail["index"] for detail in self._net.get_output_details())
        self._features = next(i for name, i in index.items() if name.endswith("global_average_pooling2d/Mean"))

    def __call__(self, samples: Samples) -> tuple[Samples, Samples, Samples]:
        """Samples "15600" -> log-mel patch "96 64", scores in [0, 1] "521", features "1024"."""
        self._net.set_tensor(self._input, samples[None])
        self._net.invoke()
        log_mel, scores, features = (self._net.get_tensor(i) for i in (self._log_mel, self._scores, self._features))
        return log_mel, scores[0], features[0]

    def hear(self, samples: Samples) -> tuple[Samples, Samples, Samples]:
        """The same for a longer sound, a patch every 0.48 s as in `LogMel`: "S" -> "K 96 64", "K 521", "K 1024"."""
        count = 1 + max(0, round((len(samples) - PATCH) / 7_680))
        padded = np.pad(samples, (0, max(0, PATCH + 7_680 * (count - 1) - len(samples))))
        heard = [self(padded[7_680 * k : 7_680 * k + PATCH]) for k in range(count)]
        log_mel, scores, features = (np.stack(column) for column in zip(*heard, strict=True))
        return log_mel, scores, features


def applauding(teacher: Teacher, names: list[str]) -> Iterator[Recording]:
    """Synthetic applause of crowds of all sizes, if the teacher hears it as such; `names` are those of its scores."""
    own = [names.index(name) for name in ("Applause", "Clapping")]
    for number in range(CROWDS):
        samples = applause(np.random.default_rng((7, number)), np.arange(4 * RATE_HZ) / RATE_HZ)
        samples = (samples / np.abs(samples).max() / 2).astype(np.float32)
        if teacher.hear(normalised(samples))[1][:, own].max(1).mean() >= HEARD_FROM:
            yield Recording(f"applause/{number}", "applause", (samples * 32_767).astype(np.int16), "applause")


def as_float(samples: NDArray[np.int16]) -> Samples:
    """int16 -> float32 in [-1, 1)."""
    return samples.astype(np.float32) / 32_768


class Drawn:
    """Recordings that are drawn as often as each of them says."""

    def __init__(self, sounds: list[Recording]) -> None:
        often = np.array([sound.often for sound in sounds])
        self._sounds, self._chances = sounds, often / often.sum()

    def draw(self, random: Generator) -> Recording:
        return self._sounds[int(random.choice(len(self._sounds), p=self._chances))]


class Augmenter:
    """Makes random sounds of one patch each; the same generator state gives the same sound."""

    def __init__(self, sounds: list[Recording]) -> None:
        groups = {name: [sound for sound in sounds if sound.group == name] for name in GROUPS}
        self._groups = [Drawn(members) for members in groups.values() if members]
        share = np.array([GROUPS[name] for name, members in groups.items() if members])
        self._shares = share / share.sum()

    def __call__(self, random: Generator) -> Samples:
        sound = self._one(random)
        if random.random() < 0.4:
            sound = sound + self._one(random) * decibels(random.uniform(-20, 5))
        for _ in range(int(random.choice(3, p=(0.6, 0.3, 0.1)))):
            sound = sound + self._background(random) * decibels(random.uniform(-35, -10))
        if random.random() < 0.2:
            sound = sound + coloured_noise(random, PATCH) * decibels(random.uniform(-50, -10))
        if random.random() < 0.06:
            sound = overdriven(random, sound)
        peak = np.abs(sound).max()
        if peak > 0 and random.random() < 0.7:
            sound = sound / peak * decibels(random.triangular(-45, -3, 0))
        return np.clip(sound, -1, 1).astype(np.float32)

    def around(self, random: Generator, sound: Recording) -> Samples:
        """A patch in which this recording is the loudest sound, at about the level at which towers hear."""
        patch = self._changed(random, self._piece(random, sound))
        patch = patch / np.float32(max(1e-3, float(np.abs(patch).max())))
        for _ in range(int(random.choice(3, p=(0.4, 0.4, 0.2)))):
            patch = patch + self._background(random) * decibels(random.uniform(-40, -12))
        return normalised(patch) * decibels(random.normal(0, 4))

    def _background(self, random: Generator) -> Samples:
        """A distant background sound, peak 1: equalised and reverberated."""
        sound = reverberated(random, equalised(random, self._cut(random)))
        return sound / np.float32(max(1e-3, float(np.abs(sound).max())))

    def _one(self, random: Generator) -> Samples:
        return self._changed(random, made_up_sound(random, PATCH) if random.random() < 0.12 else self._cut(random))

    def _changed(self, random: Generator, sound: Samples) -> Samples:
        if random.random() < 0.35:
            sound = equalised(random, sound)
        if random.random() < 0.15:
            sound = reverberated(random, sound)
        if random.random() < 0.08:  # begins or ends within the patch
            cut = int(random.integers(PATCH // 5, PATCH))
            sound = np.concatenate(
                [np.zeros(PATCH - cut, np.float32), sound[:cut]]
                if random.random() < 0.5
                else [sound[-cut:], np.zeros(PATCH - cut, np.float32)]
            )
        return sound

    def _cut(self, random: Generator) -> Samples:
        """One patch of one recording, at a changed speed in half of the cases; rarely a silent one."""
        return self._piece(random, self._groups[int(random.choice(len(self._groups), p=self._shares))].draw(random))

    def _piece(self, random: Generator, sound: Recording) -> Samples:
        """The same of this recording."""
        samples = sound.samples
        speed = float(np.exp(random.normal(0, 0.25))) if random.random() < 0.5 else 1.0
        length = int(PATCH * speed) + 2
        if len(samples) < length:
            samples = np.pad(samples, (0, length - len(samples)))
        for _ in range(4):
            start = int(random.integers(len(samples) - length + 1))
            piece = as_float(samples[start : start + length])
            if np.abs(piece).max() > 0.003:
                break
        if speed == 1.0:
            return piece[:PATCH]
        return np.interp(np.arange(PATCH) * speed, np.arange(length), piece).astype(np.float32)


def decibels(level_db: float) -> np.float32:
    """The amplitude factor of a level in dB."""
    return np.float32(10 ** (level_db / 20))


def overdriven(random: Generator, sound: Samples) -> Samples:
    """The sound as from an overdriven microphone: peaks are compressed or clipped."""
    gain = decibels(random.uniform(6, 20)) / np.float32(max(1e-3, float(np.abs(sound).max())))
    bent = np.tanh(sound * gain) if random.random() < 0.5 else np.clip(sound * gain, -1, 1)
    return bent.astype(np.float32)


def coloured_noise(random: Generator, length: int) -> Samples:
    """Noise whose spectrum falls with a random power of the frequency, peak 1."""
    spectrum = np.fft.rfft(random.standard_normal(length))
    spectrum *= np.maximum(np.arange(len(spectrum)), 20.0) ** -random.uniform(0, 1.2)
    noise = np.fft.irfft(spectrum, length)
    return (noise / np.abs(noise).max()).astype(np.float32)


def equalised(random: Generator, sound: Samples) -> Samples:
    """The sound through a random smooth equaliser: up to 12 dB up or down, sometimes with the lows or highs cut."""
    gains_db = random.uniform(-12, 12, 8)
    kind = random.random()
    if kind < 0.25:
        gains_db[int(random.integers(3, 7)) :] -= 40
    elif kind < 0.5:
        gains_db[: int(random.integers(1, 4))] -= 40
    spectrum = np.fft.rfft(sound)
    hertz = np.linspace(0, RATE_HZ / 2, len(spectrum))
    curve_db = np.interp(np.log(hertz + 50), np.linspace(np.log(50), np.log(8_050), 8), gains_db)
    return np.fft.irfft(spectrum * 10 ** (curve_db / 20), len(sound)).astype(np.float32)


def reverberated(random: Generator, sound: Samples) -> Samples:
    """The sound in a room: with a noise tail that decays within 0.1 to 0.7 s."""
    tail_s = random.uniform(0.1, 0.7)
    response = random.standard_normal(PATCH) * np.exp(-6.9 * np.arange(PATCH) / (tail_s * RATE_HZ))
    response *= random.uniform(0.2, 1.0) / np.sqrt((response**2).sum())
    response[0] += 1.0
    size = 2 * PATCH
    return np.fft.irfft(np.fft.rfft(sound, size) * np.fft.rfft(response, size), size)[: len(sound)].astype(np.float32)
