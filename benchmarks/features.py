"""Benchmark of extractors: images per second, and the effect of the optimisations.

    python benchmarks/features.py [extractor_name=effnet-lite0 n=512 resolution=64 turns=5 options.size=96]

Random images are passed to the extractor as in `zoo.evaluate`: in float32, with rounding to uint8 and resizing. For
`effnet-lite0` the opponent is timm's unmodified network (batch norms not folded, contiguous memory), on the same
images, in turns in one run. Medians over turns are reported.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zoo.config.command_line import checked_arguments, run_command
from zoo.features import Extractor, extractor, quantised
from zoo.features.base_extractor import resized
from zoo.features.effnet import _network

RESULTS = Path(__file__).parent / "results"


def as_it_comes(ours: Extractor, size: int) -> Callable[[Tensor], Any]:
    """Return a function that runs timm's unmodified network on images."""
    network = _network()

    @torch.no_grad()
    def run(images: Tensor) -> Tensor:
        pixels = (resized(quantised(images), size) - 127) / 128
        features: Tensor = network.forward_head(network.forward_features(pixels), pre_logits=True)
        return features

    return run


def benchmark(
    extractor_name: str = "effnet-lite0",
    n: int = 512,
    resolution: int = 64,
    turns: int = 5,
    options: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Measure images per second of the extractor and its opponent, median over turns."""
    ours = extractor(extractor_name, **(options or {}))
    opponents: dict[str, Callable[[Tensor], Any]] = {"zoo": ours}
    if extractor_name == "effnet-lite0":
        opponents["timm as it comes"] = as_it_comes(ours, int((options or {}).get("size", 96)))
    images = torch.rand(n, 3, resolution, resolution, generator=torch.Generator().manual_seed(0)) * 2 - 1
    seconds: dict[str, list[float]] = {name: [] for name in opponents}
    for turn in range(turns + 1):
        for name, run in opponents.items():
            began = time.perf_counter()
            for part in images.split(ours.batch_size):
                run(part)
            if turn:  # the first one warms up
                seconds[name].append(time.perf_counter() - began)
    return {
        "protocol": (__doc__ or "").strip(),
        "extractor": ours.name,
        "images": n,
        "resolution": resolution,
        "turns": turns,
        "threads": torch.get_num_threads(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "load_average": [round(x, 2) for x in os.getloadavg()],
        "torch": torch.__version__,
        "images_per_second": {name: round(n / statistics.median(taken), 1) for name, taken in seconds.items()},
        "range": {name: [round(n / f(taken), 1) for f in (max, min)] for name, taken in seconds.items()},
    }


def main(**arguments: Any) -> None:
    """Time an extractor: extractor_name=effnet-lite0 n=512 resolution=64 turns=5 options.size=96."""
    result = benchmark(**checked_arguments(benchmark, arguments))
    print(json.dumps({key: value for key, value in result.items() if key != "protocol"}, indent=2))
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"features_{result['extractor']}.json").write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    run_command("benchmarks.features", main)
