"""How many of the 1,000 modes of stacked MNIST does a GAN reach? PacGAN's protocol, in a reduced size.

    python studies/stacked_mnist.py root=FOLDER runs=FOLDER                        # every row, seeds 0 to 2
    python studies/stacked_mnist.py root=FOLDER runs=FOLDER rows=[dcgan,pac2] seeds=[3] minutes=60
    python studies/stacked_mnist.py width=64 epochs=50 root=FOLDER runs=FOLDER     # the published size, on a GPU
    python studies/stacked_mnist.py rows=[rpgan] seeds=[100] epochs=1 gamma=0.1 out=trial.json    # a trial of a weight
    python studies/stacked_mnist.py train=false                                    # the table alone

Protocol: that of Lin et al. 2018 (PacGAN, arXiv:1712.04086, section 4.2, the setting of VEEGAN) and of their code.
Images of 28 px whose three channels are three digits of MNIST, 128,000 of them, drawn with replacement; the networks of
DCGAN; Adam with a rate of 2e-4 and betas 0.5 and 0.999; 64 inputs of the discriminator in a batch; one step of the
discriminator and two of the generator in a round, 2,000 rounds an epoch. The mode of a sample is read digit by digit by
`extractor=stacked-mnist`; modes are those with a sample among 26,000 of the last generator, with running batch
statistics and without an average; KL is of the samples' modes from uniform, in nats.

It departs from their code in these points: digits come from MNIST's 60,000 training digits, not from all 70,000; real
images are in [-1, 1], the range of the generator, not in [0, 1]; both steps of the generator have latents of their own;
weights are initialised without truncation; the classifier is another one. `width` and `epochs` are the reduction:
theirs are 64 and 50.

Rows, each of them a recipe `stacked_mnist_ROW` with `width` and `images` set:

- `dcgan`, and `pacdcgan2`, whose discriminator judges two images together (64 packs a batch, so twice as many images);
- `rpgan`: DCGAN with the relativistic loss, R1 and R2; `r1`: DCGAN with R1 only. The weight of the penalties, `gamma`,
  was chosen by runs of one epoch with seed 100, which is in no row;
- `mix`: MIX+GAN of three and three DCGANs on the same batches; samples are drawn by weight;
- `wgan_gp`: the small networks of WGAN-GP's authors, as many images.

A run goes on from its last checkpoint when the study is called again, also with more epochs: nothing depends on the
length. Rows go to `results/stacked_mnist.json` as they are done, the first hundred samples of seed 0 to
`stacked_mnist_ROW.png` beside it, the table to `stacked_mnist.md` and, with the committed results, to `README.md`.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch
from rows import RESULTS, Rows
from tables import markdown, mean_and_deviation

import zoo
from zoo.config.command_line import checked_arguments, run_command
from zoo.errors import UserError
from zoo.features import Extractor, extractor
from zoo.io.files import read_jsonl
from zoo.io.run_folder import checkpoints_in
from zoo.metrics import ModeCount
from zoo.rendering import pictures

PAGE = RESULTS.parent / "README.md"
BEGIN, END = "<!-- rows begin: python studies/stacked_mnist.py train=false -->", "<!-- rows end -->"
PENALISED = ("rpgan", "r1")
ROWS = ("dcgan", "pacdcgan2", "rpgan", "mix", "r1", "wgan_gp")
EPOCH, PACKS, SAMPLES, WHOLE = 2_000, 64, 26_000, 50  # rounds of an epoch, inputs of a batch, samples, epochs
PUBLISHED = (
    ("DCGAN", "99", "3.40", "VEEGAN's table"),
    ("DCGAN", "78.9 ± 6.5", "4.50", "PacGAN's own run"),
    ("ALI", "16", "5.40", "VEEGAN's table"),
    ("Unrolled GAN", "48.7", "4.32", "VEEGAN's table"),
    ("VEEGAN", "150", "2.95", "VEEGAN's table"),
    ("PacDCGAN2", "1000", "0.06 ± 0.003", "PacGAN"),
    ("RpGAN + R1 + R2", "1000", "0.078", "R3GAN, another network"),
    ("GAN + R1 + R2", "693", "0.927", "R3GAN, another network"),
)


def settings(row: str, width: int, root: str, gamma: float) -> dict[str, Any]:
    """Return what replaces the recipe of a row: width, data, weight of penalties, measurements after every epoch."""
    epoch = EPOCH * batch_size(row)
    callbacks: dict[str, Any] = {"Alarms": None, "SampleGrid": {"every": epoch}, "SampleMetrics": {"every": epoch}}
    callbacks["SaveEvery"] = {"every": epoch // 4, "keep": 2}
    if row == "mix":
        callbacks["MixtureReport"] = None
    model: dict[str, Any] = {"base": {"width": width}} if row == "mix" else {"width": width}
    if gamma:
        model |= {"r1": gamma, "r2": gamma} if row == "rpgan" else {"r1": gamma} if row == "r1" else {}
    return {"model": model, "data": {"root": root, "download": False}, "callbacks": callbacks}


def batch_size(row: str) -> int:
    """Return the number of images in a batch."""
    return PACKS * (2 if row == "pacdcgan2" else 1)


def trained(row: str, seed: int, folder: Path, images: int, changes: dict[str, Any]) -> zoo.GAN:
    """Return the model of a run of this length in the folder, which is started, continued or only read.

    Raises:
        UserError: if the run was stopped, or is already longer.
    """
    if checkpoints_in(folder):
        zoo.fit(resume=folder, images=images)
    else:
        zoo.fit(f"stacked_mnist_{row}", out=folder, seed=seed, images=images, **changes)
    model = zoo.load_run(folder)
    if model.images_seen != images:
        remedy = "Call again to go on" if model.images_seen < images else "Ask for more epochs, or give other runs="
        raise UserError(f"the run {folder} has seen {model.images_seen:,} images, not {images:,}. {remedy}")
    return model


@torch.no_grad()
def counted(network: Extractor, images: torch.Tensor) -> dict[str, float]:
    """Return the number of modes and the divergence from uniform of images in [-1, 1]."""
    count = ModeCount(modes=1_000)
    for part in images.split(1_000):
        count.update(network.logits(part).argmax(1), real=False)
    return {key: float(value) for key, value in count.compute().items()}


def curve(folder: Path) -> list[dict[str, float]]:
    """Return images seen, modes and divergence at each measurement of `SampleMetrics` during a run."""
    lines = read_jsonl(folder / "evaluation" / "training-stacked-mnist.jsonl")
    numbers = [{n["key"]: n["value"] for n in line["numbers"]} for line in lines]
    return [{"images": line["images_seen"], "modes": n["modes"], "kl": n["kl"]} for line, n in zip(lines, numbers)]


def one(
    row: str, seed: int, width: int, epochs: float, gamma: float, root: str, runs: Path, out: Path
) -> dict[str, Any]:
    """Train, sample and count once; the picture of seed 0 goes beside the results."""
    images, folder = int(epochs * EPOCH) * batch_size(row), runs / f"{row}-width{width}-seed{seed}"
    if gamma and row in PENALISED:
        folder = folder.with_name(f"{folder.name}-gamma{gamma:g}")
    model = trained(row, seed, folder, images, settings(row, width, root, gamma))
    network, parts = extractor("stacked-mnist"), [model.sample(1_000, seed=1_000 * seed + i) for i in range(26)]
    samples = torch.cat(parts)
    if seed == 0:
        pictures.save(pictures.grid(samples[:100], 10), out.parent / f"stacked_mnist_{row}.png")
    found: dict[str, Any] = {"row": row, "seed": seed, "width": width, "epochs": epochs, **counted(network, samples)}
    found |= {"images": model.images_seen, "rounds": model.rounds, "along": curve(folder)}
    if row in PENALISED and model.objective is not None:
        found["gamma"] = model.objective.r1
    if isinstance(model, zoo.MixGAN):
        found["weights"] = [round(weight, 4) for weight in model.generator_weights.tolist()]
        each = [model.sample(8_000, seed=seed, component=i) for i in range(len(model.generator))]
        found["of_8000_of_members"] = [counted(network, images) for images in each]
    return found


def table(rows: list[dict[str, Any]]) -> str:
    """Return a Markdown table of the rows, mean and deviation over seeds, above the published ones."""
    heads, lines = ["row", "protocol", "seeds", "modes", "KL", "worst seed"], []
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for r in sorted(rows, key=lambda r: (ROWS.index(r["row"]), r["width"], r["epochs"], r.get("gamma", 0.0))):
        groups.setdefault((r["row"], r["width"], r["epochs"], r.get("gamma")), []).append(r)
    for (row, width, epochs, gamma), mine in groups.items():
        modes, kl = [r["modes"] for r in mine], [r["kl"] for r in mine]
        protocol = f"width {width}, {epochs:g} of {WHOLE} epochs" + (f", gamma {gamma:g}" if gamma else "")
        cells = [mean_and_deviation(modes, "{:.1f}"), mean_and_deviation(kl, "{:.3f}")]
        lines.append([f"`{row}`", protocol, str(len(mine)), *cells, f"{min(modes):.0f} / {max(kl):.3f}"])
    lines += [[name, f"published: {by}", "", modes, kl, ""] for name, modes, kl, by in PUBLISHED]
    return "\n".join(markdown(heads, lines))


def study(
    rows: list[str] | None = None,
    seeds: list[int] | None = None,
    width: int = 16,
    epochs: float = 3,
    gamma: float = 0.0,
    root: str = "data",
    runs: str = "runs/stacked_mnist",
    minutes: float = 0.0,
    out: str = "",
    train: bool = True,
    collect: list[str] | None = None,
) -> None:
    """Run what is missing, save after every run, write and print the table.

    Args:
        rows: which rows, in this order, for each of which all seeds are run; None for all.
        seeds: seeds of weights, latents and order.
        width: width of the networks; 64 in the published ones.
        epochs: length in epochs of 2,000 rounds; 50 in the published ones.
        gamma: weight of R1 and R2 in the rows that have them; 0 for that of the recipe.
        root: folder that contains MNIST in torchvision's layout.
        runs: folder of the run folders, which are kept.
        minutes: time after which no further run is begun; 0 for no bound.
        out: results file, with the pictures beside it; empty for the study's own.
        train: whether to train; False only writes the table.
        collect: results files of other calls whose rows are added first; pictures beside them are not copied.
    """
    network = extractor("stacked-mnist")
    path = Path(out) if out else RESULTS / "stacked_mnist.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    found = Rows(path, __doc__, samples=SAMPLES, classifier=network.protocol["weights"])
    found.collect(collect or [], ("row", "seed", "width", "epochs", "gamma"))
    began = time.monotonic()
    for row in (rows or ROWS) if train else ():
        for seed in seeds if seeds is not None else [0, 1, 2]:
            late = minutes and time.monotonic() - began > 60 * minutes
            weight = {"gamma": gamma} if gamma and row in PENALISED else {}
            if late or found.has(row=row, seed=seed, width=width, epochs=epochs, **weight):
                continue
            found.leave([one(row, seed, width, epochs, gamma, root, Path(runs), path)])
            print(found[-1], flush=True)
    shown = table(found)
    path.with_suffix(".md").write_text(shown + "\n")
    found.show([shown], PAGE, BEGIN, END)


def main(**words: Any) -> None:
    """Count modes of stacked MNIST: rows=[dcgan] seeds=[0,1,2] width=16 epochs=3 root=data runs=FOLDER."""
    study(**checked_arguments(study, words))


if __name__ == "__main__":
    run_command("studies.stacked_mnist", main)
