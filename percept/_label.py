"""`percept.label`. Written by `python -m commands.python_api` from the options of the command."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from percept._labelled import Labelled, labelled


def label(
    sources: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str],
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
    features: bool = False,
    recursive: bool = False,
    retry_failed: bool = False,
    redo: bool = False,
    checksum: bool = False,
    vtt: bool = False,
    csv: bool = False,
    json: bool = False,
    config: str | os.PathLike[str] | None = None,
    settings: Mapping[str, Any] | None = None,
    progress: bool | None = None,
) -> Labelled:
    """Label an archive: one Parquet file per source in the folder `output`. Returns what became of the sources.

        done = percept.label("videos/", "labels/", labels=["dog barking", "rain"], recursive=True)
        print(done.sources.labelled, done.sources.failed, done.sources.skipped)

    What is done is not done again. The work is done in a process of its own, which an interrupt stops too; what is
    finished by then stays. Several may work on one archive, on any machines.

    An option that is None has the value of `config`, or else the default that is given here.

    Args:
        sources: A folder, a file, a list of files (.txt), a glob; or a list of these.
        output: The folder of the archive.
        labels: Words to choose from, as for `percept.run`.
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
        features: Also store what each tower has before its projection into text space, to train or cluster on.
        recursive: Also search the folders in a folder.
        retry_failed: Also what has failed before.
        redo: Also what was labelled with other settings, model or words.
        checksum: Compare whole files, not size and time.
        vtt: Also a .vtt file beside each Parquet file.
        csv: Also a .csv file beside each Parquet file.
        json: Also a .json file beside each Parquet file.
        config: Settings from a TOML file.
        settings: Single settings, such as {"store.thumbnail_px": 120}.
        progress: True shows progress, False does not. None shows a bar in a notebook, and nothing elsewhere.

    Raises:
        ConfigError, ModelError, PerceptError: with the message of the command line. Sources that failed raise nothing:
            they are counted.
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
        "features": features,
        "recursive": recursive,
        "retry_failed": retry_failed,
        "redo": redo,
        "checksum": checksum,
        "vtt": vtt,
        "csv": csv,
        "json": json,
    }
    return labelled(sources, output, labels, options, ["find_like", "zone", "line"], config, settings, progress)
