"""Draw docs/images/audit_page.png, the top of an audit report: `python docs/audit_picture.py`. Needs chromium.

The subject is a generator of digits that returns noisy copies of training images for a fifth of its samples.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import torch
from PIL import Image

from zoo.audit import Report, audit, planted
from zoo.data import Digits

PICTURE = Path(__file__).resolve().parent / "images" / "audit_page.png"
WIDTH, HEIGHT = 1000, 1060  # pixels
TRAIN, HELD_OUT = 800, 500  # images; the others are the generator's own


def report() -> Report:
    """Audit the generator."""
    data = Digits(resolution=16)
    data.setup()
    images = torch.cat([split.batch(torch.arange(len(split))).images for split in (data.train, data.held_out)])
    images = images.float() / 127.5 - 1
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    sizes = [TRAIN, HELD_OUT, len(images) - TRAIN - HELD_OUT]
    train, held_out, own = (images[chosen] for chosen in order.split(sizes))
    subject = planted.Memoriser(train, 0.2, own, noise=0.1)
    name = "a generator that copies a fifth of its images"
    return audit(subject, train, held_out, budget="quick", features="digits", name=name)


def main() -> None:
    """Write the picture."""
    with tempfile.TemporaryDirectory() as folder:
        report().save(folder)
        subprocess.run(
            [
                "chromium",
                "--headless",
                "--no-sandbox",
                "--hide-scrollbars",
                f"--window-size={WIDTH},{HEIGHT}",
                f"--screenshot={PICTURE}",
                f"{folder}/report.html",
            ],
            check=True,
            stderr=subprocess.DEVNULL,
        )
    with Image.open(PICTURE) as picture:
        small = picture.convert("RGB").quantize(256, dither=Image.Dither.NONE)  # a palette: a third of the size
    small.save(PICTURE, optimize=True)


if __name__ == "__main__":
    main()
