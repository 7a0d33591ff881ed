"""What other modules need to know of the detector without importing torch."""

WEIGHTS_FILE = "detector.safetensors"
STRIDES_PX = (16, 32)
SIDE_STEP_PX = 32
"""Sides of the input are multiples of it."""
TOKEN = 384
