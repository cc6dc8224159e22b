"""Does a run on a Hugging Face set or on shards, killed with SIGKILL and resumed, end with the bits of an unbroken one?

    python studies/exact_resume_streams.py kills=3 seed=0

Protocol: `dcgan_digits` at width 8 for 3,392 images, a checkpoint every 192, on the 1,797 digits of scikit-learn
(1,618 of them to train on) in four forms: a set of `datasets` decoded once into the cache; Parquet files decoded as
they are read; tar shards of WebDataset decoded as they are read by one process, and by three. Every run is a process
of its own, forked from one that has imported the library and done nothing else. For each form one run is left alone.
`kills` others, which train at the same time, are killed with SIGKILL a random time after their first checkpoint and
resumed from their folder. The last of each form is resumed with another number of processes that read. Both networks,
the average, both optimizers' states and the clock of the last checkpoints are compared bit by bit. Every process
writes down which images it trained on, by the number that each carries in its pixels: the record of a killed and
resumed run is compared with that of the unbroken one, and the images of each complete epoch are counted.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from encoded_digits import numbers_of, write_parquet, write_saved, write_shards
from exact_resume import final_state, identical
from rows import RESULTS

from zoo.config.command_line import checked_arguments, run_command
from zoo.data import HuggingFace, WebDataset
from zoo.io.files import append_jsonl, read_jsonl
from zoo.io.run_folder import checkpoints_in
from zoo.runs.fitting import main as run_fit
from zoo.training.batch import Batch

COUNT = 1797
FORKS = multiprocessing.get_context("fork")
WORDS = (
    "recipe=dcgan_digits",
    "images=3392",
    "model.width=8",
    "model.num_classes=10",
    "callbacks.SampleGrid=null",
    "callbacks.SampleMetrics=null",
    "callbacks.SaveEvery.every=192",
    "callbacks.SaveEvery.keep=100",
    "trainer.accelerator=cpu",
    "trainer.threads=1",
)


class Recording:
    """A part of a data module that writes down which images each round trained on."""

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Write the clock and the numbers of the images."""
        pixels = np.rint((batch.images.float().numpy()[:, 0]) if batch.images.dtype == torch.uint8 else 0)
        row = {"images_seen": self._images_seen(), "numbers": numbers_of(pixels).tolist()}  # type: ignore[attr-defined]
        append_jsonl(Path(os.environ["RECORD"]), [row])
        return super().on_after_batch_transfer(batch, dataloader_idx)  # type: ignore[misc,no-any-return]


class RecordedSet(Recording, HuggingFace):
    """A Hugging Face set that records what is trained on."""


class RecordedShards(Recording, WebDataset):
    """Shards that record what is trained on."""


def write(folder: Path) -> None:
    """Write the digits in each form."""
    write_saved(folder / "saved", COUNT)
    write_parquet(folder / "parquet", COUNT, 600, 100)
    write_shards(folder / "shards", COUNT, 250)


def forms(folder: Path) -> dict[str, tuple[tuple[str, ...], str]]:
    """Return the settings of the data in each form, and those that change in the last resume."""
    kept, parquet, shards = folder / "saved", folder / "parquet", folder / "shards/digits-{000..007}.tar"
    hugging, tar = "data.class=exact_resume_streams.RecordedSet", "data.class=exact_resume_streams.RecordedShards"
    return {
        "HuggingFace, decoded once": ((hugging, f"data.name={kept}", "data.stream=false"), "data.num_workers=1"),
        "HuggingFace, streamed": (
            (hugging, f"data.name={parquet}", "data.stream=true", "data.window=512"),
            "data.num_workers=2",
        ),
        "WebDataset, 1 worker": (
            (tar, f"data.urls={shards}", "data.stream=true", "data.window=512", "data.num_workers=1"),
            "data.num_workers=2",
        ),
        "WebDataset, 3 workers": (
            (tar, f"data.urls={shards}", "data.stream=true", "data.window=512", "data.num_workers=3"),
            "data.num_workers=0",
        ),
    }


def train(record: Path, *words: str) -> Any:
    """Start a training process that records its images in a file."""
    process = FORKS.Process(target=_train, args=(record, words))
    process.start()
    return process


def _train(record: Path, words: Sequence[str]) -> None:
    os.environ["RECORD"] = str(record)
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - for as long as the process lives
    sys.argv = ["zoo.fit", *words]
    run_command("zoo.fit", run_fit)


def shown(record: Path) -> dict[int, list[int]]:
    """Return the images of each round by the clock; rounds that were repeated after a kill must show the same."""
    rounds: dict[int, list[int]] = {}
    for row in read_jsonl(record):
        assert rounds.setdefault(row["images_seen"], row["numbers"]) == row["numbers"]
    return rounds


def epochs(record: Path, size: int) -> list[bool]:
    """Return for each complete epoch whether it shows each image once, and the same images as the others."""
    rounds = shown(record)
    row = [number for seen in sorted(rounds) for number in rounds[seen]]
    parts = [Counter(row[first : first + size]) for first in range(0, len(row) - size + 1, size)]
    return [len(part) == size and set(part) == set(parts[0]) for part in parts]


def killed(processes: dict[int, Any], folders: dict[int, Path], longest: float, chance: random.Random) -> list[bool]:
    """Kill each process a random time after its first checkpoint, at most `longest` seconds; return which still ran."""
    due: dict[int, float] = {}
    running = dict.fromkeys(processes, False)
    while len(due) < len(processes) or any(process.is_alive() for process in processes.values()):
        for number, process in processes.items():
            if number not in due and checkpoints_in(folders[number]):
                due[number] = time.monotonic() + chance.uniform(0, longest)
            if process.is_alive() and time.monotonic() >= due.get(number, float("inf")):
                running[number] = True
                os.kill(process.pid, signal.SIGKILL)
                process.join()
        time.sleep(0.002)
    return list(running.values())


def rows_of(name: str, place: Path, data: Sequence[str], change: str, kills: int, chance: random.Random) -> list[Any]:
    """Return a row for each kill of one form of the data."""
    words, whole, record = (*WORDS, *data), place / name, place / f"{name}.jsonl"
    unbroken = train(record, *words, f"out={whole}")
    unbroken.join()
    assert unbroken.exitcode == 0
    length = json.loads((whole / "ends.jsonl").read_text().splitlines()[-1])["seconds"]
    folders = {number: place / f"{name}-{number}" for number in range(kills)}
    records = {number: place / f"{name}-{number}.jsonl" for number in range(kills)}
    processes = {number: train(records[number], *words, f"out={folders[number]}") for number in range(kills)}
    running = killed(processes, folders, length, chance)
    at = [int(checkpoints_in(folder)[0].stem) for folder in folders.values()]
    last = [max(shown(own)) for own in records.values()]
    changes = [(change,) if number == kills - 1 else () for number in range(kills)]
    resumed = [train(records[n], f"resume={folders[n]}", *changes[n]) for n in range(kills)]
    for process in resumed:
        process.join()
        assert process.exitcode == 0
    return [
        {
            "data": name,
            "killed_while_running": running[number],
            "killed_in_the_round_after_images": last[number],
            "resumed_from_images": at[number],
            "resumed_with": list(changes[number]),
            "bit_identical": identical(final_state(folders[number]), final_state(whole)),
            "same_images_in_the_same_order": shown(records[number]) == shown(record),
            "epochs_with_every_image_once": epochs(records[number], COUNT - COUNT // 10),
        }
        for number in range(kills)
    ]


def study(kills: int = 3, seed: int = 0) -> None:
    """Kill, resume, compare; write a row for each kill, beside those of other seeds."""
    chance, rows = random.Random(seed), []
    with tempfile.TemporaryDirectory() as place:
        writer = FORKS.Process(target=write, args=(Path(place),))
        writer.start()
        writer.join()
        for name, (data, change) in forms(Path(place)).items():
            rows += rows_of(name, Path(place), data, change, kills, chance)
            print("\n".join(json.dumps(row) for row in rows[-kills:]), flush=True)
    path = RESULTS / "exact_resume_streams.json"
    others = json.loads(path.read_text())["rows"] if path.is_file() else []
    rows = [row for row in others if row["seed"] != seed] + [{"seed": seed, **row} for row in rows]
    result = {"protocol": (__doc__ or "").strip(), "torch": torch.__version__, "rows": rows}
    path.write_text(json.dumps(result, indent=2) + "\n")


def main(**words: Any) -> None:
    """Kill and resume: kills=3 seed=0."""
    study(**checked_arguments(study, words))


if __name__ == "__main__":
    run_command("studies.exact_resume_streams", main)
