#!/usr/bin/env bash
# Libraries: pillow 13.0.0 and 12.3.0, Image.resize with the bicubic filter, which FID protocols such as clean-fid's use.
# Likely guess: the two passes come in one order, rows first, so that whoever repeats them as two matrix products, or
#   resizes in two calls, gets the same bytes for every shape; and so that two versions give the same bytes.
# Behaviour: 13.0.0 takes the columns first where more than twice as many rows as columns are lost (300x300 to 150x9: rows
#   first; to 200x20: columns first); 12.3.0 took the rows first in all of these. Each pass rounds to bytes, so pixels
#   differ by one level between the orders, and between the versions. A square made of a square is the same in both.
# Output seen:
#   12.3.0 300x300 to 20x20: rows first
#   12.3.0 300x300 to 150x9: rows first
#   12.3.0 300x300 to 200x20: rows first
#   12.3.0 300x600 to 150x30: rows first
#   12.3.0 60x900 to 40x20: rows first
#   12.3.0 900x60 to 20x40: rows first
#   13.0.0 300x300 to 20x20: rows first
#   13.0.0 300x300 to 150x9: rows first
#   13.0.0 300x300 to 200x20: columns first
#   13.0.0 300x600 to 150x30: columns first
#   13.0.0 60x900 to 40x20: columns first
#   13.0.0 900x60 to 20x40: rows first
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/environment"
for version in 12.3.0 13.0.0; do
  "$folder/environment/bin/pip" install --quiet --disable-pip-version-check "pillow==$version" numpy==2.4.6
  "$folder/environment/bin/python" - >> "$folder/seen.txt" <<'PYTHON'
import numpy as np
import PIL
from PIL import Image

random = np.random.default_rng(0)
shapes = [(300, 300, 20, 20), (300, 300, 150, 9), (300, 300, 200, 20), (300, 600, 150, 30), (60, 900, 40, 20)]
for width, height, new_width, new_height in [*shapes, (900, 60, 20, 40)]:
    image = Image.fromarray(random.integers(0, 256, (height, width), dtype=np.uint8))

    def resized(*sizes):
        result = image
        for size in sizes:
            result = result.resize(size, Image.Resampling.BICUBIC)
        return np.asarray(result)

    found = resized((new_width, new_height))
    orders = {"rows": (new_width, height), "columns": (width, new_height)}
    same = [name for name, middle in orders.items() if np.array_equal(found, resized(middle, (new_width, new_height)))]
    print(f"{PIL.__version__} {width}x{height} to {new_width}x{new_height}: {' and '.join(same)} first")
PYTHON
done
cat "$folder/seen.txt"
sed -n 's/^#   \([0-9.]* [0-9]*x.*\)/\1/p' "$0" | diff - "$folder/seen.txt"
