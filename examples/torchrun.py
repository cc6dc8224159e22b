"""Train a GAN on several devices with a program of your own, started by `torchrun`.

    torchrun --nproc_per_node 2 examples/torchrun.py --images 20000

Each process holds the whole model and its own share of every batch; the clock counts the images of all. On several
machines, the same with `--nnodes` and a meeting point, see docs/recipes.md. `python -m zoo.fit` needs no such program:
it takes `trainer.devices` and `trainer.num_nodes`.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from pytorch_lightning import Trainer
from torchvision.utils import save_image

import zoo
from zoo.callbacks import StopAt


def main(images: int = 20_000, width: int = 32, accelerator: str = "auto", out: str = "runs/torchrun") -> zoo.DCGAN:
    """Train with as many processes as `torchrun` started; the first one writes a grid of samples."""
    devices = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    nodes = int(os.environ.get("WORLD_SIZE", "1")) // devices
    model = zoo.DCGAN(resolution=16, channels=1, width=width, latent_dim=64, num_classes=10)
    trainer = Trainer(
        max_epochs=-1,
        accelerator=accelerator,
        devices=devices,
        num_nodes=nodes,
        strategy=zoo.Replicas() if devices * nodes > 1 else "auto",
        callbacks=[StopAt(images)],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(model, zoo.data.Digits(resolution=16, batch_size=64))
    if trainer.is_global_zero:
        Path(out).mkdir(parents=True, exist_ok=True)
        samples = model.sample(80, seed=0, labels=[*range(10)] * 8)
        save_image(samples * 0.5 + 0.5, f"{out}/samples.png", nrow=10)
        print(f"{trainer.world_size} processes, {model.images_seen:,} images seen: {out}/samples.png")
    return model


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--accelerator", default="auto")
    parser.add_argument("--out", default="runs/torchrun")
    main(**vars(parser.parse_args()))
