"""What each variant gains: `zoo` with its default settings against a plain PyTorch loop, turn by turn in one run.

    python benchmarks/variants.py variant=biggan [width=0 batch_size=0 cycles=1 turns=5 accelerator=cpu]

The plain loop (`plain_loop.py`, `plain_networks.py`) is what most repositories run: two networks with obvious layers,
float32, contiguous; two calls of the discriminator, the generator's graph built in the discriminator's step, gradients
of the discriminator computed in the generator's and thrown away, Adam as torch has it by default, `.item()` in every
round, no averaging. It starts from the zoo's weights. First it is checked that both have the same losses and gradients
in float32: with learning rates of 0 and the same draws, over one cycle.

A round is one step of the discriminator; the generator moves in every `critic_steps`-th, so a cycle is `critic_steps`
rounds. In a turn every program plays `cycles` cycles; the ratio of a turn is the opponent's time over the zoo's, and
medians over turns are reported. Printed are the ratio to the plain loop, and the ratios at equal precision and memory
format (with bf16-mixed and channels_last, the penalty in float32 in both; and with float32 and channels_last in both).

On a GPU (`accelerator=gpu`) the plain loop may use TF32; `compile=true` compiles the zoo's generator, and its
discriminator where no gradient penalty passes through. FLOPs are counted by torch's FlopCounterMode over one cycle of
the zoo, and their rate is compared with that of a large bf16 matrix product timed on the spot.
"""

from __future__ import annotations

import os
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from plain_loop import PlainBigGAN, PlainDCGAN, PlainLoop, PlainProGAN, PlainWGANGP
from plain_networks import name_in_plain
from pytorch_lightning import Callback, Trainer
from torch.utils.flop_counter import FlopCounterMode
from turns import Turns, batches_for, device_of, fit, leave, machine

import zoo
from zoo.config.command_line import checked_arguments, run_command
from zoo.errors import UserError
from zoo.training.hardware import choose_precision
from zoo.training.seeding import derive_seed


@dataclass(frozen=True)
class Variant:
    """What is measured.

    Args:
        model: class of the zoo.
        plain: its opponent.
        settings: of the model, at 32x32 pixels.
        width: the setting `width` unless another is asked for.
        batch_size: likewise.
        images_seen: where the clock stands: ProGAN is measured when it is grown.
        penalty: whether a gradient penalty passes through the discriminator.
    """

    model: type[zoo.GAN]
    plain: type[PlainLoop]
    settings: dict[str, Any]
    width: int
    batch_size: int = 64
    images_seen: int = 0
    penalty: bool = False

    def build(self, width: int, device: str, **changes: Any) -> Any:
        """The zoo's model, as it starts."""
        torch.manual_seed(0)
        model = self.model(resolution=32, width=width, **{**self.settings, **changes}).to(device)
        model.images_seen = self.images_seen
        return model


VARIANTS = {
    "dcgan": Variant(zoo.DCGAN, PlainDCGAN, {}, width=64),
    # penalties in float32, as in the plain loop
    "wgan_gp": Variant(zoo.WGANGP, PlainWGANGP, {"penalty_precision": "float32"}, width=128, penalty=True),
    "progan": Variant(
        zoo.ProGAN,
        PlainProGAN,
        {"latent_dim": 128, "hold_images": 1, "fade_images": 0, "penalty_precision": "float32"},
        width=128,
        batch_size=16,
        images_seen=10_000_000,
        penalty=True,
    ),
    # the network of the authors' CIFAR-10 script, but orthogonal at the start, where spectral norm is known exactly
    "biggan": Variant(
        zoo.BigGAN,
        PlainBigGAN,
        {
            "latent_dim": 128,
            "num_classes": 10,
            "shared_dim": 0,
            "skip_latents": False,
            "attention": 0,
            "orthogonal": 0.0,
            "critic_steps": 4,
        },
        width=64,
    ),
}


class FlopCounter(FlopCounterMode):
    """Counts FLOPs; does not say in which module, since torch's tracker of modules fails within `autograd.grad`."""

    def __init__(self) -> None:
        super().__init__(display=False)
        self.mod_tracker = _Nowhere()


class _Nowhere(nullcontext[Any]):
    parents = frozenset({"Global"})


class OneCycle(Callback):
    """Stops after one cycle and keeps the losses of each round."""

    def __init__(self) -> None:
        self.losses: list[dict[str, float]] = []

    def on_train_batch_end(self, trainer: Trainer, model: Any, *args: Any) -> None:
        """Read the losses."""
        model.log_terms()
        self.losses.append(model.last_terms)
        trainer.should_stop = model.rounds == model.critic_steps


def agreement(variant: Variant, width: int, batch_size: int, accelerator: str) -> dict[str, Any]:
    """How far the losses and gradients of both programs are apart over one cycle at learning rate 0, in float32.

    Rates of 0, because two programs that round differently part ways once they move; the cycle still has as many
    batches as the discriminator has steps. Also the FLOPs of both for an image and a round: those of convolutions and
    matrix products.
    """
    model = variant.build(width, device_of(accelerator), generator_lr=0.0, discriminator_lr=0.0)
    batches = batches_for(model, model.critic_steps, batch_size)
    plain = variant.plain(model, batches, memory_format=torch.channels_last)
    plain.before_round = lambda r: torch.manual_seed(
        derive_seed("round", 0, 0, variant.images_seen + r * batch_size)
    )  # as the zoo's loop does
    watch = OneCycle()
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False), FlopCounter() as of_zoo:
        fit(model, [b if b[1] is not None else b[0] for b in batches], "32-true", accelerator, watch)
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False), FlopCounter() as of_plain:
        plain.play(model.critic_steps)
    shown = model.critic_steps * batch_size
    gaps = [
        abs(theirs[name] - ours[name]) / max(1.0, abs(theirs[name]))
        for ours, theirs in zip(watch.losses, plain.losses, strict=True)
        for name in theirs
    ]
    return {
        "largest_difference_of_losses": max(gaps),
        "difference_of_gradients": {
            "discriminator": gradient_gap(model, model.discriminator, plain.discriminator, plain.d_adam),
            "generator": gradient_gap(model, model.generator, plain.generator, plain.g_adam),
        },
        "gigaflops_per_image_and_round": {
            "zoo": round(of_zoo.get_total_flops() / shown / 1e9, 4),
            "plain": round(of_plain.get_total_flops() / shown / 1e9, 4),
        },
    }


def gradient_gap(model: zoo.GAN, ours: Any, plain: Any, adam: torch.optim.Adam) -> float:
    """Distance between the last gradients of a whole network, relative to their length.

    The plain loop's are read from Adam's first moment, which after one step, or with beta1 = 0, is the gradient times
    1 - beta1: in `.grad` of its discriminator there are also those that the generator's step left behind.
    """
    theirs = dict(plain.named_parameters())
    squares = [0.0, 0.0]
    for name, parameter in ours.named_parameters():
        state = adam.state.get(theirs[name_in_plain(plain, name)])
        if parameter.grad is None or not state:  # ProGAN's heads of other resolutions
            continue
        gradient = state["exp_avg"].cpu() / (1 - model.betas[0])
        squares[0] += (parameter.grad.cpu() - gradient).square().sum().item()
        squares[1] += gradient.square().sum().item()
    return float((squares[0] / squares[1]) ** 0.5)


def measured(
    variant: Variant,
    width: int,
    batch_size: int,
    precision: str,
    accelerator: str,
    opponents: dict[str, Any],
    turns: Turns,
    compiled: bool,
) -> dict[str, Any]:
    """Times of the zoo at one precision and of its opponents, each given as (precision, memory format)."""
    model = variant.build(width, turns.device)
    batches = batches_for(model, 8, batch_size)
    turns.rounds *= model.critic_steps
    turns.opponents = {name: variant.plain(model, batches, *how).play for name, how in opponents.items()}
    if compiled:
        model.generator.compile(dynamic=False)
        if not variant.penalty:
            model.discriminator.compile(dynamic=False)
    fit(model, [b if b[1] is not None else b[0] for b in batches], precision, accelerator, turns)
    report = turns.report()
    return {**report, "images_per_second": round(1000 * batch_size / report["milliseconds_per_round"]["zoo"], 1)}


def matrix_rate(device: str, seconds: float = 0.1) -> float:
    """Return the GFLOP/s of a large bf16 matrix product, the best of ten.

    The matrices double in size up to 2,048 rows (8,192 on a GPU), or until one product takes `seconds`: without bf16
    instructions a processor needs minutes for the largest.
    """
    clock_of = Turns(1, 1, {}, device).now

    def product(n: int, times: int) -> float:
        a, b = (torch.randn(n, n, device=device, dtype=torch.bfloat16) for _ in range(2))
        durations = []
        for _ in range(times):
            began = clock_of()[0]
            a @ b
            durations.append(clock_of()[0] - began)
        return min(durations)

    n = 128
    while n < (8192 if device == "cuda" else 2048) and product(n, 2) < seconds:
        n *= 2
    return 2 * n**3 / product(n, 10) / 1e9


def benchmark(
    variant: str = "biggan",
    width: int = 0,
    batch_size: int = 0,
    cycles: int = 1,
    turns: int = 5,
    accelerator: str = "cpu",
    precision: str = "auto",
    compile: bool = False,
    float32: bool = True,
) -> dict[str, Any]:
    """Check that both programs do the same, then let them take turns.

    Args:
        variant: one of `VARIANTS`.
        width: of the networks; 0 takes the variant's own.
        batch_size: likewise.
        cycles: in a turn.
        turns: counted ones.
        accelerator: `cpu` or `gpu`.
        precision: the zoo's.
        compile: the zoo's networks, where no gradient penalty passes through.
        float32: whether to compare in float32 as well.
    """
    if variant not in VARIANTS:
        raise UserError(f"variant is one of {', '.join(VARIANTS)}; got {variant!r}")
    what = VARIANTS[variant]
    width, batch_size = width or what.width, batch_size or what.batch_size
    precision, device = choose_precision({"accelerator": accelerator, "precision": precision}), device_of(accelerator)
    same = agreement(what, width, min(batch_size, 8), accelerator)
    if same["largest_difference_of_losses"] > 1e-4:
        raise RuntimeError(f"the two programs do not compute the same, so their speeds do not compare: {same}")
    if device == "cuda":
        allow_tf32()
    contiguous, last = torch.contiguous_format, torch.channels_last

    def at(precision: str, opponents: dict[str, Any]) -> dict[str, Any]:
        times = Turns(cycles, turns, {}, device)
        return measured(what, width, batch_size, precision, accelerator, opponents, times, compile)

    plain, equal = "plain, float32, contiguous", f"plain, {precision}, channels_last"
    result = {
        "protocol": (__doc__ or "").strip(),
        "settings": {
            "variant": variant,
            "model": what.model.__name__,
            **what.settings,
            "width": width,
            "batch_size": batch_size,
            "precision": precision,
            "cycles": cycles,
            "turns": turns,
            "compile": compile,
        },
        **machine(device),
        "same_updates_in_float32": same,
        "default_settings": at(precision, {plain: ("32-true", contiguous), equal: (precision, last)}),
    }
    if float32 and precision != "32-true":
        result["float32"] = at("32-true", {"plain, 32-true, channels_last": ("32-true", last)})
    rate, spent = matrix_rate(device), same["gigaflops_per_image_and_round"]["zoo"]
    result["gigaflops_per_second_of_a_bf16_matrix_product"] = round(rate, 1)
    result["share_of_that_rate"] = round(result["default_settings"]["images_per_second"] * spent / rate, 4)
    result["load_average_at_the_end"] = machine(device)["load_average"]
    return result


def allow_tf32() -> None:
    """Float32 products in TF32, which is what a plain loop would have switched on for speed."""
    torch.backends.cudnn.allow_tf32 = True
    torch.set_float32_matmul_precision("high")


def main(**words: Any) -> None:
    """Compare a variant with a plain PyTorch loop: variant=biggan width=0 batch_size=0 cycles=1 turns=5."""
    arguments = checked_arguments(benchmark, words)
    result = benchmark(**arguments)
    name = f"variants_{arguments['variant']}_{arguments['accelerator']}"
    if limit := os.environ.get("ONEDNN_MAX_CPU_ISA"):
        name += f"_{limit.lower()}"
    leave(result, name)


if __name__ == "__main__":
    run_command("benchmarks.variants", main)
