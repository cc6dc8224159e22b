"""Train a GAN with Lightning's own `Trainer` and a loader of your own, without a recipe.

    python examples/lightning_trainer.py --epochs 5

The loader yields pairs of images in [-1, 1] and classes. Callbacks of this library and of Lightning can be mixed; the
checkpoint holds tensors and plain values, and `zoo.DCGAN.load_from_checkpoint` reads it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from pytorch_lightning import Trainer
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset
from torchvision.transforms.functional import resize
from torchvision.utils import save_image

import zoo


def digits(batch_size: int) -> DataLoader[tuple[torch.Tensor, ...]]:
    """Return a loader of the digits of scikit-learn at 16 px, in [-1, 1], with their classes."""
    raw = load_digits()
    images = torch.tensor(raw.images, dtype=torch.float32)[:, None] / 8 - 1
    labels = torch.tensor(raw.target)
    return DataLoader(TensorDataset(resize(images, [16, 16]), labels), batch_size, shuffle=True, drop_last=True)


def main(epochs: int = 5, width: int = 32, out: str = "runs/lightning") -> zoo.DCGAN:
    """Train, and write a checkpoint and a grid of samples with one class in each column."""
    model = zoo.DCGAN(resolution=16, channels=1, width=width, latent_dim=64, num_classes=10)
    trainer = Trainer(
        max_epochs=epochs, accelerator="auto", devices=1, logger=False, enable_checkpointing=False, default_root_dir=out
    )
    trainer.fit(model, digits(batch_size=64))
    folder = Path(out)
    trainer.save_checkpoint(folder / "digits.ckpt")
    images = model.sample(80, seed=0, labels=[*range(10)] * 8)
    save_image(images * 0.5 + 0.5, folder / "samples.png", nrow=10)
    print(f"{model.images_seen:,} images seen: {folder / 'samples.png'}")
    return model


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--out", default="runs/lightning")
    main(**vars(parser.parse_args()))
