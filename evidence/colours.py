"""Colours of maps."""

import colorsys

import cv2
import numpy as np

from pipeline.arrays import Array
from pipeline.sinks.lettering import Colour

PAPER, INK, FAINT, RULE = (250, 250, 248), (28, 30, 36), (118, 122, 132), (222, 223, 226)
SUPPORT = {"image": (37, 99, 235), "motion": (22, 140, 70), "audio": (217, 98, 14)}
"""Of what each modality says, on paper: darker tones of `pipeline.sinks.panel.COLOURS`."""


def word_colour(number: int) -> Colour:
    """A colour by the number of a word, such that neighbouring numbers have very different hues."""
    red, green, blue = colorsys.hsv_to_rgb((0.07 + number * 0.618034) % 1.0, 0.72, 0.98)
    return round(red * 255), round(green * 255), round(blue * 255)


def heat(values: Array) -> Array:
    """Values in [0, 1], "H W", as colours uint8 "H W 3": the map Inferno, which stays legible in grey."""
    grey = np.round(np.clip(values, 0, 1) * 255).astype(np.uint8)
    coloured: Array = cv2.cvtColor(cv2.applyColorMap(grey, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
    return coloured
