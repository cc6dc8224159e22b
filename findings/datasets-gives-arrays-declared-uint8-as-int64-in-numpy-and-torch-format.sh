#!/usr/bin/env bash
# Library: datasets 5.2.0 with numpy 2.4.6 and torch 2.15.0.
# Likely guess: `with_format("numpy")` and `with_format("torch")` give arrays of the type that the column declares, so images
#   declared as uint8 arrive as bytes.
# Behaviour: a column `Array2D(..., "uint8")` arrives as int64, in eight times the memory, in both formats; a single
#   `Value("uint8")` as uint8 in numpy and as int64 in torch; images of the type `Image` as uint8 in both. Code that tells
#   bytes from other numbers by the type takes such pixels for numbers of another range.
# Output seen:
#   numpy: Array2D of uint8: int64, Value of uint8: uint8, Image: uint8
#   torch: Array2D of uint8: int64, Value of uint8: int64, Image: uint8
set -euo pipefail
script=$(realpath "$0")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/environment"
"$folder/environment/bin/pip" install --quiet --disable-pip-version-check \
    datasets==5.2.0 numpy==2.4.6 pillow==13.0.0 torch==2.15.0
cd "$folder"
HF_HUB_OFFLINE=1 "$folder/environment/bin/python" - > seen.txt <<'PYTHON'
import numpy as np
from datasets import Array2D, Dataset, Features, Image, Value
from PIL import Image as Picture

pixels = np.zeros((4, 4), np.uint8)
features = Features({"array": Array2D((4, 4), "uint8"), "value": Value("uint8"), "image": Image()})
rows = Dataset.from_dict({"array": [pixels], "value": [1], "image": [Picture.fromarray(pixels)]}, features=features)
for kind in ("numpy", "torch"):
    row = rows.with_format(kind)[0]
    array, value, image = (str(row[name].dtype).removeprefix("torch.") for name in ("array", "value", "image"))
    print(f"{kind}: Array2D of uint8: {array}, Value of uint8: {value}, Image: {image}")
PYTHON
cat seen.txt
sed -n 's/^#   \(\(numpy\|torch\): Array2D .*\)/\1/p' "$script" | diff - seen.txt
