"""ImageNet photos that `benchmarks.accuracy` shows: nothing is trained or tuned on them."""

PHOTO_WORDS = (
    *(
        "goldfish",
        "great white shark",
        "bald eagle",
        "tree frog",
        "tarantula",
        "flamingo",
        "koala",
        "jellyfish",
        "snail",
    ),
    *(
        "golden retriever",
        "persian cat",
        "lion",
        "brown bear",
        "ladybug",
        "zebra",
        "hippopotamus",
        "giant panda",
        "airliner",
    ),
    *("ambulance", "backpack", "balloon", "bookcase", "castle", "fire engine", "freight car", "grand piano", "harp"),
    *(
        "laptop",
        "suspension bridge",
        "mountain bike",
        "school bus",
        "sewing machine",
        "soccer ball",
        "sunglasses",
        "teapot",
    ),
    *("umbrella", "volcano", "pizza", "strawberry", "daisy"),
)
"""Photos of the pairs: classes that make none of the ten sounds."""
