"""Exported generators of every release and of a fresh model of every variant, in every format, against their models.

    python benchmarks/exports.py [formats=onnx,torch,npz out=benchmarks/results/exports.json]

Protocol: each generator is exported as `python -m zoo.export` does it, and the same latents go through the file and
through the model in batches of 1, 3 and 17, in float32 on one thread. Reported are the largest difference between the
images, which are in [0, 1], the size of the file, and the seconds of the export with its check. Fresh models have
random weights at small widths; those of releases are trained.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import onnxruntime
import torch

import zoo
from zoo.config.command_line import run_command
from zoo.export.checking import largest_difference
from zoo.export.facts import facts_of
from zoo.export.formats import WRITERS
from zoo.releases.references import release_names
from zoo.runs.opening import load_model

RESULTS = Path(__file__).parent / "results"
FRESH: dict[str, dict[str, Any]] = {
    "DCGAN": {"resolution": 32, "width": 8, "latent_dim": 16, "num_classes": 3},
    "WGANGP": {"resolution": 32, "width": 8, "latent_dim": 16},
    "ProGAN": {"resolution": 32, "width": 16, "width_base": 128, "latent_dim": 16, "num_classes": 2},
    "BigGAN": {"resolution": 32, "width": 8, "latent_dim": 16, "num_classes": 3},
    "BigGANDeep": {"resolution": 32, "width": 8, "latent_dim": 16, "num_classes": 3},
    "R3GAN": {"resolution": 32, "widths": [32, 16, 16, 8], "blocks": 1, "group_size": 8, "latent_dim": 16},
    "VanillaGAN": {"resolution": 16, "width": 16, "latent_dim": 16},
    "MixGAN": {"base": {"class": "DCGAN", "resolution": 32, "width": 8, "latent_dim": 16}, "components": 3},
}
"""Settings of the fresh models."""


def fresh(name: str) -> zoo.GAN:
    """Return an untrained model of a variant in eval mode; ProGAN in the middle of a fade."""
    torch.manual_seed(0)
    model: zoo.GAN = getattr(zoo, name)(**FRESH[name])
    if isinstance(model, zoo.ProGAN):
        model.set_clock(2_000_000)
    return model.eval()


def measure(name: str, model: zoo.GAN, format: str) -> dict[str, Any]:
    """Export a generator in one format and return its row."""
    ending, write = WRITERS[format]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"model{ending}"
        began = time.perf_counter()
        generator = model.exportable()
        place = name if name in release_names() else "dcgan_digits"  # a fresh model has no place of its own
        run = write(path, model, generator, facts_of(place, model, generator))
        difference = largest_difference(model, generator, run, name)
        seconds, size = time.perf_counter() - began, path.stat().st_size
    row = {"model": name, "format": format, "largest_difference": difference}
    print(f"{name:20} {format:6} {difference:.1e}  {size / 1e6:6.2f} MB  {seconds:5.1f} s", flush=True)
    return {**row, "megabytes": round(size / 1e6, 3), "seconds": round(seconds, 1)}


def main(formats: str = "onnx,torch,npz", out: str = str(RESULTS / "exports.json")) -> None:
    """Measure every release and every variant, and write the rows as JSON.

    Args:
        formats: names of formats, joined by commas.
        out: the file.
    """
    torch.set_num_threads(1)
    models = {**{name: load_model(name) for name in release_names()}, **{name: fresh(name) for name in FRESH}}
    rows = [measure(name, model, format) for name, model in models.items() for format in formats.split(",")]
    record = {
        "protocol": " ".join((__doc__ or "").split("Protocol: ")[1].split()),
        "torch": torch.__version__,
        "onnxruntime": onnxruntime.__version__,
        "rows": rows,
    }
    Path(out).write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    run_command("", main, sys.argv[1:])
