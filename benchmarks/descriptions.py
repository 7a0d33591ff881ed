"""How far may the description of a label be mixed with its name before some name is found less well?

    python -m benchmarks.descriptions [--data ../shared/data] [--photos 1200] [--model percept-mini]

AUROC of 20 names on photos of VOC 2012, whose objects are known: with the name alone, and with a plain description of
what it looks like mixed in at several weights (`labels.description_weight`).
"""

import argparse
import io
import json
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from PIL import Image

from benchmarks import report
from engines.models.checkpoint import read_model
from pipeline.arrays import Array
from pipeline.stage import RunSettings
from stages.words.labels import build_label_set
from training.calibrate.unknown import auroc
from training.encoder import Encoder

WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0)
DESCRIPTIONS = {
    "aeroplane": "a machine with long wings and a tail that flies in the sky or stands at an airport",
    "bicycle": "two thin wheels with spokes, a frame, pedals and handlebars",
    "bird": "a small animal with feathers, wings and a beak",
    "boat": "a vessel with a hull, and often a mast, that floats on water",
    "bottle": "a tall container of glass or plastic with a narrow neck and a cap",
    "bus": "a long tall vehicle with many windows that carries passengers in a city",
    "car": "a vehicle with four wheels, doors, headlights and a windscreen on a road",
    "cat": "a small furry pet with pointed ears, whiskers and a long tail",
    "chair": "a flat seat with a back and four legs",
    "cow": "a large farm animal with hooves, horns and an udder that eats grass in a field",
    "dining table": "a flat wooden top on legs with plates, glasses and food",
    "dog": "a furry pet with a snout, floppy ears and a wagging tail, often on a leash",
    "horse": "a large animal with a mane, hooves and a long tail that people ride",
    "motorbike": "a vehicle with two thick wheels, an engine, an exhaust and a seat for a rider",
    "person": "a man, woman or child with a face, arms, legs and clothes",
    "potted plant": "green leaves or flowers that grow in a pot",
    "sheep": "a woolly white farm animal in a flock on a meadow",
    "sofa": "a long soft seat with cushions and armrests in a living room",
    "train": "a locomotive with wagons on railway tracks at a station",
    "tv monitor": "a flat screen in a dark frame on a desk or stand that shows a picture",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--photos", type=int, default=1200, help="use the first N photos (default: 1200)")
    parser.add_argument("--model", default="percept-mini")
    parser.add_argument("--features", type=Path, help="keep the embeddings in this .npz file, and use them again")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="descriptions-") as folder:
        run = RunSettings(model=options.model, modalities=("image",))
        names, embeddings = photos(options.data / "boxes", options.photos, run, options.features)
        written = Path(folder) / "descriptions.json"
        written.write_text(json.dumps(DESCRIPTIONS))
        found = {weight: aurocs(run, written, weight, names, embeddings) for weight in WEIGHTS}
    print(f"{len(embeddings)} photos; AUROC, and its change by the description, by weight")
    print(" " * 14 + "".join(f"{weight:>8g}" for weight in WEIGHTS))
    for row, name in enumerate(DESCRIPTIONS):
        alone, *others = (found[weight][row] for weight in WEIGHTS)
        print(f"{name:14}{alone:8.3f}" + "".join(f"{each - alone:+8.3f}" for each in others))
    changes = {weight: found[weight] - found[0.0] for weight in WEIGHTS[1:]}
    print(f"{'mean':14}{found[0.0].mean():8.3f}" + "".join(f"{each.mean():+8.3f}" for each in changes.values()))
    print(f"{'worst':22}" + "".join(f"{each.min():+8.3f}" for each in changes.values()))
    figures: dict[str, Any] = {"photos": len(embeddings), "model": read_model(options.model).id}
    figures["auroc"] = float(found[0.0].mean())
    for weight, each in changes.items():
        figures[f"change_{weight:g}"] = {"mean": float(each.mean()), "worst": float(each.min())}
    report.write("descriptions", figures)


def photos(folder: Path, count: int, run: RunSettings, kept: Path | None) -> tuple[list[frozenset[str]], Array]:
    """The names of the objects in each photo, and the photos' embeddings, float32 "N D"."""
    described = json.loads((folder / "voc2012.json").read_text())[:count]
    spaced = {name.replace(" ", ""): name for name in DESCRIPTIONS}
    names = [frozenset(spaced.get(box[0], box[0]) for box in each["boxes"]) for each in described]
    if kept is not None and kept.is_file():
        with np.load(kept) as file:
            embeddings: Array = file["embeddings"]
            return names[: len(embeddings)], embeddings[: len(names)]
    encoder = Encoder(run)
    found = []
    try:
        with tarfile.open(folder / "voc2012.tar") as archive:
            for each in described:
                content = archive.extractfile(each["file"])
                assert content is not None, each["file"]
                picture = np.asarray(Image.open(io.BytesIO(content.read())).convert("RGB"))
                found.append(encoder.photo(picture).embeddings["image"])
                if kept is not None and len(found) % 100 == 0:
                    np.savez(kept, embeddings=np.stack(found))
    finally:
        encoder.close()
    if kept is not None:
        np.savez(kept, embeddings=np.stack(found))
    return names, np.stack(found)


def aurocs(
    run: RunSettings, descriptions: Path, weight: float, names: Sequence[frozenset[str]], embeddings: Array
) -> Array:
    """AUROC of every name, in the order of `DESCRIPTIONS`."""
    changed: Mapping[str, Any] = {"descriptions": str(descriptions), "description_weight": weight}
    settings = msgspec.structs.replace(run, **changed)
    label_set = build_label_set(read_model(run.model), tuple(DESCRIPTIONS), settings, lambda text: None)
    odds = label_set.sides["image"].compare(embeddings)[2]
    return np.array(
        [auroc(odds[:, row], np.array([name in each for each in names])) for row, name in enumerate(DESCRIPTIONS)]
    )


if __name__ == "__main__":
    main()
