"""Which of ProGAN's mechanisms stops an escalation of signals, and do the alarms see it coming?

    python studies/progan_spiral.py root=FOLDER [seeds=[0,1] mechanisms=[...] rates=[0.001,0.008] losses=[wgan-gp]]
    python studies/progan_spiral.py root=FOLDER actions=[rollback]

Protocol. ProGAN without classes, 32, 16 and 8 channels at 8, 16 and 32 px, batches of 8, `images` images, float32, one
thread; grown from 8 px with `hold` images at each size and a twelfth as many to fade, or at 32 px from the start
(`hold=0`). (The alarms learn a run's baselines for 160 rounds, and again for 320 after each step of growth: they can
say little about a run that grows faster than that.) FOLDER has Fashion-MNIST in torchvision's
layout; without it the bundled digits at 32 px. Varied:

- `mechanisms`: which of pixel norm in the generator (`pixel_norm`), equalized learning rate (`equalized`) and minibatch
  deviation (`deviation`) are on. Without the deviation its channel is zero, so that all networks start equal;
- `rate`: Adam's learning rate of both networks, 0.001 as in the paper and one that provokes;
- `loss`: `wgan-gp` with the drift term, as in the paper, or `lsgan`, or `lsgan-noise` with the multiplicative noise in
  the discriminator that the authors' code offers for it: `0.2 * max(s - 0.5, 0)^2` times the square root of the number
  of channels, for each image and channel, at the input of each 3x3 convolution, with s the average of the scores of
  generated images, clipped to 0 to 1 (decay 0.9);
- `action`: `warn`, or `rollback` for the alarms' remedy.

Measured, for each run:

- `escalation`: the first round in which the largest layer's mean absolute output of the generator (`g`), of the
  discriminator (`d`), or the mean absolute score (`score`) is three times its median of the 100 rounds that end a
  dozen before, or of fewer early in a run, for five rounds in a row (see `escalation.jump`); `both` if it happens in
  both networks within 100 rounds, which is a spiral;
- `ended`: the message of a run that ended because a value was not finite;
- `alarms`: those raised, with round and reason; `lead`: rounds from the first one that is at most 100 rounds early to
  the onset, positive if it came before;
- `peak`, `last`: largest value of each signal, and its median in the last 50 rounds;
- `course`: signals at 200 moments; `window`: all signals in every round from 36 before to 36 after the onset;
- `fd`, `coverage`: Fréchet distance (features of effnet-lite0) and coverage (k = 5) of 1,000 samples of the averaged
  generator against 1,000 held-out images; None where they are not finite, or the run ended before
  32 px;
- `diversity`: readings of the alarms: distance between images of fixed latents, 1 for real images, and the share of
  near-duplicates.

Rows are written as they come; those that are there are not computed again. The grid of a run beside them shows samples
of the averaged generator in its first four rows and of the generator itself in the others.
"""

from __future__ import annotations

import logging
import math
import tempfile
import time
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from escalation import Line, Watch, measures
from measured import features, images_of, likeness
from rows import RESULTS, Rows, train_fully
from tables import markdown, mean_and_range
from torch import Tensor, nn

import zoo
from zoo.config.command_line import checked_arguments, run_command
from zoo.io.files import read_jsonl
from zoo.layers.equalized import EqualizedConv2d
from zoo.layers.minibatch_stddev import with_channel
from zoo.rendering import pictures
from zoo.training.objectives import Terms
from zoo.training.terms import NonFiniteLossError

NAME = "progan_spiral"
ALL = "pixel_norm+equalized+deviation"
MECHANISMS = (
    *(ALL, "none", "equalized+deviation", "pixel_norm+deviation", "pixel_norm+equalized"),
    *("pixel_norm", "equalized", "deviation"),
)
LOSSES = ("wgan-gp", "lsgan", "lsgan-noise")
USUAL, PROVOKING = 0.001, 0.008
SAMPLES, BATCH = 1_000, 8
QUIET = {"SampleGrid": None, "SampleMetrics": None, "SaveEvery": None}
MODEL: dict[str, Any] = {"resolution": 32, "average_halflife": 3_000}


class NoDeviation(nn.Module):
    """A channel of zeros in place of the minibatch deviation."""

    def forward(self, x: Tensor) -> Tensor:
        """Append the channel: maps (B, C, H, W) become (B, C + 1, H, W)."""
        return with_channel(x, x.new_zeros(len(x)))


class SpiralProGAN(zoo.ProGAN):
    """ProGAN whose minibatch deviation can be switched off, with the discriminator noise that the authors offer.

    Args:
        deviation: whether the discriminator sees the deviation of a batch.
        noise: whether the discriminator's 3x3 convolutions have noise, whose strength follows the scores.
        settings: settings of `zoo.ProGAN`.
    """

    def __init__(self, deviation: bool = True, noise: bool = False, **settings: Any) -> None:
        super().__init__(**settings)
        if not deviation:
            self.discriminator.deviation = NoDeviation()
        self.noise = noise
        self.register_buffer("average_score", torch.zeros(()))
        for layer in self.discriminator.modules() if noise else ():
            if isinstance(layer, EqualizedConv2d) and layer.weight.shape[-1] == 3:
                layer.register_forward_pre_hook(self._noisy)
        self.save_hyperparameters(logger=False)

    def noise_strength(self) -> Tensor:
        """Standard deviation of the noise, divided by the square root of the number of channels."""
        assert isinstance(self.average_score, Tensor)
        return 0.2 * (self.average_score - 0.5).clamp(min=0).square()

    def _noisy(self, layer: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
        (x,) = inputs
        spread = self.noise_strength() * x.shape[1] ** 0.5
        return (x * (1 + spread * torch.randn(*x.shape[:2], 1, 1, device=x.device)),)

    def discriminator_loss(self, real: zoo.Batch, fake: zoo.Batch) -> Terms:
        """Return the loss of ProGAN, and let the noise follow the scores of the generated images."""
        terms = super().discriminator_loss(real, fake)
        if self.noise:
            assert isinstance(self.average_score, Tensor)
            assert fake.scores is not None
            self.average_score.lerp_(fake.scores.detach().mean().clamp(0, 1), 0.1)
        return terms


def settings_of(setting: dict[str, Any]) -> dict[str, Any]:
    """Settings of the model of a run."""
    on = setting["mechanisms"].split("+")
    hold = setting["hold"]
    growth = {"hold_images": hold, "fade_images": hold // 12, "initial_resolution": 8}
    return {
        "class": f"{NAME}.SpiralProGAN",
        **{name: name in on for name in ALL.split("+")},
        "noise": setting["loss"] == "lsgan-noise",
        "objective": "wasserstein" if setting["loss"] == "wgan-gp" else "least_squares",
        "generator_lr": setting["rate"],
        "discriminator_lr": setting["rate"],
        "num_classes": 0,
        **(growth if hold else {"initial_resolution": MODEL["resolution"]}),
        **MODEL,
    }


def train(setting: dict[str, Any], root: str, folder: str, **callbacks: Any) -> tuple[Watch, str]:
    """Train one run and watch it.

    Args:
        setting: the setting of the row.
        root: folder of Fashion-MNIST; empty for the digits.
        folder: the run folder.
        callbacks: settings of further callbacks, by name of the class.

    Returns:
        What was watched, and the message with which the run ended early, or an empty text.
    """
    ended = ""
    data = {"class": "FashionMNIST", "root": root, "download": False} if root else {}
    try:
        train_fully(
            "progan_digits",
            out=folder,
            seed=setting["seed"],
            images=setting["images"],
            model=settings_of(setting),
            data={**data, "batch_size": BATCH},
            callbacks={**QUIET, "Alarms": {"action": setting["action"]}, "escalation.Watch": {}, **callbacks},
            trainer={"accelerator": "cpu", "threads": 1, "precision": "32-true"},
        )
    except NonFiniteLossError as error:
        ended = str(error)[:120]
    assert Watch.latest is not None
    return Watch.latest, ended


@cache
def held_out(root: str) -> Tensor:
    """Features of held-out images."""
    size: dict[str, Any] = {"resolution": 32, "channels": 1, "batch_size": BATCH}
    source = zoo.data.FashionMNIST(root=root, download=False, **size) if root else zoo.data.Digits(**size)
    source.setup()
    return features(images_of(source.held_out, SAMPLES))


@torch.no_grad()
def quality(model: zoo.GAN, root: str, grid: Path) -> dict[str, Any]:
    """Draw the grid of a run, and measure the distance of its samples, if they are finite and of full size."""
    samples = model.eval().sample(SAMPLES, seed=2)
    live = model.generate(model.generator, model.sample_latent(32), None)
    shown = torch.cat([samples[:32], torch.nn.functional.interpolate(live, samples.shape[-1])])
    grid.parent.mkdir(parents=True, exist_ok=True)
    pictures.save(pictures.grid(shown.nan_to_num(), 8), grid)
    if model.data_resolution(model.progress) < model.resolution or not samples.isfinite().all():
        return {"fd": None, "coverage": None}
    return {**likeness(held_out(root), features(samples))}


def keep(record: list[Line], path: Path) -> None:
    """Keep the signals of all rounds, so that they can be measured again: NaN where a layer is not used yet."""
    names = sorted({name for line in record for name in line})
    path.parent.mkdir(parents=True, exist_ok=True)
    finite = [{name: value if math.isfinite(value) else math.inf for name, value in line.items()} for line in record]
    table = np.array([[line.get(name, math.nan) for name in names] for line in finite], np.float32)
    np.savez_compressed(path, names=names, table=table)


def kept(path: Path) -> list[Line]:
    """Read the signals that `keep` wrote."""
    with np.load(path) as file:
        names, table = file["names"].tolist(), file["table"].tolist()
    return [{name: value for name, value in zip(names, line) if not math.isnan(value)} for line in table]


def row(setting: dict[str, Any], root: str, grid: Path, records: str = "") -> dict[str, Any]:
    """One run, measured."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        watch, ended = train(setting, root, f"{folder}/run")
        trained = time.monotonic() - began
        alarms = Path(folder, "run", "alarms")
        events, signals = (read_jsonl(alarms / f"{name}.jsonl") for name in ("events", "signals"))
    assert watch.model is not None
    if records:
        keep(watch.record, Path(records) / f"{grid.stem}.npz")
    raised = [[e["round"], e["alarm"], e["reason"], e["action"]] for e in events]
    readings = [r for r in signals[:: max(1, len(signals) // 100)] if "diversity" in r["values"]]
    return {
        **setting,
        "ended": ended,
        "rounds": watch.model.rounds,
        **quality(watch.model, root, grid),
        "alarms": raised,
        "diversity": [[r["round"], r["values"]["diversity"], r["values"].get("duplicates")] for r in readings],
        **measures(watch.record, raised),
        "seconds": [round(trained), round(time.monotonic() - began)],
    }


def study(
    root: str = "",
    seeds: list[int] = [0, 1, 2, 3, 4],
    mechanisms: list[str] = list(MECHANISMS),
    rates: list[float] = [PROVOKING, USUAL],
    losses: list[str] = ["wgan-gp"],
    actions: list[str] = ["warn"],
    images: int = 10_400,
    hold: int = 3_200,
    out: str = str(RESULTS),
    records: str = "",
) -> None:
    """Compute the rows that are missing, and print all.

    Args:
        root: folder of Fashion-MNIST; empty for the digits.
        seeds: training seeds.
        mechanisms: sets of mechanisms that are on.
        rates: learning rates.
        losses: losses.
        actions: actions of the alarms.
        images: length of a run.
        hold: images at each resolution; 0 for 32 px from the start.
        out: folder of the results.
        records: folder for the signals of all rounds, one file for each run; empty for none.
    """
    rows = Rows(Path(out) / f"{NAME}.json", __doc__)
    data = "fashion" if root else "digits"
    for seed in seeds:
        for loss, rate, action in product(losses, rates, actions):
            for name in mechanisms:
                setting = {"data": data, "loss": loss, "mechanisms": name, "rate": rate, "action": action}
                setting |= {"seed": seed, "images": images, "hold": hold}
                if not rows.has(**setting):
                    grid = f"{NAME}_{data}_{loss}_{name}_{rate:g}_{action}_{seed}.png"
                    rows.leave([row(setting, root, Path(out) / grid, records)])
                    show(rows[-1])
    for line in rows:
        show(line)
    print("\n".join(table(rows)))


def table(rows: list[dict[str, Any]]) -> list[str]:
    """Return the lines of a Markdown table, one row for each setting: peaks, as means over seeds with the range."""
    heads = ["loss, rate, action", "on", "seeds", "spirals", "score", "layer of G, of D", "alarms", "FD", "coverage"]
    lines = []
    keys = ("data", "loss", "rate", "action", "images", "hold", "mechanisms")
    for key in dict.fromkeys(tuple(r[k] for k in keys) for r in rows):
        own = [r for r in rows if tuple(r[k] for k in keys) == key]
        spirals = sum(r["escalation"]["kind"] == "both" for r in own)
        ended = sum(bool(r["ended"]) for r in own)
        peaks = {name: mean_and_range([r["peak"][name] for r in own]) for name in ("score", "g", "d")}
        _, loss, rate, action, *_, name = key
        cells = [
            *(f"{loss}, {rate:g}, {action}", name.replace("+", ", "), str(len(own))),
            f"{spirals} of {len(own)}" + (f", {ended} not finite" if ended else ""),
            *(peaks["score"], f"{peaks['g']}, {peaks['d']}", f"{sum(bool(r['alarms']) for r in own)} of {len(own)}"),
            *(mean_and_range([r[k] for r in own if r[k] is not None]) for k in ("fd", "coverage")),
        ]
        lines.append(cells)
    return markdown(heads, lines)


def show(r: dict[str, Any]) -> None:
    """Print a row."""
    found = r["escalation"]
    alarms = ", ".join(f"{line[1]} in {line[0]}" for line in r["alarms"][:4]) or "no alarm"
    print(
        f"{r['data']} {r['loss']} {r['mechanisms']} at {r['rate']:g}, {r['action']}, seed {r['seed']}: "
        f"escalation {found['kind']} (g {found['g']}, d {found['d']}, score {found['score']}) in {r['rounds']} rounds; "
        f"{alarms}; fd {r['fd']}, coverage {r['coverage']}; {r['ended']} {r['seconds']} s",
        flush=True,
    )


def main(**words: Any) -> None:
    """Train ProGAN with and without its mechanisms: root= seeds= mechanisms= rates= losses= actions= images= hold=."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    study(**checked_arguments(study, words))


if __name__ == "__main__":
    run_command(f"studies.{NAME}", main)
