#!/usr/bin/env bash
# Library: pytorch-lightning 2.6.6, ModelCheckpoint(every_n_train_steps=n) for a module with manual optimization and two
#   optimizers, as every GAN has them. torch 2.15.0.
# Likely guess: a train step is a training_step, so n=10 saves after batches 10, 20, 30; or, for who knows that
#   global_step counts every optimizer.step(), n saves every n / 2 batches.
# Behaviour: it saves where global_step, which grows by the optimizers stepped in a batch, happens to be a multiple of n at
#   the end of one. With two steps a batch an even n saves every n / 2 batches and an odd n every n: 10 is the same as 5,
#   and 4 saves more often than 3. With a critic that steps in every batch and a generator in every second one, the
#   distances are uneven. log_every_n_steps of the same Trainer counts batches.
# Output seen:
#   both in every batch, n=3: 3, 6, 9, 12, 15, 18, 21, 24, 27, 30
#   both in every batch, n=4: 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30
#   both in every batch, n=5: 5, 10, 15, 20, 25, 30
#   both in every batch, n=10: 5, 10, 15, 20, 25, 30
#   generator in every second, n=5: 7, 10, 17, 20, 27, 30
#   generator in every second, n=10: 7, 20, 27
set -euo pipefail
script=$(realpath "$0")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/environment"
"$folder/environment/bin/pip" install --quiet --disable-pip-version-check pytorch-lightning==2.6.6 torch==2.15.0 numpy==2.4.6
cd "$folder"
"$folder/environment/bin/python" - > seen.txt 2> log.txt <<'PYTHON'
import pytorch_lightning as lightning
import torch
from pytorch_lightning.callbacks import ModelCheckpoint


class TwoPlayers(lightning.LightningModule):
    def __init__(self, turns):
        super().__init__()
        self.automatic_optimization = False
        self.turns = turns
        self.players = torch.nn.ModuleList([torch.nn.Linear(1, 1) for _ in turns])

    def configure_optimizers(self):
        return [torch.optim.SGD(player.parameters(), lr=0.1) for player in self.players]

    def training_step(self, batch, index):
        for player, optimizer, turn in zip(self.players, self.optimizers(), self.turns):
            if (index + 1) % turn == 0:
                optimizer.zero_grad()
                self.manual_backward(player(batch).sum())
                optimizer.step()


class Recorder(ModelCheckpoint):
    def _save_topk_checkpoint(self, trainer, *arguments):
        batches.append(trainer.fit_loop.batch_idx + 1)


for name, turns, lengths in (
    ("both in every batch", (1, 1), (3, 4, 5, 10)),
    ("generator in every second", (1, 2), (5, 10)),
):
    for n in lengths:
        batches = []
        trainer = lightning.Trainer(
            max_epochs=1,
            accelerator="cpu",
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=[Recorder(dirpath="checkpoints", every_n_train_steps=n, save_top_k=-1)],
        )
        trainer.fit(TwoPlayers(turns), torch.utils.data.DataLoader(torch.ones(30, 1)))
        print(f"{name}, n={n}: {', '.join(map(str, batches))}")
PYTHON
cat seen.txt
sed -n 's/^#   \(.*, n=[0-9]*: .*\)/\1/p' "$script" | diff - seen.txt
