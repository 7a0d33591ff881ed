"""Words for the names of boxes: those of VOC that are no words, or not COCO's words for the same thing."""

WORDS = {
    "aeroplane": "airplane",
    "diningtable": "dining table",
    "motorbike": "motorcycle",
    "pottedplant": "potted plant",
    "sofa": "couch",
    "tvmonitor": "tv",
}


def word(name: str) -> str:
    return WORDS.get(name, name)
