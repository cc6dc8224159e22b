"""Train a digit classifier, whose features `extractor=digits` or `mnist` gives, and write its weights into the package.

    python studies/train_digit_classifier.py [epochs=60 seed=0]
    python studies/train_digit_classifier.py of=mnist root=FOLDER epochs=12

Protocol: it is trained on the training split alone, of scikit-learn's digits at 16 px (`zoo.data.Digits`, split seed 0)
or of MNIST at 28 px (its 60,000 training digits), shifted by up to one pixel and with noise of standard deviation 0.1.
AdamW with a learning rate that falls linearly from 1e-3 to 0, weight decay 1e-4, batches of 64; the result is the mean
of the weights over the last tenth of the run. Accuracy is measured once, on the held-out split (for MNIST its 10,000
test digits). Weights and facts are written to `zoo/features/digits.safetensors` or `mnist.safetensors`; the sha256,
printed at the end, must be entered in `zoo/features/digits.py`.
"""

from __future__ import annotations

import json
import os
from typing import Any, Literal

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, pad

from zoo.config.command_line import checked_arguments, run_command
from zoo.data import MNIST, Digits, Images
from zoo.data.pool import Split
from zoo.features import digits
from zoo.io.files import sha256_of


def shifted(images: Tensor) -> Tensor:
    """Shift a batch by -1, 0 or 1 pixel in each direction; the border is black."""
    dx, dy = (int(torch.randint(0, 3, ())) for _ in range(2))
    size = images.shape[-1]
    return pad(images, (1, 1, 1, 1), value=-1.0)[:, :, dy : dy + size, dx : dx + size]


def labels_of(split: Split) -> Tensor:
    """Return the classes (N,) of a split."""
    labels = split.batch(torch.arange(len(split))).labels
    assert labels is not None
    return labels


def train(data: Images, epochs: int, seed: int) -> nn.Sequential:
    """Train the classifier and return it in eval mode, with averaged weights."""
    torch.manual_seed(seed)
    images, labels = data.train.tensor(), labels_of(data.train)
    network = digits.classifier(data.resolution)
    optimizer = torch.optim.AdamW(network.parameters(), 1e-3, weight_decay=1e-4)
    average = torch.optim.swa_utils.AveragedModel(network)
    steps, done = epochs * (len(images) // 64), 0
    for _ in range(epochs):
        for chosen in torch.randperm(len(images)).split(64):
            if len(chosen) < 64:
                continue
            for group in optimizer.param_groups:
                group["lr"] = 1e-3 * (1 - done / steps)
            batch = shifted(images[chosen])
            optimizer.zero_grad()
            cross_entropy(network(batch + 0.1 * torch.randn_like(batch)), labels[chosen]).backward()
            optimizer.step()
            done += 1
            if done > 0.9 * steps:
                average.update_parameters(network)
    best: nn.Sequential = average.module
    return best.eval()


@torch.no_grad()
def in_parts(network: nn.Module, images: Tensor) -> Tensor:
    """Return the outputs of a network for many images, computed part by part."""
    return torch.cat([network(part) for part in images.split(2_000)])


def study(epochs: int = 60, seed: int = 0, of: Literal["digits", "mnist"] = "digits", root: str = "data") -> None:
    """Train the classifier, measure its held-out accuracy, and write its weights.

    Args:
        epochs: number of passes over the training images.
        seed: seed of the training.
        of: `digits` for scikit-learn's, or `mnist`.
        root: folder that contains MNIST in torchvision's layout.
    """
    trained = digits.MNIST if of == "mnist" else digits.DIGITS
    data = MNIST(root=root, resolution=28, channels=1) if of == "mnist" else Digits(resolution=trained.size)
    data.setup()
    network = train(data, epochs, seed)
    scale = in_parts(network[:-1], data.train.tensor()).square().mean().sqrt().item()  # kernels need values of order 1
    right = in_parts(network, data.held_out.tensor()).argmax(1) == labels_of(data.held_out)
    accuracy = right.float().mean().item()
    facts = {
        "train": len(data.train),
        "held_out": len(data.held_out),
        "accuracy": accuracy,
        "scale": scale,
        "epochs": epochs,
        "seed": seed,
    }
    scratch = trained.path.with_suffix(".tmp")
    save_file(
        {name: tensor.contiguous() for name, tensor in network.state_dict().items()},
        scratch,
        {"facts": json.dumps(facts)},
    )
    os.replace(scratch, trained.path)
    print(f"{accuracy:.2%} right; sha256 {sha256_of(trained.path)}, {trained.path.stat().st_size:,} bytes")


def main(**arguments: Any) -> None:
    """Train a digit classifier: epochs=60 seed=0 of=digits root=data."""
    study(**checked_arguments(study, arguments))


if __name__ == "__main__":
    run_command("studies.train_digit_classifier", main)
