"""A film of one escalation of `progan_spiral.py` in slow motion: images, scores and signals, round by round.

    python studies/spiral_film.py root=FOLDER mechanisms=none rate=0.008 seed=0 [action=warn out=docs/images/spiral.gif]

The run of the row is trained again, up to the rounds after its onset, with the same seed and so, on the same machine,
the same numbers. Each frame has images of 16 fixed latents, the discriminator's scores of 64 real and 64 generated
images, and the signals up to that round, with a dotted line at the onset.
"""

from __future__ import annotations

import logging
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from escalation import Watch, with_largest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from measured import images_of
from PIL import Image
from progan_spiral import NAME, train
from pytorch_lightning import Trainer
from rows import FIGURES, RESULTS, Rows
from torch import Tensor

import zoo
from zoo.callbacks.every import Every
from zoo.config.command_line import checked_arguments, run_command
from zoo.rendering import pictures
from zoo.training.seeding import seeded

REAL, GENERATED, NETWORKS = "#3d7ecc", "#2f9a6a", {"g": "#2f9a6a", "d": "#d5762a", "score": "#b3261e"}
TITLES = {"g": "generator's largest layer", "d": "discriminator's largest layer", "score": "scores"}


@dataclass
class Frame:
    """What a frame shows: the round, images (N, C, H, W), and scores of real and of generated images."""

    round: int
    images: Tensor
    real: Tensor
    fake: Tensor


class Film(Every):
    """Callback that keeps a frame in some rounds, and ends the run after the last one.

    Args:
        first: first round with a frame.
        last: last round with a frame.
        step: rounds from one frame to the next.
    """

    latest: ClassVar[Film | None] = None

    def __init__(self, first: int, last: int, step: int) -> None:
        super().__init__(1, at_end=False)
        self.first, self.last, self.step = first, last, step
        self.frames: list[Frame] = []
        Film.latest = self

    def due(self, trainer: Trainer, model: zoo.GAN) -> bool:
        """Check whether the round that has ended gets a frame."""
        return self.first <= model.rounds <= self.last and (model.rounds - self.first) % self.step == 0

    @torch.no_grad()
    def act(self, trainer: Trainer, model: zoo.GAN) -> None:
        """Draw images and scores with random numbers of their own, and without an effect on the run."""
        Film.latest = self
        source: Any = trainer.datamodule  # type: ignore[attr-defined]
        kept = [(buffer, buffer.clone()) for buffer in model.buffers()]
        with seeded(0, model.device):
            real = model.prepare(zoo.Batch(images_of(source.train, 64)))
            fake = zoo.Batch(model.generate(model.generator, model.sample_latent(64), None))
            scores = model.scores(real, fake)
        for buffer, value in kept:
            buffer.copy_(value)
        self.frames.append(Frame(model.rounds, fake.images[:16].clone(), *(each.float() for each in scores)))
        trainer.should_stop = trainer.should_stop or model.rounds + self.step > self.last


def picture(frame: Frame, lines: list[dict[str, float]], onset: int, last: int) -> Image.Image:
    """Draw one frame.

    Args:
        frame: what it shows.
        lines: signals of all rounds of the film, with the largest layers.
        onset: round of the onset.
        last: last round of the film.
    """
    figure = Figure(figsize=(7.6, 2.5), dpi=84, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    left, middle, right = figure.subplots(1, 3, width_ratios=[1, 1.1, 1.5])
    left.imshow(np.asarray(pictures.grid(frame.images.nan_to_num(), 4)))
    left.set_axis_off()
    left.set_title(f"round {frame.round} ({frame.round - onset:+d})", fontsize=9)
    spread = torch.cat([frame.real, frame.fake]).nan_to_num()
    edges = np.linspace(*np.array(_padded(float(spread.min()), float(spread.max()))), 25)
    for name, values, colour in (("real", frame.real, REAL), ("generated", frame.fake, GENERATED)):
        middle.hist(values.nan_to_num().numpy(), edges, color=colour, alpha=0.6, label=name)
    middle.set_title("scores of 64 images each", fontsize=9)
    middle.set_ylim(0, 64)
    middle.legend(fontsize=7, frameon=False, loc="upper right")
    shown = [line for line in lines if line["round"] <= frame.round]
    for name, colour in NETWORKS.items():
        right.plot([s["round"] - onset for s in shown], [s[name] for s in shown], color=colour, label=TITLES[name])
    finite = [line[name] for line in lines for name in NETWORKS if 0 < line[name] < float("inf")]
    right.set(yscale="log", xlim=(lines[0]["round"] - onset, last - onset), ylim=(min(finite) / 1.5, max(finite) * 3))
    right.axvline(0, color="#70757d", linestyle=":")
    right.set_title("mean absolute values, round by round", fontsize=9)
    right.legend(fontsize=6.5, frameon=False, loc="upper left")
    for axes in (middle, right):
        axes.tick_params(labelsize=7)
        axes.spines[["top", "right"]].set_visible(False)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy())


def _padded(low: float, high: float) -> tuple[float, float]:
    """The range of a histogram, never empty."""
    return low, max(high, low + 1e-6 + 1e-6 * abs(low))


def write(frames: list[Image.Image], path: Path) -> None:
    """Write the frames as a film that stays on the last one for two seconds, with one palette of 48 colours."""
    palette = frames[-1].quantize(48, method=Image.Quantize.MEDIANCUT)
    small = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    times = [160] * (len(small) - 1) + [2_000]
    path.parent.mkdir(parents=True, exist_ok=True)
    pictures.save(small[0], path, save_all=True, append_images=small[1:], duration=times, loop=0, optimize=True)


def shoot(
    root: str = "",
    mechanisms: str = "none",
    rate: float = 0.008,
    seed: int = 0,
    loss: str = "wgan-gp",
    action: str = "warn",
    before: int = 40,
    after: int = 60,
    step: int = 2,
    results: str = str(RESULTS),
    out: str = str(FIGURES / "question_spiral.gif"),
) -> Path:
    """Train the run of a row again, and write its film.

    Args:
        root: folder of the data of the row.
        mechanisms: the row's mechanisms.
        rate: the row's learning rate.
        seed: the row's seed.
        loss: the row's loss.
        action: the row's action.
        before: rounds before the onset.
        after: rounds after it.
        step: rounds from one frame to the next.
        results: folder of the results.
        out: the film.
    """
    wanted = {"mechanisms": mechanisms, "rate": rate, "seed": seed, "loss": loss, "action": action}
    wanted |= {"data": "fashion" if root else "digits"}
    rows = Rows(Path(results) / f"{NAME}.json", None)
    row = next(row for row in rows if all(row[key] == value for key, value in wanted.items()))
    onset = row["escalation"]["onset"]
    if onset is None:
        raise SystemExit(f"nothing escalated in the run of {wanted}: there is nothing to film")
    first, last = onset - before, onset + after
    with tempfile.TemporaryDirectory() as folder:
        film = {"first": first, "last": last, "step": step}
        setting = {**wanted, "images": row["images"], "hold": row["hold"]}
        watch, _ = train(setting, root, f"{folder}/run", **{"spiral_film.Film": film})
    frames = film_of(watch, onset, last)
    write(frames, Path(out))
    return Path(out)


def film_of(watch: Watch, onset: int, last: int) -> list[Image.Image]:
    """Draw the frames of the run that was filmed last."""
    import spiral_film  # run as a script, this file is `__main__`, and the callback is of another import of it

    film = spiral_film.Film.latest
    assert film is not None
    lines = [line for line in with_largest(watch.record) if film.first <= line["round"] <= last]
    return [picture(frame, lines, onset, last) for frame in film.frames]


def main(**words: Any) -> None:
    """Film one escalation: root= mechanisms= rate= seed= loss= action= before= after= step= out=."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    print(shoot(**checked_arguments(shoot, words)))


if __name__ == "__main__":
    run_command("studies.spiral_film", main)
