"""The classes of the ImageNet photos that `benchmarks.accuracy` uses; nothing is trained or tuned on these photos."""

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
"""Classes that make none of the ten sounds they are paired with."""
