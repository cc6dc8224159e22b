#!/usr/bin/env bash
# Library: torchmetrics 1.9.0, FrechetInceptionDistance (and its like) with a feature network of one's own.
# Likely guess: the feature network is a ruler: in a LightningModule it stays in evaluation mode, as torchmetrics' own
#   Inception network does, which ignores .train(). Measuring cannot change it.
# Behaviour: a network that is given is switched with the module that holds the metric, without a word. Measured in a
#   training step, its batch norm uses the statistics of the batch and changes its running ones: the distance of a set to
#   itself is no longer 0 when batches are cut otherwise, and every measurement moves the ruler.
# Output seen:
#   held by a module in evaluation mode: network in training mode False, distance of a set to itself below 0.001: True, running mean changed: False
#   held by a module in training mode: network in training mode True, distance of a set to itself below 0.001: False, running mean changed: True
set -euo pipefail
script=$(realpath "$0")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/environment"
"$folder/environment/bin/pip" install --quiet --disable-pip-version-check torch==2.15.0 numpy==2.4.6 torchmetrics==1.9.0
cd "$folder"
"$folder/environment/bin/python" - > seen.txt 2> notes.txt <<'PYTHON'
import torch
from torch import nn
from torchmetrics.image.fid import FrechetInceptionDistance


class Features(nn.Module):
    num_features = 8

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.BatchNorm1d(8))

    def forward(self, images):
        return self.layers(images.float() / 255)


class Model(nn.Module):
    """What stands for a LightningModule here: a module that holds a metric."""

    def __init__(self):
        super().__init__()
        self.fid = FrechetInceptionDistance(feature=Features().eval())


def told(mode):
    torch.manual_seed(0)
    images = torch.randint(0, 256, (512, 3, 2, 2), dtype=torch.uint8).sort(0).values
    model = Model().train(mode)
    layers = model.fid.inception.layers
    before = layers[2].running_mean.clone()
    model.fid.update(images, real=True)
    for part in images.split(64):
        model.fid.update(part, real=False)
    print(
        f"held by a module in {'training' if mode else 'evaluation'} mode: network in training mode {layers.training}, "
        f"distance of a set to itself below 0.001: {model.fid.compute().item() < 0.001}, running mean changed: "
        f"{not torch.equal(before, layers[2].running_mean)}"
    )


told(False)
told(True)
PYTHON
cat seen.txt
sed -n '/^# Output seen:/,/^set /s/^#   //p' "$script" | diff - seen.txt
