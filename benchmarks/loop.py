"""What the loop costs: `zoo` under Lightning against two hand-written PyTorch loops, turn by turn in one run.

    python benchmarks/loop.py [resolution=32 width=64 batch_size=64 rounds=8 turns=12 accelerator=cpu]

- *same updates*: written by hand without Lightning, with the same networks, batch, precision, memory format, fused Adam
  and averaging, drawing the same latents. In float32 its weights are those of the zoo to the last bit, which is checked
  first.
- *as usually written*: float32, contiguous, default Adam; the generator's graph is kept in the discriminator's step and
  cut by `detach`, gradients of the discriminator are computed in the generator's step and thrown away, losses are read
  with `.item()` every round, no averaging.

In each turn every loop plays `rounds` rounds; the ratio of a turn is the opponent's time over the zoo's, and the median
over turns is reported, since other work on the machine then hits all of them alike.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn.functional import binary_cross_entropy_with_logits, softplus
from turns import Turns, device_of, fit, leave, machine

import zoo
from zoo.config.command_line import checked_arguments, run_command
from zoo.training.hardware import choose_precision
from zoo.training.seeding import derive_seed


def by_hand(model: zoo.DCGAN, batches: list[torch.Tensor], precision: str) -> Callable[[int], None]:
    """The zoo's updates without Lightning or the zoo's loop; returns a function that plays n rounds."""
    generator, discriminator, average = model.generator, model.discriminator, model.average
    device = next(generator.parameters()).device
    adam = [torch.optim.Adam(n.parameters(), 2e-4, (0.5, 0.999), fused=True) for n in (discriminator, generator)]
    state = {"round": 0}
    mixed = precision == "bf16-mixed"
    averaged = list(average.parameters()) + [b for b in average.buffers() if b.is_floating_point()]
    living = list(generator.parameters()) + [b for b in generator.buffers() if b.is_floating_point()]
    counters = [(a, b) for a, b in zip(average.buffers(), generator.buffers()) if not a.is_floating_point()]

    def play(rounds: int) -> None:
        generator.train(), discriminator.train()
        for _ in range(rounds):
            real = batches[state["round"] % len(batches)]
            seen = state["round"] * len(real)
            torch.manual_seed(derive_seed("round", 0, 0, seen))
            adam[0].zero_grad()
            with torch.autocast(device.type, torch.bfloat16, enabled=mixed):
                with torch.no_grad():
                    fake = generator(torch.randn(len(real), model.latent_dim, device=device))
                loss = softplus(-discriminator(real)).mean() + softplus(discriminator(fake)).mean()
            loss.backward()
            adam[0].step()
            adam[1].zero_grad()
            discriminator.requires_grad_(False)
            with torch.autocast(device.type, torch.bfloat16, enabled=mixed):
                fake = generator(torch.randn(len(real), model.latent_dim, device=device))
                loss = softplus(-discriminator(fake)).mean()
            loss.backward()
            adam[1].step()
            discriminator.requires_grad_(True)
            with torch.no_grad():
                halflife = min(10_000, 0.05 * (seen + len(real)))
                torch._foreach_lerp_(averaged, living, 1 - 0.5 ** (len(real) / halflife))
                for a, b in counters:
                    a.copy_(b)
            state["round"] += 1

    return play


def as_usually_written(model: zoo.DCGAN, batches: list[torch.Tensor]) -> Callable[[int], None]:
    """The loop of most GAN repositories; returns a function that plays n rounds."""
    generator = model.generator.to(memory_format=torch.contiguous_format)
    discriminator = model.discriminator.to(memory_format=torch.contiguous_format)
    device = next(generator.parameters()).device
    d_adam = torch.optim.Adam(discriminator.parameters(), 2e-4, (0.5, 0.999))
    g_adam = torch.optim.Adam(generator.parameters(), 2e-4, (0.5, 0.999))
    batches = [batch.contiguous() for batch in batches]
    state = {"round": 0}

    def play(rounds: int) -> None:
        generator.train(), discriminator.train()
        for _ in range(rounds):
            real = batches[state["round"] % len(batches)]
            ones, zeros = torch.ones(len(real), device=device), torch.zeros(len(real), device=device)
            discriminator.zero_grad()
            d_real = binary_cross_entropy_with_logits(discriminator(real), ones)
            fake = generator(torch.randn(len(real), model.latent_dim, device=device))
            d_fake = binary_cross_entropy_with_logits(discriminator(fake.detach()), zeros)
            (d_real + d_fake).backward()
            d_adam.step()
            generator.zero_grad()
            fake = generator(torch.randn(len(real), model.latent_dim, device=device))
            g_loss = binary_cross_entropy_with_logits(discriminator(fake), ones)
            g_loss.backward()
            g_adam.step()
            state["losses"] = (d_real.item(), d_fake.item(), g_loss.item())  # type: ignore[assignment]
            state["round"] += 1

    return play


def identical_in_float32(build: Callable[[], zoo.DCGAN], batches: list[torch.Tensor], accelerator: str) -> bool:
    """Whether the loop written by hand does exactly the zoo's updates: two rounds of both, compared bit by bit."""
    ours, same = build(), build()
    play = by_hand(same, batches, "32-true")
    fit(ours, batches, "32-true", accelerator, Turns(1, 0, {"same updates": play}, "cpu"))
    return all(torch.equal(a, b) for a, b in zip(ours.state_dict().values(), same.state_dict().values()))


def benchmark(
    resolution: int = 32,
    width: int = 64,
    batch_size: int = 64,
    rounds: int = 8,
    turns: int = 12,
    accelerator: str = "cpu",
    precision: str = "auto",
) -> dict[str, Any]:
    """Play all loops in turn and return times and ratios."""
    precision = choose_precision({"accelerator": accelerator, "precision": precision})
    device = device_of(accelerator)

    def build() -> zoo.DCGAN:
        torch.manual_seed(0)
        return zoo.DCGAN(resolution, width=width, average_halflife=10_000).to(device)

    generator = torch.Generator().manual_seed(1)
    shape = (batch_size, 3, resolution, resolution)
    batches = [
        (torch.rand(shape, generator=generator) * 2 - 1).to(device, memory_format=torch.channels_last)
        for _ in range(16)
    ]
    exact = identical_in_float32(build, batches, accelerator)
    ours, same, usual = build(), build(), build()
    opponents = {
        "same updates": by_hand(same, batches, precision),
        "as usually written": as_usually_written(usual, batches),
    }
    timer = Turns(rounds, turns, opponents, device)
    fit(ours, batches, precision, accelerator, timer)
    return {
        "protocol": (__doc__ or "").strip(),
        "settings": {
            "model": "DCGAN",
            "resolution": resolution,
            "width": width,
            "batch_size": batch_size,
            "precision": precision,
            "rounds": rounds,
            "turns": turns,
        },
        **machine(device),
        "same_updates_bit_identical_in_float32": exact,
        **timer.report(),
    }


def main(**words: Any) -> None:
    """Compare the loop with two hand-written ones: resolution=32 width=64 batch_size=64 rounds=8 turns=12."""
    arguments = checked_arguments(benchmark, words)
    result = benchmark(**arguments)
    leave(result, f"loop_{arguments['accelerator']}_{arguments['precision']}")


if __name__ == "__main__":
    run_command("benchmarks.loop", main)
