#!/usr/bin/env bash
# Library: torchvision 0.29.2, three ways from a float image in [0, 1] to bytes: save_image, to_pil_image, and
#   convert_image_dtype (to_dtype with scale=True).
# Likely guess: one library writes one float image as one picture, each value as the nearest of the 256 levels.
# Behaviour: only save_image rounds. to_pil_image multiplies by 255 and cuts off: its pictures are half a level darker on
#   average, and white is only what is exactly 1. convert_image_dtype divides [0, 1] into 256 equal parts. So sets of the
#   same samples saved in two ways differ by a level in half of their pixels; and a picture that was brought to [-1, 1]
#   as for a GAN, and back, is changed by to_pil_image in 63 of 256 levels, by the others in none.
# Output seen:
#   save_image: levels from the exact value, mean 0.0; 0.5 becomes 128; there and back changes 0 of 256 levels
#   to_pil_image: levels from the exact value, mean -0.5; 0.5 becomes 127; there and back changes 63 of 256 levels
#   convert_image_dtype: levels from the exact value, mean 0.0; 0.5 becomes 127; there and back changes 0 of 256 levels
#   pixels that save_image and to_pil_image give another level: 0.50
set -euo pipefail
script=$(realpath "$0")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/environment"
"$folder/environment/bin/pip" install --quiet --disable-pip-version-check torch==2.15.0 torchvision==0.29.2 numpy==2.4.6 \
  pillow==13.0.0
cd "$folder"
"$folder/environment/bin/python" - > seen.txt <<'PYTHON'
import io

import numpy as np
import torch
from PIL import Image
from torchvision.transforms.functional import convert_image_dtype, to_pil_image
from torchvision.utils import save_image


def saved(image: torch.Tensor) -> np.ndarray:
    buffer = io.BytesIO()
    save_image(image, buffer, format="png")
    return np.array(Image.open(buffer)).transpose(2, 0, 1)


ways = {
    "save_image": saved,
    "to_pil_image": lambda image: np.array(to_pil_image(image)).transpose(2, 0, 1),
    "convert_image_dtype": lambda image: convert_image_dtype(image, torch.uint8).numpy(),
}
image = torch.rand(3, 500, 500, generator=torch.Generator().manual_seed(0))
grey = torch.full((3, 1, 1), 0.5)
levels = torch.arange(256, dtype=torch.uint8).expand(3, 1, 256)
there_and_back = ((levels / 127.5 - 1) + 1) / 2
for name, way in ways.items():
    error = way(image).astype(float) - 255 * image.double().numpy()
    changed = int((way(there_and_back)[0, 0] != levels[0, 0].numpy()).sum())
    print(
        f"{name}: levels from the exact value, mean {round(error.mean(), 1) + 0.0}; 0.5 becomes {way(grey).flat[0]}; there "
        f"and back changes {changed} of 256 levels"
    )
differing = (ways["save_image"](image) != ways["to_pil_image"](image)).mean()
print(f"pixels that save_image and to_pil_image give another level: {differing:.2f}")
PYTHON
cat seen.txt
sed -n '/^# Output seen:/,/^set /s/^#   //p' "$script" | diff - seen.txt
