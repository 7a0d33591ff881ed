"""Boxes as in COCO: an image for each frame that has any."""

import json
from typing import Any

from archive.exports.source import Source


def text(source: Source) -> str:
    """Boxes are x, y, width, height in stored pixels, upright: those of pictures that FFmpeg or OpenCV decode.

    A picture is named as `ffmpeg -i talk.mp4 talk.mp4/%06d.jpg` names it: the first frame is 000001. Only boxes that
    were found are written, none that are interpolated. In an archive, `categories` are the same in all files.
    """
    width, height = source.stored_size
    paths = source.tracks((width, height))
    names = sorted({*source.categories, *(path.label for path in paths)})
    numbers = {name: number for number, name in enumerate(names, 1)}
    boxes = sorted(
        (frame, path.id, box, path) for path in paths for stretch in path.stretches for frame, box in stretch
    )
    images = {frame: number for number, frame in enumerate(sorted({frame for frame, *_ in boxes}), 1)}
    annotations: list[dict[str, Any]] = []
    for frame, track_id, (x0, y0, x1, y1), path in boxes:
        box = [round(each, 2) for each in (x0, y0, x1 - x0, y1 - y0)]
        annotations.append(
            {
                "id": len(annotations) + 1,
                "image_id": images[frame],
                "category_id": numbers[path.label],
                "bbox": box,
                "area": round(box[2] * box[3], 2),
                "iscrowd": 0,
                "track_id": track_id,
                **({"score": round(path.probability, 4)} if path.probability >= 0 else {}),
            }
        )
    content = {
        "info": {"description": source.name, "version": source.facts.model},
        "licenses": [],
        "videos": [{"id": 1, "name": source.name, "width": width, "height": height}],
        "images": [
            {
                "id": number,
                "file_name": f"{source.name}/{frame + 1:06}.jpg",
                "width": width,
                "height": height,
                "video_id": 1,
                "frame_id": frame,
            }
            for frame, number in images.items()
        ],
        "annotations": annotations,
        "categories": [{"id": number, "name": name, "supercategory": ""} for name, number in numbers.items()],
    }
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"
