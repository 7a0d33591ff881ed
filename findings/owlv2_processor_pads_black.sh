#!/usr/bin/env bash
# The image processor of OWLv2 pads pictures with black in transformers 5; in version 4 it was grey.
#
# OWLv2 reads squares: a picture gets a border at the right or below, and is then resized. The authors' code (scenic)
# fills the border with 0.5, and so did Owlv2ImageProcessor of transformers 4. The processors of version 5 have a
# parameter `constant_value` with the default 0.0, and pass nothing else. The same call on the same picture with the
# same preprocessor_config.json therefore gives other pixels: a quarter of them for 4:3, 44 % for 16:9.
#
# One would guess that a new major version prepares pictures for a published model as the old one did, or that the
# configuration says the colour. It says `do_pad` alone.
#
# It matters to whoever compares an own implementation with the current processor, and to detections near the border:
# the network was trained with grey. `processor.pad` with constant_value=0.5 restores it.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for version in 4.57.3 5.23.0; do
    "${PYTHON:-python3}" -m venv "$work/$version"
    "$work/$version/bin/pip" install -qq --disable-pip-version-check \
        "transformers==$version" numpy==2.4.6 scipy==1.17.1 pillow==12.0.0
done

cd "$work"
cat > border.py <<'PY'
import importlib
import warnings

warnings.simplefilter("ignore")
import numpy as np
import transformers

transformers.utils.logging.set_verbosity_error()
MEAN, STD = np.array([0.48145466, 0.4578275, 0.40821073]), np.array([0.26862954, 0.26130258, 0.27577711])


def processor_class():
    for module, name in (
        ("image_processing_pil_owlv2", "Owlv2ImageProcessorPil"),  # version 5, without torchvision
        ("image_processing_owlv2", "Owlv2ImageProcessor"),
    ):
        try:
            return getattr(importlib.import_module(f"transformers.models.owlv2.{module}"), name)
        except ModuleNotFoundError:
            continue
    raise SystemExit("no processor of OWLv2")


picture = np.full((32, 64, 3), 255, np.uint8)  # white, so the border is what is not white
processor = processor_class()(size={"height": 64, "width": 64})
(pixels,) = processor(picture, return_tensors="np")["pixel_values"]
grey = pixels[:, 60, 32] * STD + MEAN
print(f"{transformers.__version__} {processor_class().__name__} {np.round(grey, 3).tolist()}")
PY
echo "Versions"
"$work/4.57.3/bin/python" border.py > old 2>errors || { tail -n 20 errors >&2; exit 1; }
"$work/5.23.0/bin/python" border.py > new 2>errors || { tail -n 20 errors >&2; exit 1; }
echo "  transformers $(cut -d' ' -f1,2 old)"
echo "  transformers $(cut -d' ' -f1,2 new)"
echo "Expected: both versions fill the border with 0.5, as the authors do."
echo "Seen: values below a white picture in [0, 1]"
echo "  version 4: $(cut -d' ' -f3- old)"
echo "  version 5: $(cut -d' ' -f3- new)"
if [[ $(cut -d' ' -f3- old) == "[0.5, 0.5, 0.5]" && $(cut -d' ' -f3- new | tr -d -) == "[0.0, 0.0, 0.0]" ]]; then
    echo "The behaviour is as described."
else
    echo "The behaviour has changed."
    exit 1
fi
