#!/usr/bin/env bash
# Library: torchvision 0.29.2, its function rgb_to_grayscale (of both generations), and what uses it: Grayscale,
#   RandomGrayscale, adjust_saturation, ColorJitter.
# Likely guess: a grey picture, whose three channels are equal, stays as it is when it is made grey, also as a tensor of
#   bytes: white stays 255. So it does for a picture of Pillow in the same function.
# Behaviour: of a uint8 tensor every level but 0 falls by one, and by one more each further time: white is 254, then 253.
#   The three weights have the sum 0.9999, and the product is cut off, not rounded. A set of grey images passed through it
#   is one level from the same set read by Pillow, and saturation of factor 0 darkens; a float tensor loses a
#   ten-thousandth.
# Output seen:
#   transforms, uint8 tensor: levels that fall by one 255 of 256, white becomes 254, after three times 252
#   transforms.v2, uint8 tensor: levels that fall by one 255 of 256, white becomes 254, after three times 252
#   transforms, picture of Pillow: levels that fall by one 0 of 256, white becomes 255, after three times 255
#   saturation 0 of a grey uint8 tensor: levels that fall by one 255 of 256
#   float tensor: white becomes 0.9999
set -euo pipefail
script=$(realpath "$0")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/environment"
"$folder/environment/bin/pip" install --quiet --disable-pip-version-check torch==2.15.0 torchvision==0.29.2 numpy==2.4.6 pillow==13.0.0
cd "$folder"
"$folder/environment/bin/python" - > seen.txt <<'PYTHON'
import numpy as np
import torch
from PIL import Image
from torchvision.transforms import functional
from torchvision.transforms.v2 import functional as functional2

levels = torch.arange(256)
grey = levels.to(torch.uint8).expand(3, 1, 256)


def fallen(result: torch.Tensor) -> int:
    assert set((levels - result.long()).tolist()) <= {0, 1}
    return int((levels - result.long()).sum())


for name, module in (("transforms", functional), ("transforms.v2", functional2)):
    once = module.rgb_to_grayscale(grey, num_output_channels=3)
    thrice = module.rgb_to_grayscale(module.rgb_to_grayscale(once, num_output_channels=3))
    print(
        f"{name}, uint8 tensor: levels that fall by one {fallen(once[0, 0])} of 256, white becomes {once[0, 0, 255]}, "
        f"after three times {thrice[0, 0, 255]}"
    )
picture = Image.fromarray(grey.permute(1, 2, 0).contiguous().numpy())
once = functional.to_grayscale(picture, num_output_channels=3)
thrice = functional.to_grayscale(functional.to_grayscale(once, num_output_channels=3))
found = torch.from_numpy(np.array(once))[0, :, 0]
print(
    f"transforms, picture of Pillow: levels that fall by one {fallen(found)} of 256, white becomes {found[255]}, "
    f"after three times {np.array(thrice)[0, 255]}"
)
print(f"saturation 0 of a grey uint8 tensor: levels that fall by one {fallen(functional.adjust_saturation(grey, 0.0)[0, 0])} of 256")
print(f"float tensor: white becomes {functional.rgb_to_grayscale(torch.ones(3, 1, 1)).item():.4f}")
PYTHON
cat seen.txt
sed -n '/^# Output seen:/,/^set /s/^#   //p' "$script" | diff - seen.txt
