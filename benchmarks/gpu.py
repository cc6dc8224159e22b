"""Checks and measurements on a GPU, in the order of their value, in less than eight minutes.

    python benchmarks/gpu.py [parts=all device=cuda small=false again=false]

Each part is a process of its own with a limit of time, and its result is written to `results/gpu.json` as soon as it is
there; a second call makes the parts that are missing or that failed. `device=cpu small=true` goes through all parts
with tiny networks, to try the script without a GPU.

- `agreement`: one cycle of each variant at learning rates of 0 in float32, on the CPU and on the device, from the same
  weights and draws: the largest relative difference of losses, and the distance of all gradients.
- `resume`: a run of 20 rounds with deterministic algorithms, and one that is resumed after 10: the same bits or not.
- `precision`: images per second of each variant at 32 px in float32, in TF32 and in bf16-mixed, with the penalty in
  float32 and, in bf16-mixed, also with `penalty_precision=mixed`.
- `compile`: networks without a gradient penalty under `torch.compile`, by default and with CUDA graphs
  (`mode="reduce-overhead"`), bf16-mixed.
- `sizes`: images per second of DCGAN and BigGAN at 32, 64 and 128 px in bf16-mixed, and the share of the rate of a
  large bf16 matrix product, which is timed on the spot.
- `resident`: a run of `zoo.fit` on digits whose images are kept on the device, against the bare loop of its rounds.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from turns import RESULTS, Turns, batches_for, fit, machine, write
from variants import VARIANTS, FlopCounter, OneCycle, Variant, allow_tf32, matrix_rate

import zoo
from zoo.config.command_line import checked_arguments, run_command
from zoo.errors import UserError, did_you_mean
from zoo.io.checkpoints import read_checkpoint
from zoo.io.run_folder import checkpoints_in

LIMIT = 120.0
"""Seconds of a part, its imports included."""


def accelerator_of(device: str) -> str:
    """Return Lightning's name of a device."""
    return "gpu" if device == "cuda" else "cpu"


def width_of(variant: Variant, small: bool) -> int:
    """Return the width of a variant's networks."""
    return 8 if small else variant.width


def trained(variant: Variant, device: str, width: int, batch_size: int) -> tuple[dict[str, float], list[torch.Tensor]]:
    """Return the losses of one cycle at learning rates of 0 in float32, and all gradients, on the CPU."""
    model = variant.build(width, "cpu", generator_lr=0.0, discriminator_lr=0.0)
    batches = batches_for(model, model.critic_steps, batch_size)
    draws = torch.Generator().manual_seed(2)
    latents = iter([torch.randn(4 * batch_size, model.latent_dim, generator=draws) for _ in range(50)])
    model.sample_latent = lambda n: next(latents)[:n].to(model.device)  # the same on both devices
    if model.num_classes:
        model.sample_labels = lambda n: (torch.arange(n) % model.num_classes).to(model.device)
    if hasattr(model, "dequantise"):
        model.dequantise = False
    if variant.penalty:  # the points between real and generated images are drawn on the device
        torch.rand = lambda *size, **_: torch.full(size, 0.3, device=device)  # type: ignore[assignment]
    watch = OneCycle()
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        fit(model, [b if b[1] is not None else b[0] for b in batches], "32-true", accelerator_of(device), watch)
    gradients = [p.grad.detach().cpu().double() for p in model.parameters() if p.grad is not None]
    return {f"{i} {name}": value for i, row in enumerate(watch.losses) for name, value in row.items()}, gradients


def agreement(device: str, small: bool) -> dict[str, Any]:
    """Compare one cycle of each variant on the CPU and on the device."""
    found: dict[str, Any] = {}
    plain = torch.rand
    for name, variant in VARIANTS.items():
        size = width_of(variant, small=True), 4
        sides = []
        for side in ("cpu", device):
            try:
                sides.append(trained(variant, side, *size))
            finally:
                torch.rand = plain
        (losses, ours), (others, theirs) = sides
        a, b = (torch.cat([part.flatten() for part in parts]) for parts in (ours, theirs))
        found[name] = {
            "difference_of_losses": max(abs(losses[key] - others[key]) / max(1.0, abs(losses[key])) for key in losses),
            "distance_of_gradients": float((a - b).norm() / a.norm()),
        }
    worst = max(max(row.values()) for row in found.values())
    return {**found, "agree": worst < 1e-3}


def resume(device: str, small: bool) -> dict[str, Any]:
    """Compare the bits of a run with those of one that was resumed in the middle."""
    trainer = {"accelerator": accelerator_of(device), "deterministic": True, "precision": "32-true"}
    settings: dict[str, Any] = {
        "callbacks": {"SampleMetrics": None, "SampleGrid": None, "SaveEvery": {"every": 640}},
        "model": {"width": 8},
        "trainer": trainer,
    }
    with tempfile.TemporaryDirectory() as folder:
        zoo.fit("dcgan_digits", out=Path(folder) / "whole", images=1280, **settings)
        half = zoo.fit("dcgan_digits", out=Path(folder) / "half", images=1280, **settings).folder
        checkpoints_in(half)[0].unlink()
        zoo.fit(resume=half)
        states = [read_checkpoint(checkpoints_in(Path(folder) / name)[0])["state_dict"] for name in ("whole", "half")]
        same = all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    return {"same_bits": same}


def speed(model: Any, device: str, batch_size: int, precision: str, rounds: int = 20) -> float:
    """Return the images per second of a model's rounds: the median of three turns after one that warms up."""
    batches = batches_for(model, 4, batch_size)
    turns = Turns(rounds * model.critic_steps, 3, {}, device)
    fit(model, [b if b[1] is not None else b[0] for b in batches], precision, accelerator_of(device), turns)
    return round(1000 * batch_size / turns.report()["milliseconds_per_round"]["zoo"], 1)


def precision(device: str, small: bool) -> dict[str, Any]:
    """Measure each variant in three precisions."""
    found: dict[str, Any] = {}
    rounds = 1 if small else 20
    for name, variant in list(VARIANTS.items())[: 2 if small else None]:  # bf16 takes long where it is emulated
        width, batch_size = width_of(variant, small), 4 if small else variant.batch_size
        row = {}
        torch.backends.cudnn.allow_tf32 = False
        torch.set_float32_matmul_precision("highest")
        row["float32"] = speed(variant.build(width, device), device, batch_size, "32-true", rounds)
        allow_tf32()
        row["TF32"] = speed(variant.build(width, device), device, batch_size, "32-true", rounds)
        row["bf16-mixed"] = speed(variant.build(width, device), device, batch_size, "bf16-mixed", rounds)
        if variant.penalty:
            mixed = variant.build(width, device, penalty_precision="mixed")
            row["bf16-mixed, penalty too"] = speed(mixed, device, batch_size, "bf16-mixed", rounds)
        found[name] = row
    return {"images_per_second": found}


def compiled(device: str, small: bool) -> dict[str, Any]:
    """Measure compiled networks, where no gradient penalty passes through."""
    found: dict[str, Any] = {}
    for name in ("dcgan", "biggan"):
        variant = VARIANTS[name]
        width, batch_size = width_of(variant, small), 4 if small else variant.batch_size
        row = {"as it is": speed(variant.build(width, device), device, batch_size, "bf16-mixed", 1 if small else 20)}
        for how in ("default", "reduce-overhead"):
            model = variant.build(width, device)
            if not small:  # takes minutes on a CPU
                model.generator.compile(dynamic=False, mode=how)
                model.discriminator.compile(dynamic=False, mode=how)
            try:
                row[how] = speed(model, device, batch_size, "bf16-mixed", 1 if small else 20)
            except RuntimeError as error:
                row[how] = f"fails: {str(error).splitlines()[0][:200]}"
        found[name] = row
    return {"images_per_second": found}


def sizes(device: str, small: bool) -> dict[str, Any]:
    """Measure larger images, and the share of the device's matrix rate."""
    allow_tf32()
    rate, found = matrix_rate(device), {}
    for name, width in (("dcgan", 64), ("biggan", 64)):
        for resolution in (32,) if small else (32, 64, 128):
            settings = {**VARIANTS[name].settings, "attention": 0} if name == "biggan" else {}
            torch.manual_seed(0)
            make = VARIANTS[name].model
            model = make(resolution=resolution, width=8 if small else width, **settings).to(device)
            batch_size = 4 if small else 64
            with FlopCounter() as counter:
                one = OneCycle()
                batches = batches_for(model, model.critic_steps, batch_size)
                fit(model, [b if b[1] is not None else b[0] for b in batches], "32-true", accelerator_of(device), one)
            spent = counter.get_total_flops() / (model.critic_steps * batch_size)
            made = speed(model, device, batch_size, "bf16-mixed", 1 if small else 20)
            found[f"{name} {resolution}"] = {"images_per_second": made, "share": round(made * spent / rate / 1e9, 4)}
    return {"matrix_gigaflops_per_second": round(rate, 1), **found}


def resident(device: str, small: bool) -> dict[str, Any]:
    """Measure a whole run of `zoo.fit`, loading and logging included, against the loop alone."""
    images = 1280 if small else 64_000
    precise = "32-true" if device == "cpu" else "bf16-mixed"
    settings: dict[str, Any] = {"callbacks": {"SampleMetrics": None, "SampleGrid": None, "Alarms": None}}
    with tempfile.TemporaryDirectory() as folder:
        trainer = {"accelerator": accelerator_of(device), "precision": precise}
        run = zoo.fit("dcgan_digits", out=Path(folder) / "run", images=images, trainer=trainer, **settings)
    whole = round(images / run.seconds, 1)
    model = type(run.model)(**run.model.hparams).to(device)
    batch_size = run.recipe.data.arguments["batch_size"]
    return {"fit": whole, "loop": speed(model, device, batch_size, precise, 1 if small else 100)}


PARTS: dict[str, Callable[[str, bool], dict[str, Any]]] = {
    "agreement": agreement,
    "resume": resume,
    "precision": precision,
    "compile": compiled,
    "sizes": sizes,
    "resident": resident,
}


def measured(name: str, device: str, small: bool) -> dict[str, Any]:
    """Make one part in a process of its own, and return its result or why there is none."""
    began = time.monotonic()
    words = [sys.executable, __file__, f"parts={name}", f"device={device}", f"small={small}", "here=true"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=LIMIT)
    except subprocess.TimeoutExpired:
        return {"failed": f"not done after {LIMIT:.0f} s"}
    if done.returncode:
        return {"failed": done.stderr.strip().splitlines()[-1][:500] if done.stderr else f"exit {done.returncode}"}
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return {**found, "seconds": round(time.monotonic() - began, 1)}


def benchmark(
    parts: str = "all", device: str = "cuda", small: bool = False, again: bool = False, here: bool = False
) -> None:
    """Make all parts that are missing.

    Args:
        parts: `all`, or names joined by commas.
        device: `cuda`, or `cpu` to try the script.
        small: whether to use tiny networks and few rounds.
        again: whether to make parts that are there.
        here: whether to make one part in this process, and to print its result as the last line.
    """
    names = list(PARTS) if parts == "all" else parts.split(",")
    for name in names:
        if name not in PARTS:
            raise UserError(f"parts: all, or some of {', '.join(PARTS)}; got {name!r}.{did_you_mean(name, PARTS)}")
    if device not in ("cuda", "cpu"):
        raise UserError(f"device: cuda, or cpu to try the script; got {device!r}")
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("device: torch sees no GPU. device=cpu small=true tries the script without one")
    if here:
        print(json.dumps(PARTS[names[0]](device, small)), flush=True)
        return
    title = "gpu" if device == "cuda" else "gpu_tried_on_cpu"
    path = RESULTS / f"{title}.json"
    result: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    for name in names:
        if again or "failed" in result.get(name, {"failed": ""}):
            result[name] = measured(name, device, small)
            print(name, json.dumps(result[name], indent=2), flush=True)
            write({"protocol": (__doc__ or "").strip(), **machine(device), "small": small, **result}, title)


def main(**words: Any) -> None:
    """Check and measure on a GPU: parts=all device=cuda small=false again=false."""
    benchmark(**checked_arguments(benchmark, words))


if __name__ == "__main__":
    run_command("benchmarks.gpu", main)
