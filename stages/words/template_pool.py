"""Prompt templates per modality, in the style of those published for zero-shot models.

The image and motion pools follow CLIP's prompts for ImageNet, Kinetics and UCF101 (Radford et al. 2021, arXiv
2103.00020), the audio pool those for CLAP and AV2A ("This is a sound of {}").
"""

POOL: dict[str, tuple[str, ...]] = {
    "image": (
        "{}",
        "a photo of {}",
        "a photo of a {}.",
        "a blurry photo of {}.",
        "a close-up photo of {}.",
        "a bright photo of {}.",
        "a dark photo of {}.",
        "a photo of many {}.",
        "a good photo of {}.",
        "itap of {}.",
        "a video frame of {}.",
        "a scene with {}.",
        "there is {} in the picture.",
        "a photo of a person {}.",
        "a photo of someone with {}.",
        "a demonstration of {}.",
    ),
    "motion": (
        "{}",
        "a video of {}",
        "a video of {}.",
        "the motion of {}.",
        "a clip of something {}.",
        "a video of a person {}.",
        "an example of {}.",
        "a demonstration of {}.",
        "movement: {}.",
        "the camera shows {}.",
    ),
    "audio": (
        "{}",
        "the sound of {}",
        "this is a sound of {}.",
        "a recording of {}.",
        "i can hear {}.",
        "{} can be heard.",
        "a noisy recording of {}.",
        "a clear recording of {}.",
        "the noise of {} in the background.",
        "{} nearby.",
        "someone recorded {}.",
        "an audio clip of {}.",
    ),
}
