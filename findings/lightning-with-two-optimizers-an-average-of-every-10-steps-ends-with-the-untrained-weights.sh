#!/usr/bin/env bash
# Library: pytorch-lightning 2.6.6, its callback EMAWeightAveraging, in manual optimization with two optimizers (a GAN's).
# Likely guess: update_every_n_steps=10 takes the weights into the average at every tenth batch, or, where a step is one of
#   an optimizer, at every fifth. At the end the model has the average of what was trained.
# Behaviour: it looks once a batch, at the number of optimizer steps less one, which two optimizers make odd: 1, 3, 5, ...
#   No odd number is a multiple of an even one, so the average is never updated, and at the end of the fit the model is
#   given the weights that it began with. The training is lost, without a word. With one optimizer, or with every 5
#   steps, it works.
# Output seen:
#   two optimizers, every 10 steps: moved by training 0.3, left in the model at the end 0.0
#   two optimizers, every 5 steps: moved by training 0.3, left in the model at the end 0.1
#   one optimizer, every 10 steps: moved by training 0.3, left in the model at the end 0.1
set -euo pipefail
script=$(realpath "$0")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/environment"
"$folder/environment/bin/pip" install --quiet --disable-pip-version-check torch==2.15.0 numpy==2.4.6 pytorch-lightning==2.6.6
cd "$folder"
"$folder/environment/bin/python" - > seen.txt 2> notes.txt <<'PYTHON'
import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import EMAWeightAveraging
from torch.utils.data import DataLoader


class Players(LightningModule):
    """Two numbers, of which each batch takes 0.01; the second player may rest."""

    def __init__(self, players):
        super().__init__()
        self.automatic_optimization = False
        self.players = players
        self.first, self.second = (torch.nn.Parameter(torch.zeros(1)) for _ in range(2))

    def configure_optimizers(self):
        return [torch.optim.SGD([p], 0.01) for p in (self.first, self.second)][: self.players]

    def training_step(self, batch, index):
        optimizers = self.optimizers()
        for optimizer in optimizers if self.players > 1 else [optimizers]:
            optimizer.zero_grad()
            self.manual_backward((self.first + self.second).sum())
            optimizer.step()


class Last(Callback):
    def on_train_batch_end(self, trainer, module, *_):
        self.weight = -module.first.item()


def told(players, every):
    model, last = Players(players), Last()
    callbacks = [last, EMAWeightAveraging(decay=0.8, update_every_n_steps=every)]
    off = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
    Trainer(max_epochs=1, accelerator="cpu", callbacks=callbacks, **off).fit(model, DataLoader(torch.zeros(32, 1)))
    print(
        f"{'one optimizer' if players == 1 else 'two optimizers'}, every {every} steps: moved by training "
        f"{last.weight:.1f}, left in the model at the end {abs(model.first.item()):.1f}"
    )


told(2, 10)
told(2, 5)
told(1, 10)
PYTHON
cat seen.txt
sed -n '/^# Output seen:/,/^set /s/^#   //p' "$script" | diff - seen.txt
