#!/usr/bin/env bash
# Library: pillow 13.0.0, Image.thumbnail, with which many data sets of small images are made from JPEG files.
# Likely guess: a thumbnail depends on the pixels of the image, so it is the same whether the file was opened a moment ago
#   or its pixels were looked at before (its extremes, a histogram, a copy): looking changes nothing.
# Behaviour: of a JPEG whose pixels were not read yet the decoder is asked for an image of an eighth of the size or more,
#   in its own way, and the filter works on that; afterwards on the pixels themselves. The two differ by several levels
#   where there is fine detail, and both differ from resize. A data set made by a loop that first checks each image is
#   another one than that of the same loop without the check. In PNG there is no difference.
# Output seen:
#   JPEG, thumbnail after getextrema() and without: equal False, differ by over 5 levels somewhere True
#   PNG, thumbnail after getextrema() and without: equal True, differ by over 5 levels somewhere False
set -euo pipefail
script=$(realpath "$0")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/environment"
"$folder/environment/bin/pip" install --quiet --disable-pip-version-check pillow==13.0.0 numpy==2.4.6
cd "$folder"
"$folder/environment/bin/python" - > seen.txt <<'PYTHON'
import numpy as np
from PIL import Image

y, x = np.mgrid[:512, :768]
waves = 128 + 127 * np.sin(x / 3) * np.cos(y / 5)
squares = 255 * ((x // 8 + y // 8) % 2)
Image.fromarray(np.stack([waves, x / 3, squares], -1).astype(np.uint8)).save("image.png")
Image.open("image.png").save("image.jpeg", quality=95)


def thumbnail(path, look):
    image = Image.open(path)
    if look:
        image.getextrema()
    image.thumbnail((64, 64))
    return np.asarray(image).astype(int)


for kind in ("JPEG", "PNG"):
    apart = np.abs(thumbnail(f"image.{kind.lower()}", True) - thumbnail(f"image.{kind.lower()}", False)).max()
    print(
        f"{kind}, thumbnail after getextrema() and without: equal {apart == 0}, differ by over 5 levels somewhere "
        f"{apart > 5}"
    )
PYTHON
cat seen.txt
sed -n '/^# Output seen:/,/^set /s/^#   //p' "$script" | diff - seen.txt
