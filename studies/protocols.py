"""How far apart are the protocols, and do the networks agree with their authors' own code?

    PYTHONPATH=. python studies/protocols.py real=FOLDER fake=FOLDER
    PYTHONPATH=. python studies/protocols.py dinov2=CHECKOUT dgm=CHECKOUT

The first form measures two sets of images under every protocol. Weights that can be had are used: those of
effnet-lite0; pixels need none. The networks of Inception, DINOv2 and CLIP get random weights, the same for all
protocols of a network, because their published weights could not be fetched where this ran: their distances are no
FIDs, and show only what the resizing alone changes. For each protocol: the Fréchet distance, its ratio to the first
protocol of the network, and the relative difference of the features of the generated images.

It also compares what the networks are fed, which needs no network: the mean difference in levels of 256 between the
resized images of two protocols, for the folder's images and for two photographs of 427 px, which are shrunk.

The second form holds DINOv2 against `facebookresearch/dinov2` and the transform of `layer6ai-labs/dgm-eval`, from
checkouts of them, on random weights. Rows go to `results/protocols.json`.
"""

from __future__ import annotations

import json
import sys
import tempfile
from itertools import combinations
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from PIL import Image
from rows import RESULTS
from sklearn.datasets import load_sample_image

from tests.helpers import random_weights
from zoo.config.command_line import run_command
from zoo.data.given_folder import image_folder
from zoo.data.sizes import sizes_of
from zoo.features import extractor, features_of
from zoo.features.resampling import pillow_resize, tensorflow1_resize, torch_resize
from zoo.metrics.frechet import frechet_distance_of_rows
from zoo.runs.training_data import set_up_data

NETWORKS = {
    "none": ["pixels"],
    "EfficientNet-Lite0, its own weights": ["effnet-lite0"],
    "Inception of 2015, random weights": ["inception", "inception-clean", "inception-legacy-pytorch"],
    "torchvision's Inception, random weights": ["inception-torchvision"],
    "DINOv2 ViT-S/14, random weights": ["dinov2-dgm", "dinov2-torch-fidelity"],
    "CLIP ViT-B/32, random weights": ["clip-vit-b32", "clip-vit-b32-torch-fidelity"],
}
WRITERS = {
    "inception-torchvision": random_weights.random_torchvision_inception,
    "inception": random_weights.random_inception,
    "dinov2": random_weights.random_dinov2,
    "clip": random_weights.random_clip,
}


def main(
    real: str | None = None, fake: str | None = None, dinov2: str | None = None, dgm: str | None = None, n: int = 500
) -> None:
    """Measure two sets of images under all protocols, or hold DINOv2 against its authors' code.

    Args:
        real: folder of real images.
        fake: folder of generated images.
        dinov2: checkout of facebookresearch/dinov2.
        dgm: checkout of layer6ai-labs/dgm-eval.
        n: number of images of each set.
    """
    path = RESULTS / "protocols.json"
    results: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    if real is not None and fake is not None:
        results["inputs"] = inputs(real, n)
        path.write_text(json.dumps(results, indent=2) + "\n")
        results["protocols"] = under_all_protocols(real, fake, n)
    if dinov2 is not None and dgm is not None:
        results["dinov2"] = against_the_authors(dinov2, dgm)
    path.write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps(results, indent=2))


def images_of(folder: str, size: int, n: int) -> torch.Tensor:
    """Return n images of a folder as uint8, (n, 3, size, size)."""
    data = set_up_data(image_folder("real", folder, size, 3, {}))
    chosen = torch.from_numpy(np.sort(np.random.default_rng(0).permutation(len(data.train))[:n]))
    return data.train.batch(chosen).images


def inputs(real: str, n: int) -> list[dict[str, Any]]:
    """Return the mean and the largest difference, in levels, between the resized images of two protocols."""
    photographs = [load_sample_image(name)[:427, 100:527] for name in ("china.jpg", "flower.jpg")]
    sets = {
        "images of the folder": images_of(real, sizes_of(image_folder("real", real, 1, 3, {}).files()).common_side, n),
        "photographs": torch.from_numpy(np.stack(photographs)).permute(0, 3, 1, 2),
    }
    rows = []
    for name, given in sets.items():
        pixels = given.float()
        large = {
            "inception": tensorflow1_resize(pixels, 299),
            "inception-clean": pillow_resize(pixels, 299, 299, "bicubic", rounds=False).clamp(0, 255),
            "inception-legacy-pytorch": torch_resize(pixels, 299),
        }
        small = {
            "dinov2-dgm": pillow_resize(pixels, 224, 224, "bicubic", rounds=True),
            "dinov2-torch-fidelity": tensorflow1_resize(pixels, 224),
        }
        for group in (large, small):
            for first, second in combinations(group, 2):
                apart = (group[first] - group[second]).abs()
                row = {"images": name, "size": given.shape[-1], "n": len(given), "protocols": [first, second]}
                rows.append({**row, "mean": float(apart.mean()), "largest": float(apart.max())})
    return rows


def under_all_protocols(real: str, fake: str, n: int) -> list[dict[str, Any]]:
    """Return a row for each protocol."""
    size = sizes_of(image_folder("fake", fake, 1, 3, {}).files()).common_side
    sides = images_of(real, size, n), images_of(fake, size, n)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for network, names in NETWORKS.items():
            first: dict[str, Any] = {}
            for name in names:
                built = extractor(name, **weights_for(name, Path(folder)))
                values = [features_of(built, side).values for side in sides]
                distance = float(frechet_distance_of_rows(*values))
                first = first or {"distance": distance, "fake": values[1]}
                apart = float((values[1] - first["fake"]).norm() / first["fake"].norm())
                row = {"network": network, "protocol": name, "resize": built.protocol["resize"], "distance": distance}
                row |= {"ratio": distance / first["distance"], "features": apart}
                rows.append({**row, "n": [len(side) for side in sides], "size": size})
                print(row, file=sys.stderr)
    return rows


def weights_for(name: str, folder: Path) -> dict[str, str]:
    """Return the settings of an extractor: a file of random weights where it needs one."""
    for start, write in WRITERS.items():
        if name.startswith(start):
            path = folder / f"{write.__name__}.pth"
            return {
                "weights": str(path if path.exists() else write(path)),
                **({"model": "vits14"} if start == "dinov2" else {}),
            }
    return {}


@torch.no_grad()
def against_the_authors(dinov2: str, dgm: str) -> dict[str, Any]:
    """Return the largest differences of layers and features to the authors' network, relative to their size."""
    sys.path[:0] = [dinov2, dgm]
    models = ModuleType("dgm_eval.models")  # the package's own imports every model, and with them transformers
    models.__path__ = [str(Path(dgm) / "dgm_eval" / "models")]
    sys.modules["dgm_eval.models"] = models
    from dgm_eval.models.dinov2 import DINOv2Encoder
    from dinov2.hub.backbones import dinov2_vits14

    theirs = dinov2_vits14(pretrained=False).eval()
    with tempfile.TemporaryDirectory() as folder:
        path = random_weights.random_dinov2(Path(folder) / "w.pth")
        theirs.load_state_dict(torch.load(path, weights_only=True))
        ours = extractor("dinov2-dgm", weights=str(path), model="vits14")
    encoder: Any = object.__new__(DINOv2Encoder)
    torch.nn.Module.__init__(encoder)
    encoder.clean_resize = False
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (4, 3, 96, 64), generator=generator).to(torch.uint8)
    given = [encoder.transform(Image.fromarray(image.permute(1, 2, 0).numpy())) for image in images]
    names = [f"blocks.{i}" for i in range(12)]
    seen, theirs_seen = random_weights.watch(ours.network, names), random_weights.watch(theirs, names)
    found, wanted = ours(images), theirs(torch.stack(given).float())
    layers = {
        name: float((seen[name] - theirs_seen[name]).abs().max() / theirs_seen[name].abs().max()) for name in names
    }
    features = float((found - wanted).abs().max() / wanted.abs().max())
    return {"largest of 12 blocks": max(layers.values()), "features": features, "images": list(images.shape)}


if __name__ == "__main__":
    run_command("studies.protocols", main)
