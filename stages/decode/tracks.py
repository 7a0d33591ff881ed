"""Finds out whether the chosen sound track is silent, and which tracks could stand in for it.

A camera writes four tracks, and the microphone is on the third; a film's default track is empty. The tracks are decoded
for a second at up to four places of the source. Sound at three of these in the chosen track suffices; most sources are
read without the other tracks.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import islice

import av
import numpy as np
from av.container import InputContainer

from pipeline.media import is_url
from stages.decode.container import RUNNING, TABLED, names_of
from stages.decode.reader import NS, ReaderOptions
from stages.decode.sound import LOOK_NS, SILENCE, channels_of
from stages.decode.source import Stream, Streams, audio_tracks, is_decodable, open_container

PLACES = (0.0, 0.25, 0.5, 0.75)
"""Parts of the duration."""
LOOK_S = LOOK_NS / NS
STEP_DB = 6.0
"""Tracks that differ by less are equally loud: the first counts."""
MOST_PACKETS = 2000
"""Of sound, that are read at one place."""
MOST_FALLBACKS = 7
Powers = dict[int, float]
"""Mean power of the loudest channel at one place, at full scale 1, by the stream's index; only tracks with samples."""


def with_fallbacks(container: InputContainer, chosen: Streams, source: str, options: ReaderOptions) -> Streams:
    """The chosen streams, with other sound tracks if the chosen one is silent at half of the places.

    A track that was asked for is kept as it is, and so are those of network sources, where looking takes too long. A
    track without any samples is replaced by the loudest.
    """
    tracks = audio_tracks(container, options)
    if chosen.audio is None or len(tracks) < 2 or options.audio_track or is_url(source):
        return chosen
    default: int = chosen.audio.index
    with open_container(source, options) as probe:
        found = look(probe, [probe.streams[track.index] for track in tracks], default)
    others = {index for powers in found for index in powers} - {default}
    if not others or is_heard(found, default, len(found)):
        return chosen
    ranked = sorted(others, key=lambda index: (loudness(found, index), -index), reverse=True)
    order = [default, *ranked] if any(default in powers for powers in found) else ranked
    first, *rest = (container.streams[index] for index in order[: 1 + MOST_FALLBACKS])
    return replace(chosen, audio=first, fallbacks=tuple(rest))


def note_on_tracks(container: InputContainer, chosen: Streams, options: ReaderOptions) -> str:
    """Which of several sound tracks are read, and why; "" if there is no choice."""
    tracks, beside = list(container.streams.audio), audio_tracks(container, options)
    is_apart = any(is_decodable(track) and track not in beside for track in tracks)
    if chosen.audio is None:
        return "the programme of the picture has no sound" if is_apart and options.wants_audio else ""
    if len(tracks) < 2:
        return ""
    note = f"sound track {tracks.index(chosen.audio)} of {len(tracks)}"
    if chosen.fallbacks:
        numbers = ", ".join(str(tracks.index(track)) for track in chosen.fallbacks)
        return f"{note}; where it is silent, {'tracks' if len(chosen.fallbacks) > 1 else 'track'} {numbers}"
    return f"{note}, of the picture's programme" if is_apart and chosen.audio in beside else note


def loudness(found: Sequence[Powers], index: int) -> tuple[int, int]:
    """Of a track: at how many places it has sound, and its mean power in steps of 6 dB."""
    powers = [each.get(index, 0.0) for each in found]
    mean = sum(powers) / max(1, len(powers))
    return sum(power > SILENCE for power in powers), round(10 * math.log10(max(mean, SILENCE)) / STEP_DB)


def is_heard(found: Sequence[Powers], index: int, count: int) -> bool:
    """Whether a track has sound at more than half of `count` places."""
    return 2 * loudness(found, index)[0] > count


def look(container: InputContainer, tracks: Sequence[Stream], chosen: int) -> list[Powers]:
    """How loud the tracks are at each place, until it is clear that the chosen one has sound."""
    indices = {track.index for track in tracks}
    for stream in container.streams:
        if stream.index not in indices:
            stream.discard = av.stream.Discard.all
    found: list[Powers] = []
    for _ in seeks(container):
        if powers := powers_here(container, tracks, chosen):
            found.append(powers)
        if is_heard(found, chosen, len(PLACES)):
            break
    return found


def seeks(container: InputContainer) -> Iterator[None]:
    """Moves the container to each place that it finds without reading all that comes before."""
    yield
    if container.duration is None:
        return
    has_index = bool((RUNNING | TABLED) & names_of(container))
    with suppress(av.error.FFmpegError):
        if not has_index:
            container.seek(0)  # Matroska reads its index at the first seek
        for part in PLACES[1:]:
            place = (container.start_time or 0) + int(part * container.duration)
            stream = indexed(container, place / av.time_base)
            if stream is not None:
                container.seek(int(place / (av.time_base * stream.time_base)), stream=stream)
            elif has_index:
                container.seek(place)
            else:
                return
            yield


def indexed(container: InputContainer, time_s: float) -> Stream | None:
    """A stream with an index that reaches beyond a time; None if there is none."""
    for stream in container.streams:
        entries = stream.index_entries
        if len(entries) and stream.time_base and entries[-1].timestamp * stream.time_base > time_s:
            return stream
    return None


def powers_here(container: InputContainer, tracks: Sequence[Stream], chosen: int) -> Powers:
    """How loud the next `LOOK_S` of each track are; less is read if that shows sound in the chosen one."""
    energy: Powers = {}
    lengths_s = {track.index: 0.0 for track in tracks}
    first_s = math.inf
    for packet in islice(packets_of(container, tracks), MOST_PACKETS):
        index = packet.stream_index
        if packet.dts is not None:
            time_s = float(packet.dts * packet.time_base)
            first_s = min(first_s, time_s)
            if time_s > first_s + 2 * LOOK_S:
                break
        with suppress(av.error.FFmpegError):
            for frame in packet.decode():
                if frame.samples and frame.sample_rate:
                    length_s = frame.samples / frame.sample_rate
                    power = float(np.square(channels_of(frame)).mean(axis=1).max())
                    energy[index] = energy.get(index, 0.0) + power * length_s
                    lengths_s[index] += length_s
        if energy.get(chosen, 0.0) > SILENCE * LOOK_S or min(lengths_s.values()) > LOOK_S:
            break
    return {index: total / max(lengths_s[index], LOOK_S) for index, total in energy.items()}


def packets_of(container: InputContainer, tracks: Sequence[Stream]) -> Iterator[av.Packet]:
    with suppress(av.error.FFmpegError, IndexError):  # see `demux` in links.py
        yield from container.demux(list(tracks))
