#!/usr/bin/env bash
# Library: pytorch-pretrained-biggan 0.1.1, its batch norm for a truncation (module model, BigGANBatchNorm).
# Likely guess: the statistics of batch norm are stored for 51 truncations, 0 to 1 in steps of 0.02; for one in between the
#   two neighbours are weighted by how near they are, so the images change smoothly with the truncation.
# Behaviour: the two weights are exchanged. From 0.40 upwards the statistics jump to those of 0.42 and go back to those of
#   0.40 on the way to 0.42; only in the middle they are right. A multiple of 0.02 is hit where its division is exact: of
#   0.58 the statistics are those of 0.56. (Below, the planted statistics are the truncation that they belong to.)
# Output seen:
#   0.400 uses those of 0.400
#   0.401 uses those of 0.419
#   0.405 uses those of 0.415
#   0.410 uses those of 0.410
#   0.419 uses those of 0.401
#   0.580 uses those of 0.560
set -euo pipefail
script=$(realpath "$0")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/environment"
"$folder/environment/bin/pip" install --quiet --disable-pip-version-check torch==2.15.0 numpy==2.4.6 \
    scipy==1.17.1 pytorch-pretrained-biggan==0.1.1
cd "$folder"
"$folder/environment/bin/python" - > seen.txt 2> notes.txt <<'PYTHON'
import torch
from pytorch_pretrained_biggan.config import BigGANConfig
from pytorch_pretrained_biggan.model import BigGANBatchNorm

layer = BigGANBatchNorm(1, n_stats=51, eps=0.0, conditional=False).eval()
layer.running_means.copy_(torch.linspace(0, 1, 51).view(51, 1))
layer.running_vars.fill_(1.0)
layer.weight.data.fill_(1.0)
layer.bias.data.zero_()
zero = torch.zeros(1, 1, 1, 1)
for truncation in (0.4, 0.401, 0.405, 0.41, 0.419, 0.58):
    print(f"{truncation:.3f} uses those of {-layer(zero, truncation).item():.3f}")
PYTHON
cat seen.txt
sed -n '/^# Output seen:/,/^set /s/^#   //p' "$script" | diff - seen.txt
