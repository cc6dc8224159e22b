#!/usr/bin/env bash
# Library: torch 2.15.0, torch.nn.SyncBatchNorm.convert_sync_batchnorm, which Lightning's Trainer(sync_batchnorm=True) calls.
# Likely guess: only torch's own batch norm is exchanged. A class of one's own that builds on it, with another forward (a
#   scale, a condition, noise), is either left alone or refused: what it computes cannot be known to the conversion.
# Behaviour: every instance of a subclass is replaced by a plain SyncBatchNorm with its weights and statistics. Its forward,
#   its other parameters and its buffers are gone, without a word; the network computes another function.
# Output seen:
#   before: Halved, deviation of the output 0.50, parameters gain, weight and bias
#   after: SyncBatchNorm, deviation of the output 1.00, parameters weight and bias
#   warnings: 0
set -euo pipefail
script=$(realpath "$0")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/environment"
"$folder/environment/bin/pip" install --quiet --disable-pip-version-check torch==2.15.0 numpy==2.4.6
cd "$folder"
"$folder/environment/bin/python" - > seen.txt <<'PYTHON'
import warnings

import torch
from torch import nn


class Halved(nn.BatchNorm2d):
    """Batch norm with a gain for each channel after it, here one half."""

    def __init__(self, channels):
        super().__init__(channels)
        self.gain = nn.Parameter(torch.full((channels, 1, 1), 0.5))

    def forward(self, images):
        return super().forward(images) * self.gain


def told(when, network):
    (layer,) = network
    names = [name for name, _ in layer.named_parameters()]
    names = ", ".join(sorted(names, key="gain weight bias".split().index)[:-1]) + " and bias"
    print(f"{when}: {type(layer).__name__}, deviation of the output {network(images).std():.2f}, parameters {names}")


torch.manual_seed(0)
images = torch.randn(100, 3, 16, 16)
network = nn.Sequential(Halved(3)).eval()
told("before", network)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    network = nn.SyncBatchNorm.convert_sync_batchnorm(network)
told("after", network)
print(f"warnings: {len(caught)}")
PYTHON
cat seen.txt
sed -n '/^# Output seen:/,/^set /s/^#   //p' "$script" | diff - seen.txt
