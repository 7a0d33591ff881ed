"""Write the README's table of figures from benchmarks/results/*.json.

python -m benchmarks.table [--check]     --check only says whether README is up to date
"""

import argparse
import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- figures: begin -->\n", "<!-- figures: end -->"


def shown(value: Any, form: str) -> str:
    """A number, the median of a spread, or a share or another statistic with its 95 % interval."""
    if isinstance(value, dict) and "share" in value:
        return f"{value['share']:.0%} [{value['low']:.0%}, {value['high']:.0%}] of {value['count']}"
    if isinstance(value, dict) and "low" in value and "value" in value:
        return f"{value['value']:.2f} [{value['low']:.2f}, {value['high']:.2f}]"
    return form.format(float(value["median"] if isinstance(value, dict) else value))


def rows() -> list[tuple[str, str, str]]:
    """(what, figure, command) for each result that is there."""
    found: list[tuple[str, str, str]] = []
    for name, lines in LINES.items():
        path = ROOT / "benchmarks" / "results" / f"{name}.json"
        if not path.is_file():
            continue
        figures = json.loads(path.read_text())
        for what, key, form in lines:
            if key in figures:
                found.append((what, shown(figures[key], form), f"`benchmarks.{name}`"))
    return found


LINES: dict[str, list[tuple[str, str, str]]] = {
    "engines": [
        ("CLIP ViT-B/32 in batches of 8, onnxruntime fp32: pictures/s", "onnxruntime_fp32", "{:.1f}"),
        ("… openvino bf16", "openvino_bf16", "{:.1f}"),
        ("… openvino int8", "openvino_int8", "{:.1f}"),
        ("… openvino bf16 over onnxruntime fp32, in the same rounds", "openvino_bf16_ratio", "{:.2f}×"),
        ("… openvino int8 over onnxruntime fp32, in the same rounds", "openvino_int8_ratio", "{:.2f}×"),
    ],
    "efficiency": [
        ("pipeline against a plain loop over the same stages, clips/s", "ratio", "{:.2f}×"),
        ("clip-hops per second with do-nothing stages", "clip_hops_per_s", "{:,.0f}"),
    ],
    "naive": [
        ("against the script people write, same CLIP ViT-B/32 and pictures, onnxruntime fp32", "ratio", "{:.2f}×"),
        ("… openvino bf16", "openvino_bf16_ratio", "{:.2f}×"),
        ("… openvino int8, quantised on the same video", "openvino_int8_ratio", "{:.2f}×"),
        ("percept-mini at default settings, 720p", "mini_x_real_time", "{:.0f}× real time"),
    ],
    "memory": [
        ("peak memory of the whole process tree, an hour of 720p", "peak_mb", "{:.0f} MB"),
        ("its slope over the second half, per minute of run", "second_half_mb_per_minute", "{:+.1f} MB"),
    ],
    "fidelity": [
        ("embedding from a slot's frame against transformers' path from the full frame: cosine", "cosine", "{:.4f}"),
    ],
    "accuracy": [
        ("picture alone, real clips against 58 words: right word in the first five", "picture_top5", ""),
        ("picture, motion and sound together, the same", "all_top5", ""),
        ("first word kept when silence is added", "first_word_kept_with_silence", ""),
        ("sound alone, ESC-10 fold 3, zero-shot", "sound_top1", ""),
        ("composed, motion alone: what moves where, of 16 phrases", "motion_words", ""),
        (
            "composed, a photo with another thing's sound: both right words in the first two, fusion head",
            "pairs_both_fused",
            "",
        ),
        ("… without the head", "pairs_both_pool", ""),
        ("… with the picture alone", "pairs_both_picture", ""),
        ("… with the sound alone", "pairs_both_sound", ""),
        ("… one of them there, fusion head", "pairs_one_fused", ""),
        ("… with the picture alone", "pairs_one_picture", ""),
        ("… both, what the head adds", "pairs_gain_of_head", ""),
        ("… both, what it adds for words it was not trained on", "novel_pairs_gain_of_head", ""),
        (
            "composed, a photo set in motion: both right words in the first two, fusion head",
            "motion_pairs_both_fused",
            "",
        ),
        ("… without the head", "motion_pairs_both_pool", ""),
    ],
    "open_set": [
        ("does no label fit? ESC-10 fold 3, each class left out in turn: AUROC", "sounds_auroc", ""),
        ("… real clips, labels left out by chance", "clips_auroc", ""),
    ],
    "startup": [
        ("`percept --help`", "help_s", "{:.2f} s"),
        ("the sample's first result", "first_result_s", "{:.1f} s"),
    ],
}


def text() -> str:
    lines = ["| what | figure | printed by |", "|---|---|---|"]
    lines += [f"| {what} | {figure} | {command} |" for what, figure, command in rows()]
    machines: dict[str, list[str]] = {}
    for name in sorted(LINES):
        path = ROOT / "benchmarks" / "results" / f"{name}.json"
        if path.is_file():
            machine = json.loads(path.read_text())["machine"]
            said = f"{machine['cores']} cores ({machine['processor']}), Python {machine['python']}"
            machines.setdefault(said, []).append(name)
    lines += [
        "",
        "Medians, no GPU. " + "; ".join(f"On {said}: {', '.join(names)}" for said, names in machines.items()) + ".",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    readme = ROOT / "README.md"
    before, rest = readme.read_text().split(BEGIN)
    _, after = rest.split(END)
    made = before + BEGIN + text() + END + after
    if options.check and made != readme.read_text():
        raise SystemExit("README.md's figures are not those of benchmarks/results; run: python -m benchmarks.table")
    readme.write_text(made)


if __name__ == "__main__":
    main()
