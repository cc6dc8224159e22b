"""Do the audit's intervals and p-values mean what they say on honest data?

    python studies/audit_calibration.py repeats=100 root=data

Each repeat splits MNIST (16 px, extractor `digits`) anew into 1,000 training, 600 held-out and 600 honest images, which
pose as a generator; its discriminator is the mean brightness, which knows nothing of training. Budget `quick`. Counted
over repeats, each beside the 95 % binomial interval (Wilson) of what was counted:

- verdicts other than healthy, of the questions discriminator, copying, support, coverage and sharpness;
- audits in which any corrected p-value of `copying` is below 5 %: at most 5 % by Holm;
- 95 % intervals of the excess train-set win rate (features, pixels) that leave out 0, and of the discriminator's AUC of
  training against held-out images that leave out 1/2: 5 %;
- honest images below the thresholds of the copying rate that half of the held-out images set: 1 %;
- audits in which `support` calls duplicates significant (level 0.2 %).
"""

from __future__ import annotations

import json
import warnings
from typing import Any

import torch
from planted_faults import QUESTIONS, Real, Remembering, load
from rows import RESULTS
from torch import Tensor

from zoo.audit import audit, planted
from zoo.config.command_line import checked_arguments, run_command
from zoo.features import extractor
from zoo.metrics.intervals import wilson

SIZES = (1_000, 600, 600)


class Brightness(planted.Honest):
    """Honest images, and a discriminator that never learnt."""

    zero = 0.0

    def score(self, images: Tensor) -> Tensor:
        """Mean brightness (N,)."""
        return images.flatten(1).mean(1)


def counted(images: Tensor, labels: Tensor, network: Remembering, seed: int) -> dict[str, list[int]]:
    """Hits and trials of one repeat, by what they count."""
    real = Real(images, labels, SIZES, seed)
    report = audit(
        Brightness(real.honest),
        real.train,
        real.held_out,
        labels=(real.train_labels, real.held_out_labels),
        budget="quick",
        seed=seed,
        only=QUESTIONS,
        features=network,
    )
    copying, discriminator = report["copying"], report["discriminator"]
    corrected = copying.protocol["p-values, corrected (Holm)"].values()
    found = {
        "verdict not healthy": [int(report.verdict != ("healthy",)), 1],
        "copying: a corrected p below 5 %": [int(min(corrected) < 0.05), 1],
        "support: duplicates significant": [int(report["support"].status != "passed"), 1],
    }
    for finding, name, truth in (
        (copying, "excess train-set win rate in features", 0.0),
        (copying, "excess train-set win rate in pixels", 0.0),
        (discriminator, "AUC of training against held-out images", 0.5),
    ):
        low, high = finding[name].low, finding[name].high
        assert low is not None
        assert high is not None
        found[f"{name}: interval without {truth:g}"] = [int(not low <= truth <= high), 1]
    for statistic in copying.statistics:
        if statistic.name.startswith("copying rate at 1.0 %"):
            assert statistic.n is not None
            found[f"honest images below the threshold, {statistic.name}"] = [
                round(statistic.value * statistic.n / 100),
                statistic.n,
            ]
    return found


def study(repeats: int = 100, root: str = "data", first: int = 1_000) -> None:
    """Repeat, count, print and save.

    Args:
        repeats: splits.
        root: folder with `MNIST/raw`.
        first: seed of the first split.
    """
    warnings.filterwarnings("ignore")
    images, labels = load("mnist", root)
    network = Remembering(extractor("digits"))
    total: dict[str, list[int]] = {}
    for seed in range(first, first + repeats):
        for name, (hits, trials) in counted(images, labels, network, seed).items():
            held = total.setdefault(name, [0, 0])
            held[0], held[1] = held[0] + hits, held[1] + trials
    rows = {
        name: {"hits": hits, "trials": n, "share": hits / n, "interval": list(wilson(hits, n))}
        for name, (hits, n) in total.items()
    }
    result: dict[str, Any] = {
        "protocol": __doc__,
        "repeats": repeats,
        "first_seed": first,
        "sizes": SIZES,
        "torch": torch.__version__,
        "counts": rows,
    }
    (RESULTS / "audit_calibration.json").write_text(json.dumps(result, indent=1) + "\n")
    for name, row in rows.items():
        low, high = row["interval"]
        print(f"| {name} | {row['hits']} of {row['trials']} | {row['share']:.1%} | {low:.1%} to {high:.1%} |")


def main(**words: Any) -> None:
    """Run the study: repeats=100 root=data first=1000; see the module's text."""
    study(**checked_arguments(study, words))


if __name__ == "__main__":
    run_command("audit_calibration", main)
