"""The closed vocabulary of attributes and relations. Every other word is part of a thing's name."""

COLOURS = {
    **{
        name: name
        for name in ["red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white", "grey"]
    },
    **{"gray": "grey", "violet": "purple", "golden": "yellow", "crimson": "red", "scarlet": "red", "navy": "blue"},
    **{"turquoise": "blue", "beige": "brown", "silver": "grey", "blond": "yellow", "blonde": "yellow"},
}
"""By how they are written, the colour that is measured."""
SHADES = frozenset({"dark", "light", "bright", "pale"})
"""Before a colour they are part of it, and are not measured."""

SIZES = {
    **dict.fromkeys(("big", "bigger", "biggest", "large", "larger", "largest", "huge"), "big"),
    **dict.fromkeys(("small", "smaller", "smallest", "little", "tiny"), "small"),
    **dict.fromkeys(("tall", "taller", "tallest"), "tall"),
    **dict.fromkeys(("short", "shorter", "shortest"), "short"),
    **dict.fromkeys(("wide", "widest"), "wide"),
    **dict.fromkeys(("narrow", "narrowest"), "narrow"),
}
PLACES = {
    **dict.fromkeys(("left", "leftmost", "left-hand"), "left"),
    **dict.fromkeys(("right", "rightmost", "right-hand"), "right"),
    **dict.fromkeys(("top", "topmost", "upper", "highest"), "top"),
    **dict.fromkeys(("bottom", "lower", "lowest"), "bottom"),
    **dict.fromkeys(("middle", "central", "center", "centre"), "middle"),
    **dict.fromkeys(("nearest", "closest", "foremost"), "nearest"),
    **dict.fromkeys(("farthest", "furthest"), "farthest"),
}
"""Before a thing; after it, they are words of `PLACE_PHRASES`."""
_SIDES = {"left": "left", "right": "right", "top": "top", "bottom": "bottom", "middle": "middle"}
_SIDES |= {"center": "middle", "centre": "middle", "foreground": "nearest", "background": "farthest"}
PLACE_PHRASES = {
    f"{word} {the}{side}{more}": value
    for word in ("on", "at", "in", "to")
    for the in ("the ", "")
    for side, value in _SIDES.items()
    for more in ("", " side", " half", " of the picture", " of the image", " side of the picture")
}

_GOES = ("moving", "going", "walking", "running")
MOTIONS = {
    **dict.fromkeys(("running", "runs", "fast", "racing", "speeding", "galloping"), "fast"),
    **dict.fromkeys(("walking", "walks", "moving", "moves", "flying", "swimming", "jumping", "driving by"), "moving"),
    **dict.fromkeys(("still", "standing still", "not moving", "motionless", "parked", "stationary"), "still"),
    **dict.fromkeys(("standing", "stands", "sitting", "sits", "lying", "lies", "sleeping", "sleeps"), "still"),
    **{f"{verb} {way}": way for verb in _GOES for way in ("left", "right", "up", "down")},
    **{f"{verb} to the {way}": way for verb in _GOES for way in ("left", "right")},
    **dict.fromkeys(("coming closer", "approaching"), "closer"),
    **dict.fromkeys(("going away", "moving away"), "away"),
}  # fmt: skip
ORDERS = {
    f"{verb} {place}": f"{what} {value}"
    for what, verbs in {
        "came": ("came in", "comes in", "came", "comes", "enters", "entered", "appears", "appeared", "arrived"),
        "left": ("left", "leaves", "went out", "goes out", "disappears", "disappeared"),
    }.items()
    for verb in verbs
    for place, value in {"first": "first", "last": "last", "second": "second", "third": "third"}.items()
}
"""Only a film can tell them."""

RELATIONS = {
    **{f"{at}left {of}": "left" for at in ("", "to the ", "on the ", "at the ") for of in ("of", "side of")},
    **{f"{at}right {of}": "right" for at in ("", "to the ", "on the ", "at the ") for of in ("of", "side of")},
    **dict.fromkeys(("above", "over"), "above"),
    **dict.fromkeys(("below", "under", "underneath", "beneath"), "below"),
    **dict.fromkeys(("next to", "beside", "near", "near to", "close to", "by", "alongside", "besides"), "beside"),
    **dict.fromkeys(("on", "upon", "on top of", "atop", "across"), "on"),
    **dict.fromkeys(("in", "inside", "inside of", "within", "into", "through"), "inside"),
    "behind": "behind",
    "in front of": "front",
    "between": "between",
    **{f"{word}{to}": "nearest" for word in ("nearest", "closest") for to in (" to", "")},
    **dict.fromkeys(("far from", "away from"), "far"),
    "with": "with",
    "touching": "touching",
}
"""What boxes can tell. `stages.phrase.geometry` has a function for each value."""
GUESSED = frozenset({"behind", "front", "riding", "holding", "touching", "with", "worn"})
"""Boxes tell these only roughly."""

_VERBS = {
    "riding": "rid(?:e|es|ing|den)|rode|mount(?:s|ed|ing)?",
    "holding": "hold(?:s|ing)?|held|carr(?:y|ies|ying|ied)|us(?:e|es|ing|ed)|eat(?:s|ing|en)?|throw(?:s|ing|n)?"
    "|catch(?:es|ing)?|caught|read(?:s|ing)?|play(?:s|ing|ed)?|drink(?:s|ing)?|bit(?:e|es|ing|ten)",
    "worn": "wear(?:s|ing)?|worn|dressed",
    "touching": "push(?:es|ing|ed)?|pull(?:s|ing|ed)?|kick(?:s|ing|ed)?|hit(?:s|ting)?|hug(?:s|ging|ged)?"
    "|kiss(?:es|ing|ed)?|touch(?:es|ing|ed)?|pet(?:s|ting|ted)?|feed(?:s|ing)?|fed|lead(?:s|ing)?|led",
    "beside": "chas(?:e|es|ing|ed)|follow(?:s|ing|ed)?|watch(?:es|ing|ed)?|fac(?:e|es|ing|ed)|look(?:s|ing)?",
    "inside": "driv(?:e|es|ing|en)",
}
VERBS = {kind: f"(?:{forms})" for kind, forms in _VERBS.items()}
"""Regular expressions of verbs, by the geometry that they need at least. "by" after one makes it passive."""
PARTICLES = frozenset({"on", "at", "from", "in", "to", "with"})
"""They may follow a verb: "looking at", "playing with"."""

CLOTHES = {
    **dict.fromkeys(("hat", "cap", "helmet", "hood", "glasses", "sunglasses", "scarf", "mask", "hair"), (0.0, 0.25)),
    **dict.fromkeys(("shirt", "t-shirt", "jacket", "coat", "sweater", "pullover", "hoodie", "blouse"), (0.15, 0.6)),
    **dict.fromkeys(("top", "vest", "jersey", "suit", "tie", "uniform", "cardigan", "collar"), (0.15, 0.6)),
    **dict.fromkeys(("trousers", "pants", "jeans", "shorts", "skirt", "leggings"), (0.5, 0.95)),
    **dict.fromkeys(("shoes", "boots", "sneakers", "socks", "shoe"), (0.85, 1.0)),
    **dict.fromkeys(("dress", "robe", "overall", "clothes", "gown"), (0.15, 0.9)),
}  # fmt: skip
"""What is worn, and where on its wearer: from, until, in heights of the box."""

SUPPORTS = frozenset(
    {"armchair", "bed", "bench", "bicycle", "bike", "camel", "carpet", "chair", "couch", "counter", "cushion",
    "desk", "donkey", "elephant", "horse", "ladder", "mat", "motorbike", "motorcycle", "pillow", "plate",
    "pony", "rug", "scooter", "shelf", "skateboard", "sled", "snowboard", "sofa", "stage", "stool", "surfboard",
    "swing", "table", "tray", "wheelchair"}
)  # fmt: skip
"""What a thing that overlaps it is usually on, and not behind."""
HOLDERS = frozenset(
    {"backpack", "bag", "basket", "bathtub", "bin", "bowl", "box", "bucket", "cage", "cart", "cradle", "crib",
    "cup", "glass", "jar", "mug", "nest", "pan", "pot", "pram", "sink", "stroller", "suitcase", "tent", "tub",
    "vase"}
)  # fmt: skip
"""What a thing inside its box is usually in, and not in front of."""

ARTICLES = frozenset(
    ["the", "a", "an", "this", "that", "these", "those", "his", "her", "its", "their", "my", "your", "some"]
)
FILLERS = frozenset(
    [
        "who",
        "which",
        "that",
        "is",
        "are",
        "was",
        "were",
        "has",
        "have",
        "had",
        "being",
        "also",
        "there",
        "and",
        "it's",
        "that's",
        "both",
    ]
)
"""Words that join parts and say nothing of a picture."""
PRONOUNS = {**dict.fromkeys(("he", "she", "him", "they", "them"), "person"), "it": "thing"}
PEOPLE = frozenset(
    [
        "person",
        "man",
        "woman",
        "boy",
        "girl",
        "child",
        "people",
        "lady",
        "guy",
        "player",
        "rider",
        "driver",
        "dancer",
        "kid",
        "baby",
        "worker",
    ]
)
ANYTHING = frozenset(["one", "thing", "object", "something", "anything", "someone", "ones"])
"""Names that fit every box."""
NEGATIONS = frozenset(["not", "no", "without", "never", "isn't", "nobody", "nothing"])
OPENINGS = ("find", "show me", "show", "where is", "where are", "a photo of", "a picture of", "there is", "there are")
