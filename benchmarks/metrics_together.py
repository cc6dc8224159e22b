"""Benchmark of metrics measured together: time against packages one after another, cost of adding metrics, memory.

    python benchmarks/metrics_together.py [n=10000 width=1024 turns=1 added_n=10000 large=50000 sources=FOLDER]

- *speed*: Fréchet, kernel distance, precision and recall, density and coverage, clipped density and coverage, MIND and
  Vendi of n real and n generated features, compared with the packages one after another: torch-fidelity (Fréchet by
  eigenvalues, kernel distance, precision and recall, MIND), `prdc`, the authors' clipped density and coverage, and
  `vendi_score.score_dual`, the faster of its two ways. MIND and the clipped ones are in no package on PyPI: FOLDER has
  `torch-fidelity` and `ClippedDensityCoverage` at the commits of `metric_parity.py`.
- *added*: `measure_numbers` of the Fréchet distance alone, and with prdc, clipped, mind, vendi and cmmd, with 10 random
  halves for intervals as `zoo.evaluate` has by default, beside the time for the features of as many generated images of
  64 px: of `effnet-lite0`, and of `inception` with random weights, measured on 100 images. Two ratios of each: with
  features of the real images from the cache, and without.
- *memory*: time and peak memory of a new process that computes the numbers of *speed* for `large` real and `large`
  generated features, beyond the memory of the features (Linux).

Features are those of `metrics.py`. Times are CPU times, with one thread, because other work on a shared machine changes
wall times; `turns` alternates both sides. A size of 0 skips its part and keeps its earlier results.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from metric_parity import Peers
from metrics import features, memory_of_this_process
from torch import Tensor

from zoo import metrics
from zoo.config.command_line import checked_arguments, run_command
from zoo.evaluation import ReferenceSet, measure_numbers
from zoo.features import Extractor, Features, extractor, features_of

RESULTS = Path(__file__).parent / "results" / "metrics_together.json"
FIVE = ["prdc", "clipped", "mind", "vendi", "cmmd"]
Numbers = dict[str, float]


def ours(real: Tensor, fake: Tensor) -> Numbers:
    """Compute all numbers: those of distances from one pass."""
    together = metrics.Together(
        [metrics.PrecisionRecall(), metrics.DensityCoverage(), metrics.ClippedDensityCoverage()]
    )
    found: Numbers = {}
    for metric in (metrics.FID(real.shape[1]), metrics.KID(), metrics.MIND(), metrics.Vendi(), together):
        for side, is_real in ((real, True), (fake, False)):
            for part in torch.split(side, 1000):
                metric.update(part, real=is_real)
        found |= {name: float(value) for name, value in metric.compute().items()}
        metric.reset()
    return found


def theirs(peers: Peers) -> dict[str, Callable[[Tensor, Tensor], Numbers]]:
    """Return the packages by name, each a function from features to numbers."""
    import prdc
    from torch_fidelity import metric_fid, metric_kid, metric_prc
    from vendi_score import vendi

    clipped = peers.module("ClippedDensityCoverage", "ClippedDensityCoverage.metrics.Clipped_Density_Coverage")

    def fid(real: Tensor, fake: Tensor) -> Numbers:
        statistics = [metric_fid.fid_features_to_statistics(side) for side in (fake, real)]
        return {"fid": metric_fid.fid_statistics_to_metric(*statistics, False)["frechet_inception_distance"]}

    def kid(real: Tensor, fake: Tensor) -> Numbers:
        found = metric_kid.kid_features_to_metric(fake.double(), real.double(), kid_subset_size=1000, verbose=False)
        return {"kid": found["kernel_inception_distance_mean"]}

    def prc(real: Tensor, fake: Tensor) -> Numbers:
        return dict(zip(("precision", "recall"), metric_prc.calculate_precision_recall_full(fake, real, 3)))

    def density(real: Tensor, fake: Tensor) -> Numbers:
        found = prdc.compute_prdc(real.numpy(), fake.numpy(), 5)
        return {name: float(found[name]) for name in ("density", "coverage")}

    def clipped_ones(real: Tensor, fake: Tensor) -> Numbers:
        both = clipped.ClippedDensityCoverage(real.numpy(), n_jobs=1)
        density, coverage = both.ClippedDensity(fake.numpy()), both.ClippedCoverage(fake.numpy())
        return {"clipped_density": float(density), "clipped_coverage": float(coverage)}

    def vendi_dual(real: Tensor, fake: Tensor) -> Numbers:
        return {
            "vendi": float(vendi.score_dual(fake.double().numpy())),
            "vendi_real": float(vendi.score_dual(real.double().numpy())),
        }

    return {
        "torch-fidelity 0.4.0, FID": fid,
        "torch-fidelity 0.4.0, KID": kid,
        "torch-fidelity 0.4.0, PRC": prc,
        "prdc 0.2": density,
        "ClippedDensityCoverage": clipped_ones,
        "vendi-score 0.0.3": vendi_dual,
        "torch-fidelity 5e211a9, MIND": _mind(peers),
    }


def _mind(peers: Peers) -> Callable[[Tensor, Tensor], Numbers]:
    module = peers.module("torch-fidelity", "torch_fidelity.metric_mind")
    settings = {"mind_num_projections": 1000, "rng_seed": 2020, "cuda": False, "verbose": False}
    return lambda real, fake: {
        "mind": module.mind_features_to_metric(fake, real, **settings)["monge_inception_distance"]
    }


def timed(run: Callable[[], Any]) -> tuple[float, Any]:
    """Return the CPU seconds of a function, with its result."""
    began = time.process_time()
    result = run()
    return time.process_time() - began, result


def speed(n: int, width: int, turns: int, sources: str) -> dict[str, Any]:
    """Compare all numbers together with the packages one after another."""
    real, fake = features(n, width, 1), features(n, width, 2, shift=0.1)
    fake += 0.1 * torch.randn(fake.shape, generator=torch.Generator().manual_seed(4))
    packages = theirs(Peers(Path(sources)))
    ours(real[:1200], fake[:1200])  # warm-up
    seconds: dict[str, list[float]] = {name: [] for name in ("zoo", *packages)}
    numbers: Numbers = {}
    for _ in range(turns):
        spent, mine = timed(lambda: ours(real, fake))
        seconds["zoo"].append(spent)
        for name, package in packages.items():
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                spent, found = timed(lambda package=package: package(real, fake))  # type: ignore[misc]
            seconds[name].append(spent)
            numbers |= found
            print(f"{name}: {spent:.1f} s", flush=True)
    means = {name: float(np.mean(times)) for name, times in seconds.items()}
    others = sum(value for name, value in means.items() if name != "zoo")
    return {
        "n": n,
        "width": width,
        "turns": turns,
        "cpu_seconds": {name: round(value, 1) for name, value in means.items()},
        "packages_one_after_another": round(others, 1),
        "speed_of_the_zoo_relative_to_packages": round(others / means["zoo"], 2),
        "peak_mib_of_this_process": round(memory_of_this_process("VmHWM")),
        "numbers": {name: [mine[name], value] for name, value in numbers.items()},
    }


def random_inception() -> Extractor:
    """Build torchvision's Inception with random weights, which takes as long as with any others."""
    from torchvision.models import inception_v3

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "random.pth"
        torch.save(inception_v3(weights=None, init_weights=False).state_dict(), path)
        return extractor("inception-torchvision", weights=str(path))


def added(n: int) -> dict[str, Any]:
    """Measure what five metrics cost beside the Fréchet distance, for two extractors."""
    return {
        "n": n,
        "effnet-lite0": _added(n, extractor("effnet-lite0"), n),
        "inception-torchvision, random weights": _added(n, random_inception(), min(n, 100)),
    }


def _added(n: int, network: Extractor, measured_images: int) -> dict[str, Any]:
    """Measure what five metrics cost beside the Fréchet distance; features are timed on some of the n images."""
    images = torch.rand(measured_images, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    of_some, _ = timed(lambda: features_of(network, images))
    of_images = of_some * n / measured_images
    width = network.width
    fake = Features(features(n, width, 2, shift=0.1))
    split: Any = SimpleNamespace(pool=None)
    reals = ReferenceSet("train", split, np.arange(n), Features(features(n, width, 1)), Features(features(n, width, 3)))
    seconds = {
        "+".join(["fid", *names]): timed(
            lambda names=names: measure_numbers(["fid", *names], network, replace(reals), fake, {}, repeats=10)  # type: ignore[misc]
        )[0]
        for names in ([], FIVE)
    }
    alone, together = seconds.values()
    return {
        "width": width,
        "cpu_seconds": {"features of n generated images": round(of_images, 1)}
        | {name: round(value, 1) for name, value in seconds.items()},
        "ratio_with_cached_real_features": round((of_images + together) / (of_images + alone), 3),
        "ratio_without_cache": round((3 * of_images + together) / (3 * of_images + alone), 3),
    }


def measure_memory(n: int, width: int) -> dict[str, Any]:
    """Measure the peak of memory beyond the features; must run in a new process."""
    ours(features(1200, width, 3), features(1200, width, 4))  # warm-up
    real, fake = features(n, width, 1), features(n, width, 2, shift=0.1)
    before, began = memory_of_this_process("VmRSS"), (time.process_time(), time.perf_counter())
    values = ours(real, fake)
    return {
        "n": n,
        "width": width,
        "cpu_seconds": round(time.process_time() - began[0], 1),
        "wall_seconds": round(time.perf_counter() - began[1], 1),
        "mib_of_features": round(2 * real.nbytes / 2**20),
        "mib_at_the_peak_beyond_features": round(memory_of_this_process("VmHWM") - before),
        "numbers": values,
    }


def in_a_fresh_process(n: int, width: int) -> dict[str, Any]:
    """Run `measure_memory` in a new process, where nothing else has been in memory."""
    code = f"import json; from metrics_together import measure_memory; print(json.dumps(measure_memory({n}, {width})))"
    here = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": f"{here.parent}{os.pathsep}{here}"}
    fresh = subprocess.run(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env=environment,
    )
    result: dict[str, Any] = json.loads(fresh.stdout)
    return result


def benchmark(
    n: int = 10_000, width: int = 1024, turns: int = 1, added_n: int = 10_000, large: int = 50_000, sources: str = ""
) -> dict[str, Any]:
    """Run each part whose size is not 0; results are written after each part.

    Args:
        n: number of features of each side in *speed*.
        width: number of features of a sample in *speed* and *memory*.
        turns: number of turns.
        added_n: number of images in *added*.
        large: number of features of each side in *memory*.
        sources: folder of repositories, for *speed*.
    """
    parts = {
        "added": (added_n, lambda: added(added_n)),
        "speed": (n, lambda: speed(n, width, turns, sources)),
        "memory": (large, lambda: in_a_fresh_process(large, width)),
    }
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    results["protocol"] = (__doc__ or "").strip()
    for name, (size, measure) in parts.items():
        if not size:
            continue
        load = [round(value, 2) for value in os.getloadavg()]
        results[name] = {
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads",
            "load_average": load,
            "torch": torch.__version__,
        } | measure()
        print(json.dumps({name: results[name]}, indent=2), flush=True)
        RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    return results


def main(**arguments: Any) -> None:
    """Measure metrics together: n=10000 width=1024 turns=1 added_n=10000 large=50000 sources=FOLDER (0 skips)."""
    benchmark(**checked_arguments(benchmark, arguments))


if __name__ == "__main__":
    run_command("benchmarks.metrics_together", main)
