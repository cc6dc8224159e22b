#!/usr/bin/env bash
# Library: torch 2.15.0, `torch.nn.utils.parametrizations.spectral_norm`.
# Likely guess: the power iteration belongs to the forward pass, so looking at a layer (its shape, its norm for a log) leaves
#   the model as it is.
# Behaviour: in training mode each access of `layer.weight` makes a step of the power iteration, which changes the buffers in
#   the checkpoint and the weights of the next pass. A run that logs the norm of its weights is another run. Within
#   `parametrize.cached()` the second access changes nothing; in eval mode none does.
# Output seen:
#   training, reading weight.shape: buffers changed: True, next output changed: True
#   training, within parametrize.cached(), second access: buffers changed: False, next output changed: False
#   eval, reading weight.shape: buffers changed: False, next output changed: False
set -euo pipefail
script=$(realpath "$0")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/environment"
"$folder/environment/bin/pip" install --quiet --disable-pip-version-check torch==2.15.0 numpy==2.4.6
cd "$folder"
"$folder/environment/bin/python" - > seen.txt <<'PYTHON'
import copy
from contextlib import nullcontext

import torch
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import spectral_norm

torch.manual_seed(0)
built, x = spectral_norm(torch.nn.Conv2d(8, 8, 3)), torch.randn(1, 8, 5, 5)


def compared(title, training, context, first):
    looked, untouched = copy.deepcopy(built).train(training), copy.deepcopy(built).train(training)
    with context():
        for layer in (looked, untouched):
            if first:
                layer.weight
        buffers = {name: value.clone() for name, value in looked.state_dict().items()}
        looked.weight.shape
        changed = any(not torch.equal(value, buffers[name]) for name, value in looked.state_dict().items())
        differs = not torch.equal(looked(x), untouched(x))
    print(f"{title}: buffers changed: {changed}, next output changed: {differs}")


compared("training, reading weight.shape", True, nullcontext, False)
compared("training, within parametrize.cached(), second access", True, parametrize.cached, True)
compared("eval, reading weight.shape", False, nullcontext, False)
PYTHON
cat seen.txt
sed -n 's/^#   \(.*buffers changed: .*\)/\1/p' "$script" | diff - seen.txt
