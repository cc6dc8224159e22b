"""Images a second on their way to the model: JPEG shards and the decoded cache against torchvision's ImageFolder.

    taskset -c 1 python benchmarks/streaming.py images=4000 turns=7 workers=1

The same 64-pixel JPEG files (about 2.3 kB each), written once as shards of WebDataset and once as a folder of classes.
Every program delivers each image once, shuffled, in batches of 64, as float32 in [-1, 1] in the training process:

- `streamed`: `data.class=WebDataset data.stream=true`, decoded by `workers` processes; the bytes become floats in the
  training process, as in a run on a CPU.
- `decoded cache`: the same with `data.stream=false`, decoded before the clock starts, read by the training process.
- `ImageFolder`: torchvision's, with `ToTensor` and `Normalize`, in torch's `DataLoader` with as many workers.
- `ImageFolder, any size`: the same with `Resize` and `CenterCrop` first, which images of other sizes need and the two
  programs of this library do too.

They take turns; the first turn warms up and is not counted. Times are those of the clock, which other work on the
machine disturbs, and of the processor over the training process and its workers, starting them included. That both
programs of this library deliver the pixels that Pillow decodes is checked first.
"""

from __future__ import annotations

import io
import os
import statistics
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader
from torchvision import datasets, transforms
from turns import leave, machine

from zoo.config.command_line import checked_arguments, run_command
from zoo.data import WebDataset
from zoo.data.loader import Loader
from zoo.data.pool import to_float

SIZE, BATCH, SHARD = 64, 64, 1000


def pictures(count: int) -> Iterator[bytes]:
    """Yield JPEG files of random pictures with large shapes and some noise."""
    rng = np.random.default_rng(0)
    for _ in range(count):
        shapes = rng.normal(0, 1, (8, 8, 3)).cumsum(0).cumsum(1)
        shapes = (shapes - shapes.min()) / np.ptp(shapes) * 255
        large = np.asarray(Image.fromarray(shapes.astype(np.uint8)).resize((SIZE, SIZE), Image.Resampling.BICUBIC))
        noisy = np.clip(large + rng.normal(0, 12, large.shape), 0, 255).astype(np.uint8)
        file = io.BytesIO()
        Image.fromarray(noisy).save(file, "JPEG", quality=90)
        yield file.getvalue()


def write(folder: Path, count: int) -> str:
    """Write the pictures as shards and as a folder of ten classes; return the pattern of the shards."""
    shards: list[tarfile.TarFile] = []
    for number, content in enumerate(pictures(count)):
        if number % SHARD == 0:
            shards.append(tarfile.open(folder / f"shard-{len(shards):03d}.tar", "w"))  # noqa: SIM115 - closed below
        for ending, data in (("jpg", content), ("cls", str(number % 10).encode())):
            entry = tarfile.TarInfo(f"{number:06d}.{ending}")
            entry.size = len(data)
            shards[-1].addfile(entry, io.BytesIO(data))
        path = folder / "folder" / str(number % 10) / f"{number:06d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    for shard in shards:
        shard.close()
    return f"{folder}/shard-{{000..{len(shards) - 1:03d}}}.tar"


def ours(urls: str, stream: bool, workers: int, images: int) -> Callable[[], int]:
    """Return a function that delivers all images once from shards, and returns their number."""
    data = WebDataset(urls=urls, resolution=SIZE, batch_size=BATCH, held_out=0, stream=stream)
    data.setup()

    def deliver() -> int:
        loader = Loader(data._stream, data.resolution_at, data.train, None, workers, images // BATCH)
        return sum(len(to_float(batch.images)) for batch in loader)

    return deliver


def theirs(folder: Path, workers: int, images: int, any_size: bool) -> Callable[[], int]:
    """Return a function that delivers all images once from a folder with torchvision, and returns their number."""
    first = [transforms.Resize(SIZE), transforms.CenterCrop(SIZE)] if any_size else []
    change = transforms.Compose([*first, transforms.ToTensor(), transforms.Normalize([0.5] * 3, [0.5] * 3)])
    source = datasets.ImageFolder(str(folder), change)

    def deliver() -> int:
        loader = DataLoader(source, BATCH, shuffle=True, num_workers=workers, drop_last=True)
        return sum(len(batch) for batch, _ in islice(loader, images // BATCH))

    return deliver


def check_pixels(urls: str) -> None:
    """Check that streamed images have the pixels that Pillow decodes."""
    data = WebDataset(urls=urls, resolution=SIZE, batch_size=BATCH, held_out=0, stream=True)
    data.setup()
    with tarfile.open(urls.replace("{", "").partition("..")[0] + ".tar") as tar:
        names = [name for name in tar.getnames() if name.endswith(".jpg")]
        for number, name in enumerate(names):
            file: Any = tar.extractfile(name)
            assert np.array_equal(np.asarray(Image.open(file)), data.train.pool.images[number]), name


def taken(deliver: Callable[[], int]) -> tuple[float, float, int]:
    """Return the seconds of the clock and of the processor that a delivery took, and the images it delivered."""
    before, began = os.times(), time.perf_counter()
    delivered = deliver()
    wall, after = time.perf_counter() - began, os.times()
    return wall, sum(after[:4]) - sum(before[:4]), delivered


def benchmark(images: int = 4000, turns: int = 7, workers: int = 1) -> dict[str, Any]:
    """Let the programs take turns.

    Args:
        images: number of pictures.
        turns: counted turns of each program.
        workers: processes that decode.
    """
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        os.environ["ZOO_CACHE"] = str(folder / "cache")
        urls = write(folder, images)
        check_pixels(urls)
        programs = {
            "streamed": ours(urls, True, workers, images),
            "decoded cache": ours(urls, False, 0, images),
            "ImageFolder": theirs(folder / "folder", workers, images, False),
            "ImageFolder, any size": theirs(folder / "folder", workers, images, True),
        }
        seconds: list[dict[str, tuple[float, float]]] = []
        for _ in range(turns + 1):
            row = {}
            for name, deliver in programs.items():
                wall, processor, delivered = taken(deliver)
                assert delivered == images // BATCH * BATCH, (name, delivered)
                row[name] = wall / delivered, processor / delivered
            seconds.append(row)
    counted = seconds[1:]
    result: dict[str, Any] = {
        "protocol": (__doc__ or "").strip(),
        "settings": {"images": images, "turns": turns, "workers": workers, "threads": torch.get_num_threads()},
        "microseconds_of_the_processor_per_image": {
            name: round(1e6 * statistics.median(row[name][1] for row in counted), 1) for name in programs
        },
        "images_per_second_of_the_clock": {
            name: round(1 / statistics.median(row[name][0] for row in counted)) for name in programs
        },
    }
    for own in ("streamed", "decoded cache"):
        for opponent in ("ImageFolder", "ImageFolder, any size"):
            for at, clock in enumerate(("clock", "processor")):
                ratios = [row[opponent][at] / row[own][at] for row in counted]
                result.setdefault(f"speed_by_{clock}", {})[f"{own} over {opponent}"] = {
                    "median": round(statistics.median(ratios), 2),
                    "range": [round(min(ratios), 2), round(max(ratios), 2)],
                }
    return result


def main(**words: Any) -> None:
    """Deliver images: images=4000 turns=7 workers=1."""
    torch.set_num_threads(1)
    leave({**benchmark(**checked_arguments(benchmark, words)), **machine("cpu")}, "streaming_cpu")


if __name__ == "__main__":
    run_command("benchmarks.streaming", main)
