"""The software and hardware environment, for the record of a run or a measurement."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

PACKAGES = ("gan-zoo", "torch", "torchvision", "pytorch-lightning", "torchmetrics", "omegaconf", "numpy", "pillow")


def environment() -> dict[str, Any]:
    """Return the git commit, the Python version, the machine, the GPU and the package versions as plain values."""
    return {
        "git_commit": git_commit(),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "packages": versions_of(PACKAGES),
    }


def git_commit() -> str | None:
    """Return the commit of the git checkout that contains this package, or None outside a checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        process = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return process.stdout.strip() if process.returncode == 0 else None


def versions_of(packages: Iterable[str]) -> dict[str, str | None]:
    """Return the installed version of each package, None for a package that is not installed."""

    def installed_version(package: str) -> str | None:
        try:
            return version(package)
        except PackageNotFoundError:
            return None

    return {package: installed_version(package) for package in packages}
