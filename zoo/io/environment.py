"""What a run or a measurement ran on, for its record."""

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
    """Commit, Python, machine and packages, as plain values."""
    return {
        "git_commit": git_commit(),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "packages": versions_of(PACKAGES),
    }


def git_commit() -> str | None:
    """Commit of the checkout the package lies in, or None."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def versions_of(packages: Iterable[str]) -> dict[str, str | None]:
    """Installed versions; None for what is not installed."""

    def installed(package: str) -> str | None:
        try:
            return version(package)
        except PackageNotFoundError:
            return None

    return {package: installed(package) for package in packages}
