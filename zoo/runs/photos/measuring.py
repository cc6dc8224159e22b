"""Measurements for a plan: memory while a model is trained, the speed of metrics, sizes on disk."""

from __future__ import annotations

import resource
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from zoo.errors import FeatureError
from zoo.features import extractor
from zoo.gan import GAN

STATUS = Path("/proc/self/status")
TICK = 0.02
"""Seconds between two looks at the memory of the process."""
EXTRACTOR = "effnet-lite0"
TRIED = 32
"""Images by which the speed of the metrics is measured."""
ADAM = 2
"""Tensors that Adam keeps for each weight."""


@dataclass
class Peak:
    """The largest memory in a block.

    Args:
        bytes: of the process, without mapped files, or of the GPU.
        on_gpu: whether it is that of the GPU.
    """

    bytes: int = 0
    on_gpu: bool = False


@contextmanager
def peak_memory(on_gpu: bool) -> Iterator[Peak]:
    """Measure the largest memory while a block runs.

    Args:
        on_gpu: whether to measure that of the GPU instead of the process.

    Yields:
        The result, which is complete after the block.
    """
    peak = Peak(on_gpu=on_gpu)
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
        yield peak
        peak.bytes = torch.cuda.max_memory_reserved()
        return
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(TICK):
            peak.bytes = max(peak.bytes, resident_bytes())

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        ended.set()
        watcher.join()
        peak.bytes = max(peak.bytes, resident_bytes())


def resident_bytes() -> int:
    """Return the resident memory of this process without mapped files; elsewhere than on Linux its peak with them."""
    if STATUS.exists():
        lines = STATUS.read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest if sys.platform == "darwin" else largest * 1024


def total_memory(on_gpu: bool) -> int:
    """Return the memory of the GPU, or of the machine, in bytes."""
    if on_gpu:
        return int(torch.cuda.get_device_properties(0).total_memory)
    import os

    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def metric_seconds(model: GAN) -> float | None:
    """Measure the seconds for one sample's features with the extractor of the metrics; None if it is not installed."""
    try:
        network = extractor(EXTRACTOR).to(model.device)
    except FeatureError:
        return None
    images = model.sample(TRIED, seed=0, labels=model.sample_labels(TRIED)).cpu()
    network.features_and_logits(images.to(model.device))
    return (
        _seconds(lambda: network.features_and_logits(images.to(model.device))) / TRIED
        + _seconds(lambda: model.sample(TRIED, seed=1, labels=model.sample_labels(TRIED))) / TRIED
    )


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def checkpoint_bytes(model: GAN) -> int:
    """Return the size of a checkpoint: networks, average and the state of both optimizers."""
    tensors = sum(each.numel() * each.element_size() for each in model.state_dict().values())
    trained = sum(w.numel() * w.element_size() for w in model.parameters() if w.requires_grad)
    average = sum(
        weight.numel() * weight.element_size() for weight in model.average.parameters() if weight.requires_grad
    )
    return int(tensors) + ADAM * (trained - average)
