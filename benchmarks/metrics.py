"""Benchmark of metrics: time compared with the `prdc` package and scipy's `sqrtm`, in turns in one run, and memory.

    python benchmarks/metrics.py [n=10000 width=1280 turns=3 matrix_width=2048 large=50000]

- *neighbours*: precision, recall, density and coverage (k = 5) of n real and n generated features, compared with
  `prdc.compute_prdc`; the largest difference between the four numbers is reported. With one thread (OMP_NUM_THREADS=1,
  one core) both use the same resources; `prdc` always starts 8 jobs.
- *matrix*: the Fréchet distance from two means and covariances of `matrix_width` dimensions, compared with the textbook
  formula with `scipy.linalg.sqrtm`, both in float64.
- *memory*: the peak memory of a new process that computes the four numbers for `large` real and `large` generated
  features, minus its memory after creating the features (Linux).

Features are Gaussian points in 64 dimensions, mapped by a random ReLU layer: correlated, non-negative and of far lower
intrinsic dimension than their width, like pooled features. The ratio of a turn is the CPU time of the other package
divided by the zoo's, because other work on a shared machine changes wall times; the median over turns is reported. A
size of 0 skips its part and keeps its earlier results.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from zoo.config.command_line import checked_arguments, run_command
from zoo.metrics import Rule, density_and_coverage, frechet_distance, neighbour_statistics, precision_and_recall

RESULTS = Path(__file__).parent / "results"
K = 5


def features(n: int, width: int, seed: int, shift: float = 0.0) -> torch.Tensor:
    """Draw features (n, width) in float32, in parts, so that drawing them causes no peak of memory."""
    layer = torch.randn(64, width, generator=torch.Generator().manual_seed(0)) / 8
    generator = torch.Generator().manual_seed(seed)
    result = torch.empty(n, width)
    for part in torch.split(result, 1000):
        part.copy_(((torch.randn(len(part), 64, generator=generator) + shift) @ layer).relu_())
    return result


def ours(real: torch.Tensor, fake: torch.Tensor) -> dict[str, float]:
    """Compute precision, recall, density and coverage from one pass."""
    (statistics,) = neighbour_statistics(real, fake, [Rule(K, strict=True)])
    numbers = precision_and_recall(statistics) | density_and_coverage(statistics, K)
    return {name: float(value) for name, value in numbers.items()}


def theirs(real: torch.Tensor, fake: torch.Tensor) -> dict[str, float]:
    """Compute the same numbers with the `prdc` package."""
    from prdc import compute_prdc

    with contextlib.redirect_stdout(io.StringIO()):
        return {name: float(value) for name, value in compute_prdc(real.numpy(), fake.numpy(), K).items()}


def take_turns(turns: int, zoo: Callable[[], Any], opponent: Callable[[], Any]) -> dict[str, Any]:
    """Time two functions in turns.

    Args:
        turns: number of turns.
        zoo: function of this package.
        opponent: function of the other package.

    Returns:
        Results and times of both, and the CPU time of the opponent divided by the zoo's.
    """
    results = {}
    cpu: dict[str, list[float]] = {"zoo": [], "opponent": []}
    wall: dict[str, list[float]] = {"zoo": [], "opponent": []}
    for _ in range(turns):
        for name, run in (("zoo", zoo), ("opponent", opponent)):
            began = time.process_time(), time.perf_counter()
            results[name] = run()
            cpu[name].append(time.process_time() - began[0])
            wall[name].append(time.perf_counter() - began[1])
    ratios = [b / a for a, b in zip(cpu["zoo"], cpu["opponent"])]
    return {
        **results,
        "turns": turns,
        "cpu_seconds": {name: round(statistics.median(times), 2) for name, times in cpu.items()},
        "wall_seconds": {name: round(statistics.median(times), 2) for name, times in wall.items()},
        "speed_of_the_zoo_relative_to_opponent": round(statistics.median(ratios), 2),
        "range_over_turns": [round(min(ratios), 2), round(max(ratios), 2)],
    }


def neighbours(n: int, width: int, turns: int) -> dict[str, Any]:
    """Compare precision, recall, density and coverage with `prdc`."""
    real, fake = features(n, width, 1), features(n, width, 2, shift=0.1)
    ours(real[:100], fake[:100]), theirs(real[:100], fake[:100])  # warm-up
    result = take_turns(turns, lambda: ours(real, fake), lambda: theirs(real, fake))
    difference = max(abs(value - result["opponent"][name]) for name, value in result["zoo"].items())
    return {"n": n, "width": width, "largest_difference": difference, **result}


def matrix(width: int, turns: int) -> dict[str, Any]:
    """Compare the Fréchet distance with the textbook formula."""
    import scipy.linalg

    means, covariances = [], []
    for seed in (1, 2):
        # noise for a covariance of full rank, without which sqrtm fails: the features have 64 intrinsic dimensions
        sample = features(4 * width, width, seed, shift=0.1 * seed).double()
        sample += 0.1 * torch.randn(sample.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        means.append(sample.mean(0))
        covariances.append(sample.T.cov())
    numpy = [value.numpy() for value in (*means, *covariances)]

    def textbook() -> float:
        m1, m2, c1, c2 = numpy
        root = scipy.linalg.sqrtm(c1 @ c2)
        return float(((m1 - m2) ** 2).sum() + np.trace(c1) + np.trace(c2) - 2 * np.trace(root).real)

    def zoo() -> float:
        return float(frechet_distance(means[0], covariances[0], means[1], covariances[1]))

    result = take_turns(turns, zoo, textbook)
    difference = abs(result["zoo"] - result["opponent"]) / result["opponent"]
    return {"width": width, "relative_difference": difference, **result}


def memory_of_this_process(key: str) -> float:
    """Return the memory of this process in MiB, current (VmRSS) or peak (VmHWM); Linux only."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(key))
    return int(line.split()[1]) / 1024


def measure_memory(n: int, width: int) -> dict[str, Any]:
    """Measure the peak of memory beyond the features; must run in a new process."""
    ours(features(64, width, 3), features(64, width, 4))  # warm-up
    real, fake = features(n, width, 1), features(n, width, 2, shift=0.1)
    before, began = memory_of_this_process("VmRSS"), (time.process_time(), time.perf_counter())
    values = ours(real, fake)
    spent = time.process_time() - began[0], time.perf_counter() - began[1]
    return {
        "n": n,
        "width": width,
        "zoo": values,
        "cpu_seconds": round(spent[0], 1),
        "wall_seconds": round(spent[1], 1),
        "mib_of_features": round(2 * real.nbytes / 2**20),
        "mib_at_the_peak_beyond_features": round(memory_of_this_process("VmHWM") - before),
        "mib_of_three_distance_matrices_in_float32": round(3 * n * n * 4 / 2**20),
    }


def in_a_fresh_process(n: int, width: int) -> dict[str, Any]:
    """Run `measure_memory` in a new process, where nothing else has been in memory."""
    code = f"import json; from metrics import measure_memory; print(json.dumps(measure_memory({n}, {width})))"
    here = Path(__file__).parent
    fresh = subprocess.run(
        [sys.executable, "-c", code],
        cwd=here,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(here.parent)},
    )
    result: dict[str, Any] = json.loads(fresh.stdout)
    return result


def benchmark(
    n: int = 10_000, width: int = 1280, turns: int = 3, matrix_width: int = 2048, large: int = 50_000
) -> dict[str, dict[str, Any]]:
    """Run each part whose size is not 0; results are written after each part.

    Args:
        n: number of features of each side in *neighbours*.
        width: number of features of a sample.
        turns: number of turns.
        matrix_width: number of dimensions in *matrix*.
        large: number of features of each side in *memory*.
    """
    parts = {
        "memory": (large, lambda: in_a_fresh_process(large, width)),
        "matrix": (matrix_width, lambda: matrix(matrix_width, turns)),
        "neighbours": (n, lambda: neighbours(n, width, turns)),
    }
    path = RESULTS / "metrics.json"
    earlier = json.loads(path.read_text()) if path.exists() else {}
    results = {}
    for name, (size, measure) in parts.items():
        if not size:
            continue
        results[name] = {
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads",
            "load_average": [round(load, 2) for load in os.getloadavg()],
            "torch": torch.__version__,
        } | measure()
        print(json.dumps({name: results[name]}, indent=2), flush=True)
        RESULTS.mkdir(exist_ok=True)
        path.write_text(json.dumps(earlier | {"protocol": (__doc__ or "").strip()} | results, indent=2) + "\n")
    return results


def main(**arguments: Any) -> None:
    """Measure time and memory of metrics: n=10000 width=1280 turns=3 matrix_width=2048 large=50000 (0 skips a part)."""
    benchmark(**checked_arguments(benchmark, arguments))


if __name__ == "__main__":
    run_command("benchmarks.metrics", main)
