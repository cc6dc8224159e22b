"""Are the digits of a digits recipe readable? A classifier trained on real digits is the judge.

    python studies/readable_digits.py recipe=dcgan_digits seeds=[0,1,2]

Protocol: the judge is a small convolutional network trained on the training part of scikit-learn's digits at the
recipe's resolution, its accuracy measured on the held-out part. A sample is readable when the judge gives one class at
least 0.9. Reported for 1,000 samples of the averaged generator (seed 1): the share of readable ones, the smallest
class's share, and, for conditional models, how many show the class asked for. `precision=[bf16-mixed,32-true]` compares
precisions; `keep=FOLDER` keeps the run folders there.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import torch
from rows import RESULTS, Rows
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import zoo
from zoo.config.command_line import checked_arguments, run_command
from zoo.data import Digits
from zoo.runs.recipes import load_recipe


def judge(resolution: int = 16, seed: int = 0, epochs: int = 25) -> tuple[nn.Module, float]:
    """A classifier of digits (B, 1, R, R) in [-1, 1] and its accuracy on held-out real digits; takes 10 s."""
    data = Digits(resolution=resolution)
    data.setup()
    images, labels = data.train.tensor(), data.train.batch(torch.arange(len(data.train))).labels
    assert labels is not None
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        features = 64 * (resolution // 4) ** 2
        network = nn.Sequential(
            nn.Conv2d(1, 32, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 32, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Dropout(0.25),
            nn.Conv2d(32, 64, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Dropout(0.5),
            nn.Linear(features, 10),
        )
        optimizer = torch.optim.Adam(network.parameters(), 1e-3)
        for _ in range(epochs):
            for chosen in torch.randperm(len(images)).split(64):
                optimizer.zero_grad()
                noisy = images[chosen] + 0.05 * torch.randn_like(images[chosen])
                cross_entropy(network(noisy), labels[chosen]).backward()
                optimizer.step()
    network.eval()
    real = data.held_out.batch(torch.arange(len(data.held_out))).labels
    with torch.no_grad():
        accuracy = (network(data.held_out.tensor()).argmax(1) == real).float().mean().item()
    return network, accuracy


@torch.no_grad()
def readability(model: zoo.GAN, network: nn.Module, n: int = 1_000) -> dict[str, float]:
    """Shares among `n` samples: readable, of the rarest class, and showing the class asked for."""
    asked: Tensor | None = torch.arange(n) % model.num_classes if model.num_classes else None
    probabilities = network(model.sample(n, seed=1, labels=asked)).softmax(1)
    shown = probabilities.argmax(1)
    result = {
        "readable": (probabilities.amax(1) >= 0.9).float().mean().item(),
        "rarest_class": torch.bincount(shown, minlength=10).min().item() / n,
    }
    if asked is not None:
        result["class_asked_for"] = (shown == asked).float().mean().item()
    return {key: round(value, 4) for key, value in result.items()}


def study(
    recipe: str = "dcgan_digits",
    seeds: list[int] = [0, 1, 2],
    precision: list[str] = ["auto"],
    images: int = 0,
    keep: str = "",
) -> None:
    """Train and judge for every seed and precision; write a row for each, in place of an older one of the same."""
    resolution = load_recipe(recipe).model.arguments["resolution"]
    network, accuracy = judge(resolution)
    print(f"judge: {accuracy:.1%} right on held-out real digits")
    rows = Rows(RESULTS / f"readable_{recipe}.json", __doc__, judge_accuracy=round(accuracy, 4))
    for chosen in precision:
        for seed in seeds:
            row = train_and_judge(recipe, seed, chosen, images, network, keep)
            print(json.dumps(row), flush=True)
            rows[:] = [old for old in rows if (old["precision"], old["seed"]) != (row["precision"], seed)]
            rows.leave([row])


def train_and_judge(
    recipe: str, seed: int, precision: str, images: int, network: nn.Module, keep: str
) -> dict[str, Any]:
    """One run's row."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(keep or scratch) / f"{recipe}-{precision}-{seed}"
        changes: dict[str, Any] = {"seed": seed, "trainer": {"precision": precision}}
        run = zoo.fit(recipe, out=folder, **changes, **({"images": images} if images else {}))
        made_with = json.loads((run.folder / "environment.jsonl").read_text().splitlines()[0])
    return {
        "recipe": recipe,
        "precision": run.recipe.trainer["precision"],
        "seed": seed,
        "images_seen": run.model.images_seen,
        "training_seconds": round(run.seconds, 1),
        "threads": torch.get_num_threads(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "commit": made_with["git_commit"],
        **readability(run.model, network),
    }


def main(**words: Any) -> None:
    """Judge the digits of a recipe: recipe=dcgan_digits seeds=[0,1,2] precision=[bf16-mixed,32-true]."""
    study(**checked_arguments(study, words))


if __name__ == "__main__":
    run_command("studies.readable_digits", main)
