"""Draw the figures of the pages in `docs/questions` from the results of the studies.

python studies/figures.py [results=studies/results out=docs/images]
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from statistics import mode
from typing import Any

import matplotlib
import numpy as np
from generalisation_table import MODELS
from neural_distance import halves
from PIL import Image
from rows import FIGURES, RESULTS, read_rows
from spiral_table import escalates

from zoo.config.command_line import checked_arguments, run_command

matplotlib.use("agg")

from matplotlib import pyplot as plt
from matplotlib.ticker import MaxNLocator

Row = dict[str, Any]
COLOURS = {"train": "tab:blue", "held_out": "tab:orange", "generated": "tab:green"}
NAMES = {"train": "training images", "held_out": "held-out images", "generated": "generated images"}
REGULARISERS = {"none": "no penalty", "r1r2": "R1 and R2"}
KINDS = {
    "gan": "the generator's images",
    "both": "half blends, half the generator's",
    "rising": "blends, ever closer to real",
    "falling": "blends, ever farther from real",
    "uniform": "blends of all degrees",
    "patches": "shuffled real images",
    "blurred": "blurred real images",
}
MECHANISMS = {
    "pixel_norm+equalized+deviation": "all three",
    "none": "none of them",
    "equalized+deviation": "all but pixel norm",
    "pixel_norm+deviation": "all but equalized rate",
    "pixel_norm+equalized": "all but minibatch deviation",
    "pixel_norm": "pixel norm only",
    "equalized": "equalized rate only",
    "deviation": "minibatch deviation only",
}
STACKED = {
    "dcgan": "DCGAN",
    "mix": "mixture of three",
    "pacdcgan2": "packs of two",
    "r1": "R1",
    "rpgan": "relativistic, R1 and R2",
}
MAGNITUDES = {"g": "largest layer of G", "d": "largest layer of D", "score": "scores"}


def rows_of(path: Path) -> list[Row]:
    """Rows of a results file; none if there is no file."""
    return read_rows(path) if path.is_file() else []


def draw_accuracy(rows: list[Row], path: Path) -> None:
    """Accuracy of DCGAN's discriminator on training and held-out images over the run, for each number of images."""
    kinds = [kind for kind in REGULARISERS if any(r["regulariser"] == kind for r in rows)]
    figure, axes = plt.subplots(
        1, len(kinds), figsize=(5.2 * len(kinds), 4), sharey=True, layout="constrained", squeeze=False
    )
    numbers = sorted({r["few"] for r in rows})
    shades = plt.get_cmap("viridis")(np.linspace(0, 0.9, len(numbers)))
    for ax, kind in zip(axes[0], kinds):
        for few, colour in zip(numbers, shades):
            own = [r for r in rows if r["few"] == few and r["regulariser"] == kind]
            if not own:
                continue
            shown = [c["images"] / 1000 for c in own[0]["course"]]
            for part, style in (("held_out", "-"), ("train", ":")):
                values = np.array([[100 * c["accuracy"][part] for c in r["course"]] for r in own])
                label = f"{few:,} images" if part == "held_out" else None
                ax.plot(shown, values.mean(0), style, color=colour, label=label)
                ax.fill_between(shown, values.min(0), values.max(0), color=colour, alpha=0.15, linewidth=0)
        ax.axhspan(50, 55, color="0.85", zorder=0)
        ax.set(title=REGULARISERS[kind], xlabel="images shown, in thousands", ylim=(0, 102))
    axes[0][0].set_ylabel("scored as real, %")
    axes[0][0].legend(fontsize=8, title="held out (dotted: training)", title_fontsize=8)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def draw_replication(rows: list[Row], path: Path) -> None:
    """What the discriminator and the generator know of their training images, against the number of these images.

    A line for each model and penalty, with the mean and the range over seeds; dotted: no memory at all.
    """
    figure, axes = plt.subplots(1, 3, figsize=(13, 3.8), layout="constrained")
    measures: tuple[tuple[str, Any], ...] = (
        ("D: training above held-out images (AUC)", lambda r: r["course"][-1]["auc"][0]),
        ("D: way of held-out images to generated ones (r_v)", lambda r: r["course"][-1]["r_v"]),
        ("G: % of samples closer than 99 % of held-out", lambda r: r["copying"]["rate"]["value"]),
    )
    for i, (model, kind) in enumerate((m, k) for m in MODELS for k in REGULARISERS):
        own = [r for r in rows if (r["model"], r["regulariser"]) == (model, kind)]
        numbers = sorted({r["few"] for r in own})
        for ax, (_, measure) in zip(axes, measures):
            values = [[measure(r) for r in own if r["few"] == n] for n in numbers]
            middle = [float(np.mean(v)) for v in values]
            spread = [[m - min(v) for m, v in zip(middle, values)], [max(v) - m for m, v in zip(middle, values)]]
            if own:
                label = f"{MODELS[model]}, {REGULARISERS[kind]}"
                ax.errorbar(numbers, middle, spread, fmt="o-", color=f"C{i}", markersize=4, capsize=2, label=label)
    for ax, (title, _), level in zip(axes, measures, (0.5, 0, 1)):
        ax.axhline(level, color="0.6", linestyle=":")
        ax.set(xscale="log", xlabel="training images")
        ax.set_title(title, fontsize=10)
    axes[0].legend(fontsize=8)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def draw_histograms(rows: list[Row], path: Path) -> None:
    """Scores of the three kinds of images at four moments of the run with the fewest images and without a penalty."""
    plain = [r for r in rows if r["regulariser"] == "none"]
    row = min(plain, key=lambda r: (r["few"], r["seed"]))
    course = row["course"]
    chosen = [course[i] for i in (1, 4, 6, len(course) - 1)]
    figure, axes = plt.subplots(1, 4, figsize=(12, 2.8), layout="constrained", sharey=True)
    for ax, moment in zip(axes, chosen):
        found = moment["histograms"]
        edges = np.linspace(found["from"], found["to"], len(found["train"]) + 1)
        for name, colour in COLOURS.items():
            ax.stairs(100 * np.array(found[name]), edges, color=colour, label=NAMES[name], linewidth=1.5)
        ax.axvline(0, color="0.6", linewidth=0.8)
        ax.set(title=f"{moment['images']:,} images shown", xlabel="score")
        ax.title.set_fontsize(9)
    axes[0].set_ylabel("% of the images")
    axes[0].legend(fontsize=7)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def draw_distance(rows: list[Row], path: Path) -> None:
    """Distance against m for every width, and m at a half against the number of parameters."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for n in sorted({r["parameters"] for r in rows}):
        own = [r for r in rows if r["parameters"] == n]
        ms = sorted({r["m"] for r in own})
        values = [[r["distance"] for r in own if r["m"] == m] for m in ms]
        spread = [[np.mean(v) - min(v) for v in values], [max(v) - np.mean(v) for v in values]]
        left.errorbar(ms, [np.mean(v) for v in values], spread, marker=".", label=f"{n:,} parameters")
    left.axhline(0.5, color="0.7", linewidth=0.8)
    left.set(xscale="log", xlabel="m: images that the generator knows", ylabel="distance, on test images")
    left.legend(fontsize=8)
    found = halves(rows)
    n = np.array(list(found), float)
    m = np.array([np.exp(np.mean(np.log(v))) for v in found.values()])
    right.plot(n, m, "o-", label="measured")
    if len(n):
        right.plot(
            n, m[0] * n * np.log(n) / (n[0] * np.log(n[0])), "--", color="0.6", label="n log n, through the first"
        )
    right.set(xscale="log", yscale="log", xlabel="n: parameters of the discriminator", ylabel="m at a distance of 0.5")
    right.legend(fontsize=8)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def draw_blends(rows: list[Row], path: Path) -> None:
    """Distance of the samples and the pull of the gradient over the run, for every kind of negative examples."""
    figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    kinds = [kind for kind in KINDS if any(r["kind"] == kind for r in rows)]
    for kind in kinds:
        own = [r for r in rows if r["kind"] == kind]
        images = [c["images"] for c in own[0]["course"]]
        for ax, key in zip(axes, ("fd", "pull")):
            ax.plot(
                images, [np.mean([r["course"][i][key] for r in own]) for i in range(len(images))], label=KINDS[kind]
            )
    axes[0].set(yscale="log", xlabel="images shown", ylabel="Fréchet distance")
    axes[1].set(xlabel="images shown", ylabel="cosine of the gradient with the way to a real image")
    axes[1].axhline(0, color="0.7", linewidth=0.8)
    axes[0].legend(fontsize=8)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def draw_blend_samples(rows: list[Row], path: Path, folder: Path) -> None:
    """First samples of each kind of negative examples, of the lowest seed, from the grids in the folder of results."""
    seed = min(r["seed"] for r in rows)
    draw_grids({KINDS[kind]: folder / f"blended_fakes_dcgan_digits_{kind}_{seed}.png" for kind in KINDS}, path)


def draw_spiral_samples(rows: list[Row], path: Path, folder: Path) -> None:
    """First samples of each set of mechanisms at the largest rate, of the lowest seed."""
    rate, seed = max(r["rate"] for r in rows), min(r["seed"] for r in rows)
    name = f"progan_spiral_fashion_wgan-gp_{{}}_{rate:g}_warn_{seed}.png"
    draw_grids({title: folder / name.format(mechanisms) for mechanisms, title in MECHANISMS.items()}, path)


def draw_grids(grids: dict[str, Path], path: Path) -> None:
    """Draw the upper halves of grids of samples, as far as they are there, four in a row below their titles."""
    found = {title: Image.open(grid).convert("RGB") for title, grid in grids.items() if grid.is_file()}
    figure, axes = plt.subplots(-(-len(found) // 4), 4, figsize=(10, 1.5 * -(-len(found) // 4)), layout="constrained")
    for ax in axes.flat:
        ax.axis("off")
    for ax, (title, grid) in zip(axes.flat, found.items()):
        ax.imshow(grid.crop((0, 0, grid.width, grid.height // 2)), interpolation="nearest")
        ax.set_title(title, fontsize=8)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def draw_modes(rows: list[Row], path: Path) -> None:
    """Modes of stacked MNIST over the run, a line for each seed."""
    figure, ax = plt.subplots(figsize=(6, 3.6), layout="constrained")
    for i, (name, title) in enumerate(STACKED.items()):
        for j, r in enumerate([r for r in rows if r["row"] == name]):
            shown = [c["images"] / r["images"] * r["epochs"] for c in r["along"]]
            modes = [c["modes"] for c in r["along"]]
            ax.plot(shown, modes, "o-", color=f"C{i}", markersize=3, linewidth=1, label=None if j else title)
    ax.axhline(1_000, color="0.7", linewidth=0.8)
    ax.set(yscale="log", xlabel="epochs of 2,000 rounds", ylabel="modes of 1,000")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend(fontsize=8, loc="center right", bbox_to_anchor=(1, 0.66))
    figure.savefig(path, dpi=110)
    plt.close(figure)


def draw_mode_samples(rows: list[Row], path: Path, folder: Path) -> None:
    """First samples of each model of stacked MNIST."""
    trained = {r["row"] for r in rows}
    draw_grids(
        {title: folder / f"stacked_mnist_{name}.png" for name, title in STACKED.items() if name in trained}, path
    )


def draw_courses(rows: list[Row], path: Path) -> None:
    """Magnitudes over the runs of the commonest length at the largest rate; dots where they escalate."""
    rate, length = max(r["rate"] for r in rows), mode(r["images"] for r in rows)
    figure, axes = plt.subplots(1, 3, figsize=(12, 3.8), layout="constrained")
    labelled: set[str] = set()
    for r in rows:
        if (r["rate"], r["images"]) != (rate, length):
            continue
        colour, course = f"C{list(MECHANISMS).index(r['mechanisms'])}", r["course"]
        name = None if r["mechanisms"] in labelled else MECHANISMS[r["mechanisms"]]
        labelled.add(r["mechanisms"])
        for ax, signal in zip(axes, MAGNITUDES):
            rounds = np.array(course["round"])
            ax.plot(rounds, np.array(course[signal], float), color=colour, label=name, linewidth=1)
            if (onset := r["escalation"][signal]) is not None:
                at = int(np.argmin(abs(rounds - onset)))
                ax.plot(onset, course[signal][at], "o", color=colour, markersize=5)
    for ax, title in zip(axes, MAGNITUDES.values()):
        ax.set(yscale="log", xlabel="round", title=f"{title}: mean absolute value")
        ax.title.set_fontsize(10)
    axes[0].legend(fontsize=7)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def draw_before(rows: list[Row], path: Path) -> None:
    """Signals of every round around the onset of an escalation, each over its median of the first dozen rounds.

    The run of the lowest seed for each set of mechanisms, of the commonest length and the largest rate.
    """
    usual = max(r["rate"] for r in rows), mode(r["images"] for r in rows)
    first = {r["mechanisms"]: r for r in reversed(rows) if (r["rate"], r["images"]) == usual}
    found = [first[each] for each in MECHANISMS if each in first]
    figure, axes = plt.subplots(1, len(found), figsize=(4 * len(found), 3.6), layout="constrained", squeeze=False)
    signals = {**MAGNITUDES, "gradient_g": "gradient of G", "gradient_d": "gradient of D"}
    for ax, r in zip(axes[0], found):
        rounds = np.array(r["window"]["round"]) - r["escalation"]["onset"]
        for signal, name in signals.items():
            values = np.array(r["window"][signal], float)
            ax.plot(rounds, values / np.nanmedian(values[:12]), label=name, linewidth=1.2)
        ax.axvline(0, color="0.6", linestyle=":")
        ax.set(yscale="log", xlabel="rounds from the onset", title=f"{MECHANISMS[r['mechanisms']]}, seed {r['seed']}")
        ax.title.set_fontsize(10)
    axes[0][0].legend(fontsize=7)
    axes[0][0].set_ylabel("times its value before")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def draw(results: str = str(RESULTS), out: str = str(FIGURES)) -> None:
    """Draw the figures whose results are there."""
    source, place = Path(results), Path(out)
    place.mkdir(parents=True, exist_ok=True)
    trained = rows_of(source / "generalisation.json")
    usual = mode(r["images"] for r in trained) if trained else 0
    trained = [r for r in trained if r["images"] == usual]
    plain = [r for r in trained if r["model"] == "dcgan"]
    distances = rows_of(source / "neural_distance.json")
    blends = [r for r in rows_of(source / "blended_fakes.json") if r["recipe"] == "dcgan_digits"]
    spirals = [r for r in rows_of(source / "progan_spiral.json") if (r["loss"], r["action"]) == ("wgan-gp", "warn")]
    stacked = rows_of(source / "stacked_mnist.json")
    escalated = [r for r in spirals if r["window"] is not None and escalates(r)]
    for rows, function, name in (
        (plain, draw_accuracy, "question_accuracy.png"),
        (plain, draw_histograms, "question_scores.png"),
        (trained, draw_replication, "question_replication.png"),
        (distances, draw_distance, "question_distance.png"),
        (blends, draw_blends, "question_blends.png"),
        (blends, partial(draw_blend_samples, folder=source), "question_blends_samples.png"),
        (spirals, draw_courses, "question_spiral.png"),
        (spirals, partial(draw_spiral_samples, folder=source), "question_spiral_samples.png"),
        (escalated, draw_before, "question_spiral_before.png"),
        (stacked, draw_modes, "question_mixtures.png"),
        (stacked, partial(draw_mode_samples, folder=source), "question_mixtures_samples.png"),
    ):
        if rows:
            function(rows, place / name)
            print(place / name)


def main(**words: Any) -> None:
    """Draw the figures of the questions: results=studies/results out=docs/images."""
    draw(**checked_arguments(draw, words))


if __name__ == "__main__":
    run_command("studies.figures", main)
