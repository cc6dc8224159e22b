"""Does every variant train in bf16-mixed without a value that is not finite?

    python studies/bf16_stability.py [variants=[dcgan,progan] rounds=1000 seeds=[0] precision=bf16-mixed]

Protocol: each variant, small, on scikit-learn's handwritten digits for so many rounds (steps of the discriminator) with
the learning rates of its paper or of its digits recipe; ProGAN goes through all its stages and fades. The losses of
every round are checked (a mean over ten rounds is not finite if one of them was not), at the end also the weights of
both networks and of the average, the optimizers' moments, and 64 samples. A row also has the largest loss seen, in
absolute value over means of ten rounds, and the largest weight. On a CPU autocast stands for the GPU's: the same
operations are in bf16.
"""

from __future__ import annotations

import json
import tempfile
import time
from typing import Any

import torch
from pytorch_lightning import Callback, Trainer
from rows import RESULTS

import zoo
from zoo.config.command_line import checked_arguments, run_command
from zoo.data import Digits
from zoo.errors import UserError
from zoo.training.terms import NonFiniteLossError, assert_finite

BATCH = 16
BIG: dict[str, Any] = {
    "resolution": 16,
    "width": 8,
    "num_classes": 10,
    "latent_dim": 24,
    "shared_dim": 16,
    "attention": 8,
}
VARIANTS: dict[str, tuple[type[zoo.GAN], dict[str, Any]]] = {
    "vanilla": (zoo.VanillaGAN, {"resolution": 16}),
    "dcgan": (zoo.DCGAN, {"resolution": 16, "width": 16, "num_classes": 10}),
    "dcgan_5x5_r1": (zoo.DCGAN, {"resolution": 16, "width": 16, "kernel_size": 5, "r1": 1.0}),
    "wgan_gp_convolutional": (zoo.WGANGP, {"resolution": 16, "width": 16, "architecture": "convolutional"}),
    "wgan_gp_resnet": (zoo.WGANGP, {"resolution": 16, "width": 16, "num_classes": 10}),
    "wgan_gp_layer_norm": (zoo.WGANGP, {"resolution": 16, "width": 8, "architecture": "layer_norm"}),
    "progan": (zoo.ProGAN, {"resolution": 32, "width": 16, "latent_dim": 16, "num_classes": 10}),
    "biggan": (zoo.BigGAN, BIG),
    "biggan_deep": (zoo.BigGANDeep, BIG),
    "r3gan": (zoo.R3GAN, {"resolution": 16, "width": 16, "blocks": 1, "num_classes": 10, "decay_images": 16_000}),
    "r3gan_mixed_penalties": (
        zoo.R3GAN,
        {"resolution": 16, "width": 16, "blocks": 1, "decay_images": 16_000, "penalty_precision": "mixed"},
    ),
}


class Watch(Callback):
    """Stops after so many rounds; keeps the largest loss, and for a growing model where it has been."""

    def __init__(self, rounds: int) -> None:
        self.rounds, self.largest, self.stages = rounds, 0.0, []  # type: ignore[var-annotated]

    def on_train_batch_end(self, trainer: Trainer, model: Any, *args: Any) -> None:
        """Look at the latest terms."""
        if model.rounds % 10 == 0:
            self.largest = max(self.largest, *(abs(value) for value in model.last_terms.values()))
        if isinstance(model, zoo.ProGAN):
            stage = f"{model.stage.resolution}" + (", fading in" if model.stage.alpha < 1 else "")
            self.stages += [stage] if stage not in self.stages else []
        trainer.should_stop = model.rounds >= self.rounds


def train(variant: str, rounds: int, seed: int, precision: str) -> dict[str, Any]:
    """Train one variant and look at everything that could have become infinite."""
    cls, settings = VARIANTS[variant]
    if cls is zoo.ProGAN:  # four resolutions held and three fades in so many rounds
        settings = {**settings, "hold_images": rounds * BATCH // 7, "fade_images": rounds * BATCH // 7}
    torch.manual_seed(seed)
    model = cls(channels=1, seed=seed, average_halflife=2_000, **settings)
    data, watch = Digits(resolution=model.resolution, batch_size=BATCH, seed=seed), Watch(rounds)
    began, fault = time.monotonic(), None
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            accelerator="cpu",
            precision=precision,
            max_epochs=-1,
            logger=False,
            callbacks=[watch],
            log_every_n_steps=10,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=folder,
        )
        try:
            trainer.fit(model, datamodule=data)
            assert_finite({**dict(model.named_parameters()), **floats(dict(model.named_buffers()))})
            for number, optimizer in enumerate(trainer.optimizers):
                for i, state in enumerate(optimizer.state.values()):
                    assert_finite({f"optimizer {number}, {key} {i}": value for key, value in state.items()})
            assert_finite({"samples": model.sample(64, seed=1)})
        except NonFiniteLossError as error:
            fault = str(error)
    row = {
        "variant": variant,
        "precision": precision,
        "seed": seed,
        "rounds": model.rounds,
        "finite": fault is None,
        "largest_loss": round(watch.largest, 3),
        "largest_weight": round(max(p.abs().max().item() for p in model.parameters()), 3),
        "seconds": round(time.monotonic() - began, 1),
    }
    return {**row, **({"stages": watch.stages} if watch.stages else {}), **({"fault": fault} if fault else {})}


def floats(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Those that could be infinite."""
    return {name: tensor for name, tensor in tensors.items() if tensor.is_floating_point()}


def study(
    variants: list[str] = [],
    rounds: int = 1_000,
    seeds: list[int] = [0],
    precision: str = "bf16-mixed",
) -> list[dict[str, Any]]:
    """Train every variant and write a row for each; without `variants` all of them."""
    unknown = [name for name in variants if name not in VARIANTS]
    if unknown:
        raise UserError(f"variants are {', '.join(VARIANTS)}; got {', '.join(unknown)}")
    rows = []
    for variant in variants or VARIANTS:
        for seed in seeds:
            rows.append(train(variant, rounds, seed, precision))
            print(json.dumps(rows[-1]), flush=True)
    return rows


def main(**words: Any) -> None:
    """Look for values that are not finite: variants=[dcgan,progan] rounds=1000 seeds=[0] precision=bf16-mixed."""
    rows = study(**checked_arguments(study, words))
    record = {"protocol": (__doc__ or "").strip(), "torch": torch.__version__, "rows": rows}
    (RESULTS / "bf16_stability.json").write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    run_command("studies.bf16_stability", main)
