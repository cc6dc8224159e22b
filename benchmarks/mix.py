"""Cost of a mixture against its base, and of several ways to evaluate its members.

    python benchmarks/mix.py [components=5 resolution=32 width=64 batch_size=64 rounds=3 turns=3 accelerator=cpu]

*Rounds*: one move of the discriminators and one of the generators of DCGAN, under Lightning. Cases take turns, each
turn in a process of its own after two rounds of warm-up; a ratio is the median over turns, so that other load on the
machine affects all cases alike. Cases: `one member`, which is the base; `shared` and `full`, see `zoo.MixGAN`; and
`plain`, the double loop over pairs as in the authors' graph: the payoff of `full`, with the real batch scored k times
by each discriminator and a pass for every pair. On a CPU, time is the processor time of the process, to which other
processes do not contribute (though they slow the caches down), and memory is the peak of the process less its memory
before the model was built; on a GPU, time is wall-clock time after synchronisation, and memory is torch's peak.

*Members*: all k discriminators on one batch, forward and backward into their weights: a loop, `torch.func.vmap` over
`stack_module_state` (with and without the time for stacking), and for DCGAN the grouped convolutions that `vmap`
produces, written out. Networks: DCGAN's, and the multilayer perceptron of the point sets.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, Trainer
from torch import Tensor, nn
from torch.nn.functional import conv2d, leaky_relu, softplus

import zoo
from zoo.config.command_line import checked_arguments, run_command
from zoo.models.mix.payoff import LossOf, weighted
from zoo.training.objectives import Terms

RESULTS = Path(__file__).parent / "results"
CASES = ("one member", "shared", "full", "plain")


class PlainPairs(zoo.MixGAN):
    """A mixture that computes its payoff with a separate pass for every pair."""

    def _pair_terms(self, loss_of: LossOf, real: zoo.Batch, fake: zoo.Batch) -> list[list[Terms]]:
        """Return the terms of every pair, by generator and discriminator."""
        fakes = fake.chunk(len(self.generator))
        return [[loss_of(pair)(real, part) for pair in row] for row, part in zip(self.pairs, fakes)]

    def _discriminator_terms(self, loss_of: LossOf, real: zoo.Batch, fake: zoo.Batch) -> Terms:
        columns = zip(*self._pair_terms(loss_of, real, fake))
        terms = [weighted(list(column), self.generator_weights) for column in columns]
        return {**weighted(terms, self.discriminator.probabilities()), **self._regularisation(self.discriminator)}

    def _generator_terms(self, loss_of: LossOf, real: zoo.Batch, fake: zoo.Batch) -> Terms:
        rows = [weighted(row, self.discriminator_weights) for row in self._pair_terms(loss_of, real, fake)]
        return {**weighted(rows, self.generator.probabilities()), **self._regularisation(self.generator)}


class Loader:
    """A loader that yields the same batch without end."""

    def __init__(self, batch: Tensor) -> None:
        self.batch = batch

    def __iter__(self) -> Any:
        while True:
            yield self.batch


class Clock(Callback):
    """Callback that measures the time of each round, in seconds."""

    def __init__(self, accelerator: str) -> None:
        self.gpu, self.rounds, self.began = accelerator != "cpu", [], 0.0

    def _now(self) -> float:
        if self.gpu:
            torch.cuda.synchronize()
            return time.perf_counter()
        return time.process_time()

    def on_train_batch_start(self, *_: Any) -> None:
        """Note the time at which a round begins."""
        self.began = self._now()

    def on_train_batch_end(self, *_: Any) -> None:
        """Record the time that a round took."""
        self.rounds.append(self._now() - self.began)


def one_case(case: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Measure seconds of each round and peak megabytes; to be called in a fresh process."""
    warnings.filterwarnings("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    base = {"class": "DCGAN", "resolution": settings["resolution"], "width": settings["width"]}
    gpu = settings["accelerator"] != "cpu"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    torch.manual_seed(0)
    if case == "one member":
        model: zoo.GAN = zoo.DCGAN(resolution=settings["resolution"], width=settings["width"])
    else:
        payoff: Any = "shared" if case == "shared" else "full"
        model = (PlainPairs if case == "plain" else zoo.MixGAN)(base, settings["components"], payoff=payoff)
    size = settings["resolution"]
    batch = (torch.rand(settings["batch_size"], 3, size, size) * 2 - 1).to(memory_format=torch.channels_last)
    clock = Clock(settings["accelerator"])
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            accelerator=settings["accelerator"],
            devices=1,
            precision=settings["precision"],
            max_epochs=1,
            limit_train_batches=settings["rounds"] + 2,
            logger=False,
            enable_checkpointing=False,
            callbacks=[clock],
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=folder,
        )
        trainer.fit(model, Loader(batch))
    peak = torch.cuda.max_memory_allocated() / 2**20 if gpu else 0.0
    held = peak if gpu else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before
    return {"seconds": clock.rounds[2:], "megabytes": round(held, 1)}


def in_a_process(case: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Run `one_case` in a process of its own."""
    command = [sys.executable, __file__, "--case", case, json.dumps(settings)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def grouped_discriminators(members: list[nn.Module], images: Tensor) -> Tensor:
    """Compute the logits (k, B) of DCGAN's discriminators by grouped convolutions on concatenated channels."""
    k = len(members)
    x = images.repeat(1, k, 1, 1)
    bodies = [list(member.body) for member in members]
    for layers in zip(*bodies):
        if isinstance(layers[0], nn.Conv2d):
            weight = torch.cat([layer.weight for layer in layers])
            x = conv2d(x, weight, None, layers[0].stride, layers[0].padding, groups=k)
        elif isinstance(layers[0], nn.BatchNorm2d):
            gain, bias = (torch.cat([getattr(layer, name) for layer in layers]) for name in ("weight", "bias"))
            x = nn.functional.batch_norm(x, None, None, gain, bias, True, 0.1, 1e-5)
        else:
            x = leaky_relu(x, 0.2)
    weight = torch.cat([member.readout.weight for member in members])
    return conv2d(x, weight, groups=k).flatten(1).T


def ways(members: list[nn.Module], images: Tensor) -> dict[str, Callable[[], Tensor]]:
    """Return functions that compute the same logits (k, B), by name."""
    plan = members[0]
    for module in (m for member in members for m in member.modules() if isinstance(m, nn.BatchNorm2d)):
        module.track_running_stats, module.running_mean, module.running_var = False, None, None
        module.num_batches_tracked = None
    call = torch.func.vmap(lambda p, b: torch.func.functional_call(plan, (p, b), (images,)), randomness="different")
    kept = torch.func.stack_module_state(members)

    def stacked() -> Tensor:
        parameters = {
            name: torch.stack([dict(m.named_parameters())[name] for m in members])
            for name, _ in plan.named_parameters()
        }
        logits: Tensor = call(parameters, {})
        return logits

    functions: dict[str, Callable[[], Tensor]] = {
        "loop": lambda: torch.stack([member(images) for member in members]),
        "vmap": stacked,
        "vmap, parameters kept stacked": lambda: call(*kept),
    }
    if any(isinstance(m, nn.Conv2d) for m in plan.modules()):
        functions["grouped"] = lambda: grouped_discriminators(members, images)
    return functions


def members_together(settings: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Measure milliseconds of forward and backward, by network and function; first compare the logits of all."""
    device = torch.device("cpu" if settings["accelerator"] == "cpu" else "cuda")
    torch.manual_seed(0)
    size, k, n = settings["resolution"], settings["components"], settings["batch_size"]
    nets = {
        "DCGAN": (
            [zoo.DCGAN(resolution=size, width=settings["width"]).discriminator for _ in range(k)],
            torch.rand(2 * n, 3, size, size).to(memory_format=torch.channels_last),
        ),
        "perceptron": (
            [
                zoo.VanillaGAN(1, 2, 2, discriminator_layers=3, discriminator_width=200, dropout=0.0).discriminator
                for _ in range(k)
            ],
            torch.rand(2 * n, 2, 1, 1),
        ),
    }
    results: dict[str, dict[str, float]] = {}
    for name, (members, images) in nets.items():
        members, images = [m.to(device) for m in members], images.to(device)
        options = ways(members, images)
        expected = options["loop"]()
        times: dict[str, list[float]] = {way: [] for way in options}
        for call in options.values():
            torch.testing.assert_close(call(), expected, atol=1e-3, rtol=1e-3)
        clock = Clock(settings["accelerator"])
        for turn in range(settings["rounds"] + 1):
            for way, call in options.items():
                began = clock._now()
                softplus(call()).mean().backward()
                if turn:
                    times[way].append(1e3 * (clock._now() - began))
        results[name] = {way: round(statistics.median(values), 2) for way, values in times.items()}
    return results


def benchmark(
    components: int = 5,
    resolution: int = 32,
    width: int = 64,
    batch_size: int = 64,
    rounds: int = 3,
    turns: int = 3,
    accelerator: str = "cpu",
    precision: str = "32-true",
    save: bool = True,
) -> dict[str, Any]:
    """Run all cases; print and save the results."""
    settings = {
        "components": components,
        "resolution": resolution,
        "width": width,
        "batch_size": batch_size,
        "rounds": rounds,
        "turns": turns,
        "accelerator": accelerator,
        "precision": precision,
    }
    results = [{case: in_a_process(case, settings) for case in CASES} for _ in range(turns)]
    of_turns = [{case: statistics.median(turn[case]["seconds"]) for case in CASES} for turn in results]
    medians = {case: statistics.median(turn[case] for turn in of_turns) for case in CASES}
    ratios = {case: statistics.median(turn[case] / turn["one member"] for turn in of_turns) for case in CASES}
    print(f"{'case':<12}{'ms/round':>10}{'of one':>9}{'MB':>9}")
    for case in CASES:
        print(
            f"{case:<12}{1e3 * medians[case]:>10.1f}{ratios[case]:>9.2f}"
            f"{max(turn[case]['megabytes'] for turn in results):>9.0f}"
        )
    speedup = statistics.median(turn["plain"] / turn["full"] for turn in of_turns)
    print(f"full against plain: {speedup:.2f} times as fast")
    together = members_together(settings)
    for name, ways_ in together.items():
        print(f"{components} discriminators of {name}, ms:", ", ".join(f"{way} {ms}" for way, ms in ways_.items()))
    result = {
        "settings": settings,
        "cases": results,
        "milliseconds": {case: 1e3 * s for case, s in medians.items()},
        "shared_of_one": ratios["shared"],
        "full_against_plain": speedup,
        "members": together,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores"
        if accelerator == "cpu"
        else torch.cuda.get_device_name(),
    }
    if save:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"mix_{accelerator}.json").write_text(json.dumps(result, indent=1) + "\n")
    return result


def main(**arguments: Any) -> None:
    """Measure what a mixture costs."""
    benchmark(**checked_arguments(benchmark, arguments))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--case"]:
        print(json.dumps(one_case(sys.argv[2], json.loads(sys.argv[3]))))
    else:
        run_command("mix", main)
