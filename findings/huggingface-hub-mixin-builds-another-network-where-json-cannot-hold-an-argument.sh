#!/usr/bin/env bash
# Library: huggingface_hub 2.4.0 (with safetensors 0.8.0), huggingface_hub.PyTorchModelHubMixin.
# Likely guess: from_pretrained of what save_pretrained wrote gives the same network, or one of the two complains. Weights
#   that fit and settings that are saved beside them leave no room for a third case.
# Behaviour: an argument of the constructor that JSON cannot hold (a class of activation, a dtype, a function) is left out
#   of config.json without a word, and the network that is read again takes its default. All weights fit, since an
#   activation has none; the outputs are others.
# Output seen:
#   written: Net with GELU; config.json: {"width": 8}
#   read again: Net with ReLU; all weights equal: True; outputs equal: False; warnings: 0
set -euo pipefail
script=$(realpath "$0")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/environment"
"$folder/environment/bin/pip" install --quiet --disable-pip-version-check torch==2.15.0 numpy==2.4.6 \
    huggingface_hub==2.4.0 safetensors==0.8.0
cd "$folder"
"$folder/environment/bin/python" - > all.txt <<'PYTHON'
import json
import warnings

import torch
from huggingface_hub import PyTorchModelHubMixin
from torch import nn


class Net(nn.Module, PyTorchModelHubMixin):
    def __init__(self, width: int = 4, activation: type[nn.Module] = nn.ReLU):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3, width), activation(), nn.Linear(width, 2))

    def forward(self, x):
        return self.layers(x)


torch.manual_seed(0)
first = Net(width=8, activation=nn.GELU)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    first.save_pretrained("saved")
    second = Net.from_pretrained("saved")
with open("saved/config.json") as file:
    config = json.load(file)
print(f"written: Net with {type(first.layers[1]).__name__}; config.json: {json.dumps(config)}")
inputs = torch.randn(4, 3)
weights = all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
print(
    f"read again: Net with {type(second.layers[1]).__name__}; all weights equal: {weights}; outputs equal: "
    f"{torch.allclose(first(inputs), second(inputs))}; warnings: {len(caught)}"
)
PYTHON
grep -v "^Loading weights" all.txt > seen.txt
cat seen.txt
sed -n '/^# Output seen:/,/^set /s/^#   //p' "$script" | diff - seen.txt
