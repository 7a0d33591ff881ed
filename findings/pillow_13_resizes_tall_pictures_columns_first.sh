#!/usr/bin/env bash
# Pillow 13 resizes a picture that becomes much lower columns first; Pillow 12 and everything before begins with the rows.
#
# Between the two passes values are rounded and clipped to 8 bits, so the order can be seen in the result. The same
# code on the same picture therefore gives other pixels after an update, for tall pictures alone: a wide one stays the
# same to the bit. Image processors of published networks call Pillow; vectors that were stored with Pillow 12 are not
# exactly those of Pillow 13, and a test that compares bytes fails for portrait photos only. Two calls of resize, one per
# axis, fix the order for all versions.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
for version in 12.0.0 13.0.0; do
    python3 -m venv "$version"
    "$version/bin/pip" install --quiet "pillow==$version" numpy==2.3.5
done
cat > order.py << 'END'
import sys

import numpy as np
import PIL
from PIL import Image

found = []
for height, width in ((480, 270), (270, 480)):
    y, x = np.mgrid[:height, :width]
    grid = ((x // 3 + y // 2) % 2 * 255).astype(np.uint8)
    picture = Image.fromarray(np.stack([grid, np.roll(grid, 1, 0), 255 - grid], axis=-1))
    way = Image.Resampling.BICUBIC
    at_once = np.asarray(picture.resize((64, 64), way))
    rows_first = np.asarray(picture.resize((64, height), way).resize((64, 64), way))
    columns_first = np.asarray(picture.resize((width, 64), way).resize((64, 64), way))
    assert not np.array_equal(rows_first, columns_first)
    order = "rows" if np.array_equal(at_once, rows_first) else "columns" if np.array_equal(at_once, columns_first) else "?"
    levels = int(np.abs(rows_first.astype(int) - columns_first).max())
    print(f"Pillow {PIL.__version__}, {width}x{height} to 64x64: {order} first; the other order is up to {levels} levels off")
    found.append(order)
sys.exit(found != sys.argv[1].split(","))
END
12.0.0/bin/python order.py rows,rows
13.0.0/bin/python order.py columns,rows
