"""Search settings of a GAN with Optuna, each trial pooled over seeds.

    pip install optuna
    python examples/optuna_sweep.py

The value of a trial is the mean Fréchet distance of the last checkpoints over the seeds. Its deviation over seeds is
kept beside it: two trials that differ by less are not told apart. Stop it with Ctrl-C and start it again to go on.
"""

from __future__ import annotations

from typing import Any

import zoo
from zoo.compare import compare

RECIPE = "dcgan_digits"


def objective(trial: Any, seeds: tuple[int, ...] = (0, 1, 2), **settings: Any) -> float:
    """Train with the settings of a trial once for each seed; return the mean of the distances."""
    model = {
        "width": trial.suggest_categorical("width", [16, 32]),
        "generator_lr": trial.suggest_float("generator_lr", 1e-4, 1e-3, log=True),
    }
    runs = zoo.fit(RECIPE, out=f"runs/optuna/{trial.number}", seeds=seeds, model=model, **settings)
    last = compare([str(run.folder) for run in runs], metric="fd").tables[0].rows[-1].spread
    trial.set_user_attr("deviation over seeds", last.deviation)
    return last.mean


def main(trials: int = 20, **settings: Any) -> Any:
    """Search, and return the study, which is kept in `optuna.db`."""
    import optuna  # no dependency of this library

    study = optuna.create_study(storage="sqlite:///optuna.db", study_name=RECIPE, load_if_exists=True)
    study.optimize(lambda trial: objective(trial, **settings), n_trials=trials)
    print(f"best: {study.best_value:.4g} with {study.best_params} {study.best_trial.user_attrs}")
    return study


if __name__ == "__main__":
    main(images=20_000)
