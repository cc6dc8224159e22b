"""Study of the alarms: are they raised in time, never in healthy runs, and does rolling back help?

    python studies/alarms.py part=rings seeds=[0,1,2] [variants=[DCGAN] breakages=[frozen] work=FOLDER]
    python studies/alarms.py part=silent seeds=[0] recipes=[dcgan_digits]
    python studies/alarms.py part=helps seeds=[0,1,2]

Protocol. All on scikit-learn's digits with the shipped small recipes and `Alarms` at its default settings.

*rings*: for each variant and seed, one healthy run with alarms (`WARM` images) is the start of several branches. A
branch continues from its checkpoint for 22 to 31 healthy rounds and is then broken in one of five ways
(`studies/breakages.py`) for `rounds` rounds. The onset of the damage is measured in every round, on other latents and
images than those of the alarms, with a trained classifier's features and the discriminator's scores
(`breakages.onset`). A break without a measurable onset is recorded and does not count. In time: the first alarm after
the break is raised at most 12 rounds after the onset. Right family: the first alarm is listed in `FAMILIES`, and if its
reason names a network, it is the one that was broken.

*silent*: recipes at full length, where every alarm is false.

*helps*: `dcgan_digits` at full length; for 20 rounds from round 700 on, the generator's learning rate is 30 times too
high. Three runs are compared: unbroken, broken, and broken with `action: rollback`, which is longer by the undone
rounds. Measured is the Fréchet distance of 2,000 samples of the EMA generator to the training images, in the features
of the digit classifier.

Rows are written as soon as they are computed; rows that exist are not computed again.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from augmentation import distance
from breakages import APPLY, onset, read
from rows import RESULTS, Rows

import zoo
from zoo.alarms.change import THRESHOLD
from zoo.config.command_line import checked_arguments, run_command
from zoo.features.digits import DigitClassifier
from zoo.io.checkpoints import read_checkpoint
from zoo.io.run_folder import checkpoints_in
from zoo.training.terms import NonFiniteLossError

SMALL = ["dcgan_digits", "wgan_gp_digits", "progan_digits", "biggan_digits"]
RECIPES = {"DCGAN": "dcgan_digits", "WGANGP": "wgan_gp_digits", "ProGAN": "progan_digits", "BigGAN": "biggan_digits"}
WARM = {"DCGAN": 38_400, "WGANGP": 32_000, "ProGAN": 22_000, "BigGAN": 19_200}
"""Length of the healthy run, in images."""
MODELS: dict[str, dict[str, Any]] = {
    "WGANGP": {"lr_horizon": 560_000},  # otherwise the learning rate would be 0 at the end of the healthy run
    "ProGAN": {"hold_images": 12_000, "fade_images": 3_000},  # at the end of the healthy run it is at 8x8 pixels
}
QUIET = {"SampleGrid": None, "SampleMetrics": None}
ESCALATES = ("signal escalation", "spectral explosion", "not finite")
FAMILIES = {
    "generator_rate": {*ESCALATES, "loss of diversity"},
    "discriminator_rate": {*ESCALATES, "discriminator overshoot", "dead gradient"},
    "penalty_off": {*ESCALATES, "discriminator overshoot", "dead gradient"},
    "spectral_norm_off": {*ESCALATES, "discriminator overshoot"},
    "frozen": {"loss of diversity"},
}
NETWORK = {"generator_rate": "/g/", "discriminator_rate": "/d/", "spectral_norm_off": "/d/"}


def right(kind: str, event: dict[str, Any]) -> bool:
    """Check whether an alarm names the cause of a break.

    Args:
        kind: way of breaking the run.
        event: event of the alarm.
    """
    network = NETWORK.get(kind, "")
    in_family = event["alarm"] in FAMILIES[kind]
    return in_family and (event["alarm"] not in ESCALATES[:2] or not network or network in event["reason"])


def rings(variant: str, seed: int, kinds: list[str], work: Path, rounds: int) -> list[dict[str, Any]]:
    """Break one healthy run in several ways; return a row for each.

    Args:
        variant: name of the model class.
        seed: seed of the healthy run.
        kinds: ways of breaking the run.
        work: folder of the runs.
        rounds: number of broken rounds.
    """
    warm = work / f"{variant}-{seed}"
    if not checkpoints_in(warm):
        shutil.rmtree(warm, ignore_errors=True)
        callbacks = {**QUIET, "SaveEvery": {"every": 10**9, "keep": 1}, "Alarms": {}}
        zoo.fit(
            RECIPES[variant],
            out=warm,
            seed=seed,
            images=WARM[variant],
            callbacks=callbacks,
            model=MODELS.get(variant, {}),
        )
    clock = read_checkpoint(checkpoints_in(warm)[0])["zoo"]
    batch = 16 if variant == "ProGAN" else 64
    rows = []
    for i, kind in enumerate(kinds):
        after = clock["rounds"] + 22 + (3 * seed + 7 * i) % 10  # so that breaks occur anywhere between two readings
        folder, seen = work / f"{variant}-{seed}-{kind}", work / f"{variant}-{seed}-{kind}.jsonl"
        shutil.rmtree(folder, ignore_errors=True)
        seen.unlink(missing_ok=True)
        shutil.copytree(warm, folder)
        breaks = {
            "class": "breakages.Breaks",
            "kind": kind,
            "after": after,
            "path": str(seen),
            "measure_from": after - 15,
        }
        length = clock["images_seen"] + batch * (after + rounds - clock["rounds"])
        ended = ""
        try:
            zoo.fit(resume=folder, images=length, callbacks={"Breaks": breaks, "SaveEvery": None})
        except NonFiniteLossError as error:
            ended = str(error)[:120]
        rows.append(
            {
                "variant": variant,
                "seed": seed,
                "breakage": kind,
                **evaluate_branch(kind, after, folder, seen),
                "ended": ended,
                "warm_images": clock["images_seen"],
                "broken_rounds": rounds,
                "threshold": THRESHOLD,
            }
        )
    return rows


def evaluate_branch(kind: str, after: int, folder: Path, seen: Path) -> dict[str, Any]:
    """Compare the onset of the damage with the alarms of a branch.

    Args:
        kind: way of breaking the run.
        after: last healthy round.
        folder: run folder of the branch.
        seen: file of the measurements of `breakages.Breaks`.
    """
    events = read(folder / "alarms" / "events.jsonl") if (folder / "alarms" / "events.jsonl").exists() else []
    began, shown = onset(read(seen), after)
    broken = [event for event in events if event["round"] > after]
    first = broken[0]["round"] if broken else None
    together = [event for event in broken if event["round"] == first]
    return {
        "break_after": after,
        "onset": began,
        "shown_by": shown,
        "first_alarm": first,
        "in_time": began is not None and first is not None and first <= began + 12,
        "right": any(right(kind, event) for event in together),
        "alarms": [[event["round"], event["alarm"], event["reason"]] for event in broken],
        "false_before": [[e["round"], e["alarm"], e["reason"]] for e in events if e["round"] <= after],
    }


def silent(recipe: str, seed: int, work: Path) -> dict[str, Any]:
    """Train a recipe at full length and return its alarms, all of which are false."""
    began = time.monotonic()
    run = zoo.fit(recipe, out=work / "silent", seed=seed, callbacks={**QUIET, "SaveEvery": None, "Alarms": {}})
    path = run.folder / "alarms" / "events.jsonl"
    return {
        "recipe": recipe,
        "seed": seed,
        "images_seen": run.model.images_seen,
        "rounds": run.model.rounds,
        "seconds": round(time.monotonic() - began),
        "load_average": round(os.getloadavg()[0], 1),
        "alarms": [[event["round"], event["alarm"], event["reason"]] for event in read(path)] if path.exists() else [],
    }


def helps(seed: int, work: Path, after: int = 700) -> dict[str, Any]:
    """Compare an unbroken run, a broken one, and a broken one with rollback.

    Args:
        seed: seed of the runs.
        work: folder of the runs.
        after: last healthy round of the broken runs.
    """
    row: dict[str, Any] = {"seed": seed}
    breaks = {"class": "breakages.Breaks", "kind": "generator_rate", "after": after, "until": after + 20}
    for name, callbacks in {
        "unbroken": {"Alarms": None},
        "broken": {"Alarms": {}, "Breaks": breaks},
        "rollback": {"Alarms": {"action": "rollback"}, "Breaks": breaks},
    }.items():
        folder = work / name
        shutil.rmtree(folder, ignore_errors=True)
        run = zoo.fit("dcgan_digits", out=folder, seed=seed, callbacks={**QUIET, "SaveEvery": None, **callbacks})
        path = folder / "alarms" / "events.jsonl"
        row[name] = {
            "distance": round(frechet(run.model), 4),
            "images_seen": run.model.images_seen,
            "alarms": [[e["round"], e["alarm"], e["action"]] for e in read(path)] if path.exists() else [],
        }
    row["within_10_percent"] = row["rollback"]["distance"] <= 1.1 * row["unbroken"]["distance"]
    return row


@torch.no_grad()
def frechet(model: zoo.GAN, n: int = 2_000) -> float:
    """Compute the Fréchet distance of n samples to the training images, in the digit classifier's features."""
    classifier, data = DigitClassifier(), zoo.data.Digits(resolution=model.resolution)
    data.setup()
    labels = torch.arange(n) % model.num_classes if model.num_classes else None
    return distance(classifier, data.train.tensor(), model.sample(n, seed=1, labels=labels))


def study(
    part: str = "rings",
    seeds: list[int] = list(range(10)),
    variants: list[str] = list(RECIPES),
    breakages: list[str] = list(APPLY),
    recipes: list[str] = SMALL,
    work: str = "",
    rounds: int = 80,
) -> None:
    """Compute the missing rows and print a summary.

    Args:
        part: part of the study: `rings`, `silent` or `helps`.
        seeds: seeds of the runs.
        variants: model classes of `rings`.
        breakages: ways of breaking the runs of `rings`.
        recipes: recipes of `silent`.
        work: folder of the runs; empty for a temporary one.
        rounds: number of broken rounds of `rings`.
    """
    rows = Rows(RESULTS / f"alarms_{part}.json", __doc__)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(work or scratch)
        for seed in seeds:
            if part == "helps" and not rows.has(seed=seed):
                rows.leave([helps(seed, folder)])
            for recipe in recipes if part == "silent" else []:
                if not rows.has(recipe=recipe, seed=seed):
                    shutil.rmtree(folder / "silent", ignore_errors=True)
                    rows.leave([silent(recipe, seed, folder)])
            for variant in variants if part == "rings" else []:
                kinds = [kind for kind in breakages if variant in APPLY[kind]]
                kinds = [kind for kind in kinds if not rows.has(variant=variant, seed=seed, breakage=kind)]
                if kinds:
                    rows.leave(rings(variant, seed, kinds, folder, rounds))
    print("\n".join(summary(part, rows)))


def summary(part: str, rows: list[dict[str, Any]]) -> list[str]:
    """Summarise the rows of a part in a few lines."""
    if part == "silent":
        return [f"{row['recipe']} seed {row['seed']}: {row['alarms'] or 'silent'}" for row in rows]
    if part == "helps":
        return [
            f"seed {row['seed']}: " + ", ".join(f"{k} {row[k]['distance']}" for k in ("unbroken", "broken", "rollback"))
            for row in rows
        ]
    lines = []
    for kind, variants in APPLY.items():
        for variant in variants:
            all_rows = [row for row in rows if (row["variant"], row["breakage"]) == (variant, kind)]
            counted = [row for row in all_rows if row["onset"] is not None]
            if all_rows:
                lines.append(
                    f"{kind} {variant}: {sum(r['in_time'] for r in counted)} of {len(counted)} in time, "
                    f"{sum(r['right'] for r in counted)} right, {len(all_rows) - len(counted)} without onset"
                )
    return lines


def main(**arguments: Any) -> None:
    """Test the alarms: part=rings|silent|helps seeds=[0,1,2] variants=[DCGAN] breakages=[frozen] work=FOLDER."""
    study(**checked_arguments(study, arguments))


if __name__ == "__main__":
    run_command("studies.alarms", main)
