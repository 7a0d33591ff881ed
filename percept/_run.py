"""`percept.run`. Written by `python -m commands.python_api` from the options of the command."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from percept._child import Run, records


def run(
    sources: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    labels: Sequence[str] | Mapping[str, Any] | str | None = None,
    *,
    templates: str | os.PathLike[str] | None = None,
    descriptions: str | os.PathLike[str] | None = None,
    clip_seconds: float | str | None = None,
    stride_seconds: float | str | None = None,
    every: float | str | None = None,
    shots: bool = False,
    keyframes: bool = False,
    reuse: bool = False,
    fps: float | None = None,
    top_k: int | None = None,
    modalities: Sequence[str] | str | None = None,
    audio_track: str | None = None,
    exclusive: bool = False,
    min_probability: float | str | None = None,
    min_duration: float | str | None = None,
    gap: float | str | None = None,
    no_merge: bool = False,
    model: str | os.PathLike[str] | None = None,
    audio_model: str | os.PathLike[str] | None = None,
    flow: str | None = None,
    find: str | None = None,
    find_like: Sequence[str] | str | Sequence[Sequence[str] | str] | None = None,
    detect: Literal["auto", "all", "found", "none"] | None = None,
    detector: str | None = None,
    text: bool = False,
    regions: bool = False,
    relations: bool = False,
    zone: str | Sequence[str] | None = None,
    line: str | Sequence[str] | None = None,
    engine: str | None = None,
    precision: Literal["auto", "fp32", "bf16", "fp16", "int8"] | None = None,
    device: str | None = None,
    start: float | str | None = None,
    end: float | str | None = None,
    recursive: bool = False,
    profile: bool = False,
    output: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None = None,
    events: str | os.PathLike[str] | None = None,
    tracks: str | os.PathLike[str] | None = None,
    video: str | os.PathLike[str] | None = None,
    panel: Literal["below", "corner", "off"] | None = None,
    html: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    config: str | os.PathLike[str] | None = None,
    settings: Mapping[str, Any] | None = None,
    progress: bool | None = None,
) -> Run:
    """Label the clips of videos: one record per clip, source by source in the given order, as soon as it is there.

        for result in percept.run("talk.mp4", labels=["dog barking", "rain"]):
            print(result.start_s, result.labels)

    The work is done in a process of its own, which starts with the first step of the loop. Leaving the loop, closing
    the iterator or interrupting it stops the run. Clips and sources that failed are records with `error`.

    An option that is None has the value of `config`, or else the default that is given here.

    Args:
        sources: A video, a sound file or a picture; a folder of them, or a playlist (.m3u, .pls, .xspf, .txt); a URL or
            a glob. Or a list of these.
        labels: Words to choose from. "car|automobile" are synonyms. A mapping is a hierarchy, of names to lists or to
            further mappings: {"animal": ["dog", "cat"], "vehicle": ["car|automobile"]}. One string is read as on the
            command line: "dog barking, rain", or "@words.txt". None means a vocabulary of everyday words.
        templates: Prompt templates: model, pool, zpe (weighted on your clips during the run), or a file (default:
            model).
        descriptions: Sentences that describe labels: .json, or 'label: sentence'.
        clip_seconds: Length of a clip, in seconds (default: 2.0).
        stride_seconds: From the start of one clip to the next; 0: the length of a clip, in seconds (default: 0.0).
        every: Label one clip in each stretch of this length: seconds or hh:mm:ss (default: 0.0).
        shots: Clips end where shots end; long shots are cut into clips.
        keyframes: Decode key frames only: much faster, without motion.
        reuse: Where nothing changes, the answers of an earlier clip hold.
        fps: Frames per second that are analysed (default: 8.0).
        top_k: Labels per clip in results (default: 5).
        modalities: Which of image, motion, audio to use (default: image,motion,audio).
        audio_track: Sound track: its number or language; empty: the best.
        exclusive: Labels exclude each other: events use shares.
        min_probability: An event begins at this probability (default: 0.5).
        min_duration: Shorter events are left out: seconds or hh:mm:ss (default: 0.0).
        gap: Events of a label at most this far apart are one: seconds or hh:mm:ss (default: 0.0).
        no_merge: near-synonyms (car, automobile) have events of their own.
        model: percept-mini, a model directory, or a hub id (default: percept-mini).
        audio_model: Another model for sound.
        flow: Optical flow: dis (default), dis-torch (for a GPU), or raft, which needs settings={"flow.weights": "raft-
            small.pth"}.
        find: Follow these things alone: 'dog, red car', or @words.txt.
        find_like: Follow what looks like this: photo.jpg, clip.mp4@12s, or a box in it, clip.mp4@12s:x0,y0,x1,y1 in
            fractions; may be repeated (default: ).
        detect: Tracks in results: all, found (by `find`), or none, which looks for no boxes and saves time (default:
            auto).
        detector: What finds objects besides motion: own (the model's), none, an ONNX file with the outputs of YOLOX, or
            a directory of OWL-ViT or OWLv2, which look for the things among `find` or `labels`.
        text: Also read what is written in the pictures (signs, captions); needs the extra ocr.
        regions: Also say where in the picture the probable labels are: box and share of the picture.
        relations: Also say how tracks stand to one another: dog on sofa, person left of bus.
        zone: Count tracks in a part of the picture, and how long they stay: NAME:x,y;x,y;x,y;... in fractions of the
            picture, such as 'door:0,0.5;0.3,0.5;0.3,1;0,1'; may be repeated.
        line: Count tracks that cross a line: NAME:x,y;x,y in fractions of the picture; from the top down, what moves
            right goes in; may be repeated.
        engine: Backend that runs the networks: auto, torch, onnxruntime, openvino, tensorrt (default: auto).
        precision: auto, fp32, bf16, fp16, int8 (default: auto).
        device: auto, cpu, cuda or cuda:N (default: auto).
        start: Where to start: seconds or hh:mm:ss (default: 0.0).
        end: Where to end: seconds or hh:mm:ss.
        recursive: Also search the folders in a folder.
        profile: Say at the end which stages took the time, and how large their arrays are.
        output: Also write to a file, or to several: results as .jsonl, .json, .parquet or .txt; events as .csv, .vtt or
            .srt; a page as .html.
        events: Write events, which are merged clips, to a file: .csv, .vtt, .srt or .jsonl ('*' is replaced by the
            source's name).
        tracks: Write tracks, frame by frame: .txt as in MOTChallenge, .json as in COCO, .xml for CVAT ('*' is replaced
            by the source's name).
        video: Write a copy of the video with labels and tracks drawn on it.
        panel: Where the labelled video shows labels: below the picture (default), in a corner without boxes, or not.
        html: Write a page that plays the video with its results.
        overwrite: Replace existing files.
        config: Settings from a TOML file, or the name of bundled ones: default, gpu, sampled, sound-only, split.
        settings: Single settings, such as {"flow.short_side_px": 160}.
        progress: True shows progress, False does not. None shows a bar in a notebook, and nothing elsewhere.

    Raises:
        ConfigError, SourceError, ModelError, PerceptError: At the first step of the loop or at its end, with the
            message of the command line.
    """
    options = {
        "templates": templates,
        "descriptions": descriptions,
        "clip_seconds": clip_seconds,
        "stride_seconds": stride_seconds,
        "every": every,
        "shots": shots,
        "keyframes": keyframes,
        "reuse": reuse,
        "fps": fps,
        "top_k": top_k,
        "modalities": modalities,
        "audio_track": audio_track,
        "exclusive": exclusive,
        "min_probability": min_probability,
        "min_duration": min_duration,
        "gap": gap,
        "no_merge": no_merge,
        "model": model,
        "audio_model": audio_model,
        "flow": flow,
        "find": find,
        "find_like": find_like,
        "detect": detect,
        "detector": detector,
        "text": text,
        "regions": regions,
        "relations": relations,
        "zone": zone,
        "line": line,
        "engine": engine,
        "precision": precision,
        "device": device,
        "start": start,
        "end": end,
        "recursive": recursive,
        "profile": profile,
        "output": output,
        "events": events,
        "tracks": tracks,
        "video": video,
        "panel": panel,
        "html": html,
        "overwrite": overwrite,
    }
    return records(sources, labels, options, ["find_like", "zone", "line", "output"], config, settings, progress)
