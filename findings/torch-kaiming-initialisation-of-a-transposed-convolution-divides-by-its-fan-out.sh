#!/usr/bin/env bash
# Library: torch 2.15.0, torch.nn.init (kaiming_normal_ and its like) and the default weights of torch.nn.ConvTranspose2d.
# Likely guess: mode "fan_in", the default, keeps the variance of what passes forward through any layer that it fills, as
#   the documentation says; a transposed convolution with stride 1 is a convolution, so it gets weights of the same size.
# Behaviour: the fan is read from the second axis of the weight, and that of a transposed convolution holds its output
#   channels. Weights are divided by the fan-out: from 512 to 16 channels, as at the end of a generator, the deviation
#   grows 5.7 times, from 16 to 512 it falls as much; "fan_out" keeps it. The default weights follow the same rule, so
#   the two layers start with different scales there too.
# Output seen:
#   512 to 16 channels: convolution 1.0, transposed 5.5, transposed with fan_out 1.0; by default 0.6 and 3.2
#   64 to 64 channels: convolution 1.0, transposed 1.0, transposed with fan_out 1.0; by default 0.6 and 0.6
#   16 to 512 channels: convolution 1.0, transposed 0.2, transposed with fan_out 1.0; by default 0.6 and 0.1
set -euo pipefail
script=$(realpath "$0")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/environment"
"$folder/environment/bin/pip" install --quiet --disable-pip-version-check torch==2.15.0 numpy==2.4.6
cd "$folder"
"$folder/environment/bin/python" - > seen.txt <<'PYTHON'
import torch
from torch import nn


def deviation(layer, inputs, mode=None):
    if mode:
        nn.init.kaiming_normal_(layer.weight, mode=mode, nonlinearity="linear")
    return layer(inputs).std().item()


@torch.no_grad()
def compared(channels, outputs):
    torch.manual_seed(0)
    inputs = torch.randn(16, channels, 32, 32)

    def plain():
        return nn.Conv2d(channels, outputs, 3, padding=1, bias=False)

    def transposed():
        return nn.ConvTranspose2d(channels, outputs, 3, padding=1, bias=False)

    print(
        f"{channels} to {outputs} channels: convolution {deviation(plain(), inputs, 'fan_in'):.1f}, transposed "
        f"{deviation(transposed(), inputs, 'fan_in'):.1f}, transposed with fan_out "
        f"{deviation(transposed(), inputs, 'fan_out'):.1f}; by default {deviation(plain(), inputs):.1f} and "
        f"{deviation(transposed(), inputs):.1f}"
    )


compared(512, 16)
compared(64, 64)
compared(16, 512)
PYTHON
cat seen.txt
sed -n '/^# Output seen:/,/^set /s/^#   //p' "$script" | diff - seen.txt
