"""Peak memory of training, beyond that of the imported libraries, against another version of this library.

    python benchmarks/peak_memory.py [baseline=CHECKOUT cycles=2]

Protocol: each variant trains at 32x32 for `cycles` cycles (all steps of the discriminator and one of the generator) on
random images, in float32, one thread, in a process of its own. Reported is the highest resident memory of the process
less that before the model was built. The other version is a checkout, which is imported in place of this one. Memory
of glibc's allocator is returned at once (`MALLOC_TRIM_THRESHOLD_=0`, `MALLOC_MMAP_THRESHOLD_=65536`), or fragments
would add tens of MB that depend on chance.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

CASES: dict[str, tuple[str, dict[str, Any], int]] = {
    "biggan, batch 16": (
        "BigGAN",
        {
            "width": 64,
            "latent_dim": 128,
            "num_classes": 10,
            "shared_dim": 0,
            "skip_latents": False,
            "attention": 0,
            "initialisation": "normal",
            "critic_steps": 4,
        },
        16,
    ),
    "wgan_gp, batch 16": ("WGANGP", {"width": 128}, 16),
    "dcgan, batch 64": ("DCGAN", {"width": 64}, 64),
}

PROGRAM = """
import json, resource, sys, tempfile
import torch
from pytorch_lightning import Trainer
import zoo

name, settings, batch, cycles = json.loads(sys.argv[1])
torch.set_num_threads(1)


class Loader:
    def __iter__(self):
        while True:
            labels = torch.randint(10, (batch,)) if settings.get("num_classes") else None
            yield zoo.Batch(torch.rand(batch, 3, 32, 32) * 2 - 1, labels)


def resident(key):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(key)) / 1024


torch.nn.functional.conv2d(torch.randn(1, 8, 8, 8), torch.randn(8, 8, 3, 3))  # loads oneDNN
before = resident("VmRSS")
model = getattr(zoo, name)(resolution=32, **settings)
with tempfile.TemporaryDirectory() as folder:
    Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False, precision="32-true",
            enable_model_summary=False, max_epochs=1, limit_train_batches=cycles * model.critic_steps,
            default_root_dir=folder).fit(model, Loader())
print(json.dumps(resident("VmHWM") - before))
"""


def peak(case: str, cycles: int, checkout: Path) -> float:
    """Return the peak in MB of one case with the library of a checkout."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(checkout),
        "OMP_NUM_THREADS": "1",
        "MALLOC_TRIM_THRESHOLD_": "0",
        "MALLOC_MMAP_THRESHOLD_": "65536",
    }
    command = [sys.executable, "-c", PROGRAM, json.dumps([*CASES[case], cycles])]
    done = subprocess.run(command, env=environment, cwd=checkout, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return float(json.loads(done.stdout.splitlines()[-1]))


def benchmark(baseline: str = "", cycles: int = 2) -> dict[str, Any]:
    """Measure all cases, each with this version and, if it is given, with the other."""
    here = Path(__file__).resolve().parent.parent
    versions = {"zoo": here} | ({"baseline": Path(baseline).resolve()} if baseline else {})
    from turns import machine

    return {
        "protocol": (__doc__ or "").strip(),
        "settings": {"cycles": cycles},
        **machine("cpu"),
        "megabytes": {
            case: {name: round(peak(case, cycles, checkout)) for name, checkout in versions.items()} for case in CASES
        },
    }


def main(**arguments: Any) -> None:
    """Measure peak memory: baseline=CHECKOUT cycles=2."""
    from turns import leave

    from zoo.config.command_line import checked_arguments

    leave(benchmark(**checked_arguments(benchmark, arguments)), "peak_memory_cpu")


if __name__ == "__main__":
    from zoo.config.command_line import run_command

    run_command("benchmarks.peak_memory", main)
