"""Write the table of figures in docs/measured.md from benchmarks/results/*.json.

python -m benchmarks.table [--check]     --check fails if the table is not up to date
"""

import argparse
import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- figures: begin -->\n", "<!-- figures: end -->"


def shown(value: Any, form: str) -> str:
    """A number, the median of several, or a share or other statistic with its 95 % interval."""
    if isinstance(value, dict) and "share" in value:
        return f"{value['share']:.0%} [{value['low']:.0%}, {value['high']:.0%}] of {value['count']}"
    if isinstance(value, dict) and "low" in value and "value" in value:
        return f"{value['value']:.2f} [{value['low']:.2f}, {value['high']:.2f}]"
    return form.format(float(value["median"] if isinstance(value, dict) else value))


def rows() -> list[tuple[str, str, str]]:
    """(what, figure, command) for each available result."""
    found: list[tuple[str, str, str]] = []
    for name, lines in LINES.items():
        path = ROOT / "benchmarks" / "results" / f"{name}.json"
        if not path.is_file():
            continue
        figures = json.loads(path.read_text())
        for what, key, form in lines:
            if (value := within(figures, key)) is not None:
                found.append((what, shown(value, form), f"`benchmarks.{name}`"))
    return found


def within(figures: Any, key: str) -> Any:
    """The value at a path such as "faults.killed.recovery_s"; None if there is none."""
    for part in key.split("."):
        figures = figures.get(part) if isinstance(figures, dict) else None
    return figures


S = "{:.2f} s"
LINES: dict[str, list[tuple[str, str, str]]] = {
    "engines": [
        ("CLIP ViT-B/32 at batch 8, onnxruntime fp32: pictures/s", "onnxruntime_fp32", "{:.1f}"),
        ("… openvino bf16", "openvino_bf16", "{:.1f}"),
        ("… openvino int8", "openvino_int8", "{:.1f}"),
        ("… openvino bf16 over onnxruntime fp32, in the same rounds", "openvino_bf16_ratio", "{:.2f}×"),
        ("… openvino int8 over onnxruntime fp32, in the same rounds", "openvino_int8_ratio", "{:.2f}×"),
    ],
    "efficiency": [
        ("clips/s of the pipeline over a plain loop with the same stages", "ratio", "{:.2f}×"),
        ("clip-hops per second with do-nothing stages", "clip_hops_per_s", "{:,.0f}"),
    ],
    "naive": [
        (
            "clips/s over a typical hand-written script, same CLIP ViT-B/32 and pictures, onnxruntime fp32",
            "ratio",
            "{:.2f}×",
        ),
        ("… openvino bf16", "openvino_bf16_ratio", "{:.2f}×"),
        ("… openvino int8, quantised on the same video", "openvino_int8_ratio", "{:.2f}×"),
    ],
    "memory": [
        ("peak memory of the whole process tree, one hour of 720p", "peak_mb", "{:.0f} MB"),
        ("… its growth in the second half, per minute of run", "second_half_mb_per_minute", "{:+.1f} MB"),
        ("… percept-mini at default settings", "x_real_time", "{:.0f}× real time"),
    ],
    "flow": [
        (
            "`--flow dis-torch`: end-point error over that of DIS, frames moved by known flow",
            "torch_over_dis.all",
            "{:.2f}×",
        ),
        ("… at worst, of seven kinds of motion", "torch_over_dis.worst", "{:.2f}×"),
        (
            "… grey levels left after warping over those of DIS, ten real films",
            "clips.left_over_that_of_dis",
            "{:.3f}×",
        ),
        ("… cosine of motion embeddings with those by DIS, median of clips", "clips.motion_cosine.median", "{:.3f}"),
        ("… clips with the same first word by motion alone", "clips.same_first_word", "{:.0%}"),
        ("… boxes by motion that both give, at an overlap of 0.5", "clips.boxes.shared", "{:.0%}"),
    ],
    "fidelity": [
        ("cosine of the embedding of a slot's frame with transformers' of the full frame", "cosine", "{:.4f}"),
    ],
    "accuracy": [
        ("real clips against 58 words, picture alone: right word in the top 5", "picture_top5", ""),
        ("… picture, motion and sound together", "all_top5", ""),
        ("… top word unchanged when silence is added", "first_word_kept_with_silence", ""),
        ("ESC-10 fold 3, sound alone, zero-shot: right word first", "sound_top1", ""),
        ("synthetic motion, motion alone: right word first of 16 kinds of motion", "motion_words", ""),
        ("composed, photo with unrelated sound: both words in the top 2, fusion head", "pairs_both_fused", ""),
        ("… both, without the head", "pairs_both_pool", ""),
        ("… both, picture alone", "pairs_both_picture", ""),
        ("… both, sound alone", "pairs_both_sound", ""),
        ("… at least one, fusion head", "pairs_one_fused", ""),
        ("… at least one, picture alone", "pairs_one_picture", ""),
        ("… both, gain from the head", "pairs_gain_of_head", ""),
        ("… both, gain from the head for words it was not trained on", "novel_pairs_gain_of_head", ""),
        ("composed, photo with unrelated motion: both words in the top 2, fusion head", "motion_pairs_both_fused", ""),
        ("… both, without the head", "motion_pairs_both_pool", ""),
    ],
    "open_set": [
        ("recognising that no label fits, ESC-10 fold 3, each class left out in turn: AUROC", "sounds_auroc", ""),
        ("… real clips, labels left out at random", "clips_auroc", ""),
    ],
    "startup": [
        ("`percept --help`", "help_s", "{:.2f} s"),
        ("first result of the sample", "first_result_s", "{:.1f} s"),
        ("… with an empty cache, as after an installation", "first_ever_result_s", "{:.1f} s"),
        ("… all eight results", "first_ever_last_result_s", "{:.1f} s"),
        ("… until all engines are built", "first_ever_end_s", "{:.0f} s"),
    ],
    "truth": [
        ("1,151 photos of VOC: AUROC of 'person'", "auroc person", "{:.2f}"),
        ("… mean AUROC of its 20 names", "voc mean auroc", "{:.2f}"),
        ("1,091 photos of Flickr8k: own caption in the first 10 of all", "photo to caption, in the first 10", "{:.2f}"),
        ("382 photos of ImageNet: class in the first 5 of 1,000", "imagenet first five", "{:.2f}"),
        ("75 real clips against 85 words, all modalities: right word first", "all clips, fused, first 1", "{:.2f}"),
        ("… picture alone", "all clips, picture, first 1", "{:.2f}"),
        ("… in the first 5, all modalities", "all clips, fused, first 5", "{:.2f}"),
        ("… picture alone", "all clips, picture, first 5", "{:.2f}"),
        ("133 urban sounds: right one first of ten", "urban sounds", "{:.2f}"),
    ],
    "reading": [
        ("100 captions on frames of real clips, read: share of wrong characters", "character_error.value", "{:.1%}"),
        ("… read without any error", "without_error", ""),
    ],
    "sound_to_picture": [
        ("161 photos searched with 42 sounds of what they show, through the words: mean average precision", "map", ""),
        ("… by chance", "chance", "{:.2f}"),
    ],
    "archive": [
        (
            "short files labelled, over one `percept run` per file: rate",
            "ratios.label / run, each.x_real_time",
            "{:.1f}×",
        ),
        ("… over one `percept run` for all of them", "ratios.label / run, together.x_real_time", "{:.2f}×"),
        ("… over a plain script with PyTorch towers", "ratios.label / plain, torch.x_real_time", "{:.2f}×"),
        ("… over the same script with our engines", "ratios.label / plain, tracks.x_real_time", "{:.2f}×"),
        ("… over that without boxes and tracks", "ratios.label / plain.x_real_time", "{:.2f}×"),
        ("720p with `--keyframes`, over every frame", "ratios.key frames / every frame.x_real_time", "{:.1f}×"),
        ("… per CPU second", "ratios.key frames / every frame.per_core", "{:.1f}×"),
    ],
    "archive_kills": [
        ("files labelled, killed at random and resumed", "files", "{:,.0f}"),
        ("… times that it was killed", "kills", "{:.0f}"),
        ("… rows in the end", "rows_resumed", "{:,.0f}"),
        ("… rows lost", "lost", "{:.0f}"),
        ("… rows doubled", "doubled", "{:.0f}"),
    ],
    "archive_start": [
        ("start on 50,000 sources that are done, all in one folder", "first.wall_s", S),
        ("… once there is an index", "again.wall_s", S),
    ],
    "search_lancedb": [
        ("LanceDB's flat scan over an exact search, a million clips: time of a query", "warm_s_ratio", "{:.1f}×"),
        ("… of the first query", "cold_s_ratio", "{:.1f}×"),
    ],
    "archive_scale": [
        ("a million clips scored against 100 words, in memory", "in_memory.odds_s", S),
        ("… with all that a row holds of them", "in_memory.whole_rows_s", S),
        ("ten million clips searched: memory at most", "search.peak_gb", "{:.1f} GB"),
        ("ten million clips relabelled: memory at most", "relabel.peak_gb", "{:.1f} GB"),
    ],
    "watch": [
        ("eight 720p25 cameras with sound over RTSP, half of them still: age of answers, p50", "percept_age_p50_s", S),
        ("… p99", "percept_age_p99_s", S),
        ("… p99 of a plain script", "plain_age_p99_s", S),
        ("… slope of age per minute, seconds", "percept_age_slope_s_per_minute", ""),
        ("… clips with an answer", "percept_share_kept", "{:.1%}"),
        ("… cores in use", "percept_cores", "{:.2f}"),
        ("… cores in use by a plain script", "plain_cores", "{:.2f}"),
        ("… slope of memory per minute, MB", "percept_memory_slope_mb_per_minute", ""),
        ("most such cameras with p99 below 3 s, of which no still one loses a clip", "percept_most_young", "{:.0f}"),
        ("… by a plain script that does the same work", "plain_most_young", "{:.0f}"),
        ("most such cameras that have an answer for 99 % of the clips besides", "percept_most_answered", "{:.0f}"),
        ("… by a plain script", "plain_most_answered", "{:.0f}"),
    ],
    "watch_faults": [
        ("well again after the camera server was killed, from when it is back", "faults.killed.recovery_s", S),
        ("… after it stalled for 5 s", "faults.stalled-5.recovery_s", S),
        ("… after it stalled for 60 s", "faults.stalled-60.recovery_s", S),
        ("… longest time without a result when the resolution changes", "faults.resolution.recovery_s", S),
        ("… when the sound is lost", "faults.sound.recovery_s", S),
        ("… after 30 % of the packets were lost (UDP), until a clip without damage", "faults.packets.recovery_s", S),
        ("… after the broker was away for a minute, until all is delivered", "faults.broker.recovery_s", S),
        ("… after a worker was killed", "faults.worker.recovery_s", S),
        ("… after a decoder was killed", "faults.decoder.recovery_s", S),
        ("… after the output process was killed", "faults.output.recovery_s", S),
        ("processes killed at random in ten minutes, with an exact account", "faults.kills.figures.kills", "{:.0f}"),
        ("… longest time without a result", "faults.kills.figures.longest_silence_s", S),
    ],
    "soak": [
        ("eight cameras for 20 minutes: slope of age per minute, seconds", "slopes.age_s", ""),
        ("… slope of memory per minute, MB", "slopes.memory_mb", ""),
        ("… slope of descriptors", "slopes.descriptors", ""),
    ],
    "explaining": [
        ("pictures of two or four photos: the peak of a word's map is in its photo", "peak_in_its_part", ""),
        ("… a word that is not there is unknown", "absent_word_unknown", ""),
        ("… pairs divided between their words: IoU", "iou_divided_pairs", ""),
        ("… over 70 % of the evidence for a word is in its photo", "evidence_70_percent_in_its_half", ""),
        ("half a second of sound in ten: its evidence is within 0.2 s of it", "sound_found_within_0.2_s", ""),
    ],
    "places": [
        (
            "100 photos of things of one kind: the surest place of `--regions` is inside their box",
            "regions.quick_peak_inside",
            "",
        ),
        ("… with `regions.fine`", "regions.fine_peak_inside", ""),
        ("… IoU of the region's box with theirs", "regions.quick_iou", ""),
        (
            "pairs of photos, one of them like a third: the peak of `where --like` is in it, by a box",
            "like.box_peak_in_its_half",
            "",
        ),
        ("… by what stands out in the middle", "like.middle_peak_in_its_half", ""),
    ],
    "finding": [
        ("scenes with two things of a name: the best box points at the one described", "points_at_the_right_thing", ""),
        ("… and overlaps it by half or more", "right_box", ""),
        ("… quick", "right_box_quick", ""),
        ("… a phrase with swapped roles fits less well", "swapped_roles_score_lower", ""),
    ],
    "relations": [
        ("films of two cut-outs: the relation that each was made for is told", "found", ""),
        ("… where both have a track with their name", "found_of_named_things", ""),
        ("… of what is told, true with both names", "true", ""),
        ("… true, whatever the names", "true_names_aside", ""),
        ("photos of riders: the picture tower alone tells who rides whom", "tower_tells_who_rides_whom", ""),
    ],
    "detection": [
        ("photos of VOC that are only reported: objects found with 30 boxes", "ours.recall of 30 boxes", "{:.1f} %"),
        ("… AP50 of person", "ours.AP50 of person", "{:.1f} %"),
        ("… mean AP50 of the names with at least 20 objects", "ours.mean AP50", "{:.1f} %"),
    ],
    "doings": [
        ("real clips of 2 s, motion alone: AUROC of jumping", "real.jumping.auroc", "{:.3f}"),
        ("… at least 0.5 where nobody jumps", "real.jumping.false_alarms", "{:.1%}"),
        ("films of figures: AUROC of jumping", "made.jumping.auroc", "{:.3f}"),
    ],
    "kinds": [
        (
            "photos that are only reported: mean AUROC of wider words, if nothing is known of kinds",
            "classes.without.auroc",
            "{:.3f}",
        ),
        ("… now", "classes.with.auroc", "{:.3f}"),
        ("… mean probability where they are right, if nothing is known of kinds", "classes.without.right", "{:.2f}"),
        ("… now", "classes.with.right", "{:.2f}"),
    ],
    "crops": [
        (
            "objects of such photos, cut out with a margin: right names among 20",
            "1 times as large.right, shown",
            "{:.1f} %",
        ),
        ("… with blurred surroundings instead", "1 times as large.right, blurred", "{:.1f} %"),
        ("… cut out by boxes 1.4 times as large, with a margin", "1.4 times as large.right, shown", "{:.1f} %"),
        ("… with blurred surroundings", "1.4 times as large.right, blurred", "{:.1f} %"),
    ],
    "still_files": [
        ("films of fixed cameras: people who walk in, planted", "planted.as filmed.planted", "{:.0f}"),
        ("… missed where answers are reused", "planted.as filmed.missed", "{:.0f}"),
        ("… planted paler, at 0.7 of their contrast", "planted.paler.planted", "{:.0f}"),
        ("… of these missed", "planted.paler.missed", "{:.0f}"),
        ("… planted at 0.4 of their contrast", "planted.palest.planted", "{:.0f}"),
        ("… of these missed", "planted.palest.missed", "{:.0f}"),
        (
            "CPU time without reuse over that with it: H.265 camera, key frame 2 s",
            "costs.h265_2s_reduced.gain",
            "{:.1f}×",
        ),
        ("… MPEG-4, key frame 1 s", "costs.mpeg4_1s_reduced.gain", "{:.1f}×"),
        ("… H.264 camera, key frame 2 s", "costs.h264_2s_reduced.gain", "{:.1f}×"),
        ("… H.264 camera, key frame 1 s", "costs.h264_1s_reduced.gain", "{:.1f}×"),
        ("… x264 medium, key frame 250 pictures", "costs.x264_250_reduced.gain", "{:.1f}×"),
        ("… H.265 camera, key frame 2 s, raw noise", "costs.h265_2s_raw.gain", "{:.1f}×"),
        ("… largest difference of a probability, H.265", "costs.h265_2s_reduced.difference", "{:.3f}"),
        ("… H.264 camera, key frame 1 s", "costs.h264_1s_reduced.difference", "{:.3f}"),
    ],
    "tracking": [
        ("KITTI, cars: HOTA of the tracker, with the same boxes as others", "native.Car.ours.HOTA", "{:.1f}"),
        ("… ByteTrack", "native.Car.ByteTrackTracker.HOTA", "{:.1f}"),
        ("… C-BIoU", "native.Car.CBIoUTracker.HOTA", "{:.1f}"),
        ("KITTI, pedestrians: HOTA of the tracker", "native.Pedestrian.ours.HOTA", "{:.1f}"),
        ("… ByteTrack", "native.Pedestrian.ByteTrackTracker.HOTA", "{:.1f}"),
        ("… C-BIoU", "native.Pedestrian.CBIoUTracker.HOTA", "{:.1f}"),
    ],
}


def text() -> str:
    lines = ["| measurement | figure | printed by |", "|---|---|---|"]
    lines += [f"| {what} | {figure} | {command} |" for what, figure, command in rows()]
    machines: dict[str, list[str]] = {}
    for name in sorted(LINES):
        path = ROOT / "benchmarks" / "results" / f"{name}.json"
        if path.is_file():
            machine = json.loads(path.read_text())["machine"]
            facts = f"{machine['cores']} cores ({machine['processor']}), Python {machine['python']}"
            machines.setdefault(facts, []).append(name)
    measured_on = "; ".join(f"{facts} for {', '.join(names)}" for facts, names in machines.items())
    return "\n".join([*lines, "", f"Medians, no GPU. Machines: {measured_on}."]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    page = ROOT / "docs" / "measured.md"
    before, rest = page.read_text().split(BEGIN)
    _, after = rest.split(END)
    made = before + BEGIN + text() + END + after
    if not options.check:
        page.write_text(made)
    elif made != page.read_text():
        raise SystemExit(f"{page.name}: its figures differ from benchmarks/results. Run: python -m benchmarks.table")


if __name__ == "__main__":
    main()
