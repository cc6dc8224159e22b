#!/usr/bin/env bash
# Library: torch 2.15.0, CPU.
# Likely guess: the memory format changes speed, not values, so noise like an image (`randn_like`) and dropout are the same
#   for the same seed whether the image is channels-last or contiguous.
# Behaviour: `rand_like`, `randn_like` and `dropout` fill the memory in its own order, so the same seed gives other values at
#   the same places. `bernoulli` and `dropout2d` do not differ, nor does `randn` by shape.
# Output seen:
#   the same seed, contiguous and channels last: randn_like: other values
#   the same seed, contiguous and channels last: rand_like: other values
#   the same seed, contiguous and channels last: dropout: other values
#   the same seed, contiguous and channels last: dropout2d: same values
#   the same seed, contiguous and channels last: bernoulli: same values
#   the same seed, contiguous and channels last: randn of the shape: same values
set -euo pipefail
script=$(realpath "$0")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/environment"
"$folder/environment/bin/pip" install --quiet --disable-pip-version-check torch==2.15.0 numpy==2.4.6
cd "$folder"
"$folder/environment/bin/python" - > seen.txt <<'PYTHON'
import torch
from torch.nn.functional import dropout, dropout2d

images = torch.full((2, 3, 8, 8), 0.5)
forms = images, images.to(memory_format=torch.channels_last)
actions = {
    "randn_like": torch.randn_like,
    "rand_like": torch.rand_like,
    "dropout": dropout,
    "dropout2d": dropout2d,
    "bernoulli": torch.bernoulli,
    "randn of the shape": lambda image: torch.randn(image.shape),
}
for name, action in actions.items():
    results = []
    for form in forms:
        torch.manual_seed(0)
        results.append(action(form))
    same = "same" if torch.equal(*results) else "other"
    print(f"the same seed, contiguous and channels last: {name}: {same} values")
PYTHON
cat seen.txt
sed -n 's/^#   \(the same seed, .*\)/\1/p' "$script" | diff - seen.txt
