"""Inception network of the FID: Google's of 2015-12-05, as ported by torch-fidelity."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zoo.errors import DownloadError, FeatureError
from zoo.features.extractor import Extractor
from zoo.features.weights import load_verified, weights_sha256
from zoo.io.download import download
from zoo.io.files import cache_folder, with_home

URL = "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth"
SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"


class Inception(Extractor):
    """Pooled features (2048) and logits (1008, without the bias) of the network of FID and Inception Score.

    See Heusel et al. 2017 (arXiv:1706.08500) and Salimans et al. 2016 (arXiv:1606.03498). Network, weights and the
    TF1-compatible resizing to 299 px are those of torch-fidelity's `inception-v3-compat`: no half-pixel centres and no
    antialiasing, as in published numbers. The logits lack the last layer's bias, as in the original score.

    Only with these weights is the extractor named `inception`. A file with other weights is accepted, but its digest
    becomes part of the name, so that no number computed with it is mistaken for an FID.

    Args:
        weights: path of a local file; None uses the file in the cache, which is downloaded on first use (91 MB).
    """

    logits_width = 1008

    def __init__(self, weights: str | None = None) -> None:
        try:
            from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
        except ImportError as error:
            raise FeatureError(
                f"extractor=inception needs {error.name}. Install it with pip install 'gan-zoo[metrics]'; "
                "extractor=effnet-lite0 needs no download"
            ) from error
        path = with_home(weights) if weights else cached_weights()
        digest = weights_sha256(path)
        official = digest == SHA256
        if not (weights or official):
            raise FeatureError(
                f"{path} is damaged: its sha256 begins with {digest[:16]}, not {SHA256[:16]}. Remove it to have it "
                "downloaded again"
            )
        state = load_verified(path, digest)
        super().__init__(
            "inception" if official else f"inception-{digest[:8]}",
            2048,
            {
                "network": "Inception v3 of 2015-12-05 (torch-fidelity inception-v3-compat)",
                "layer": "pool3, 2048-d; logits without bias, 1008 classes",
                "weights": f"sha256 {digest[:16]}" + ("" if official else ", not those of the published FID"),
                "resize": "TF1 bilinear to 299 px, no antialiasing",
                "input": "uint8, (x - 128) / 128",
            },
            batch_size=32,
        )
        # torch-fidelity would unpickle arbitrary objects; it gets a file written here from verified tensors.
        safe = io.BytesIO()
        torch.save(state, safe)
        safe.seek(0)
        with torch.random.fork_rng(devices=[]):  # the initial weights are replaced; keep the caller's random state
            try:
                network: Any = FeatureExtractorInceptionV3(
                    "inception-v3-compat", ["2048", "logits_unbiased"], feature_extractor_weights_path=safe
                )
            except RuntimeError as error:  # names or shapes of another network
                raise FeatureError(f"{path} has no weights of this Inception network: {error}") from error
        self.network = network.to(memory_format=torch.channels_last)
        self.freeze()

    def forward_pixels(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Compute features and logits; see `Extractor.forward_pixels`."""
        pixels = pixels.to(torch.uint8).contiguous(memory_format=torch.channels_last)
        features, logits = self.network(pixels)
        return features, logits


def cached_weights() -> Path:
    """Return the path of the published weights in the cache, downloading them on first use.

    Raises:
        FeatureError: if they cannot be downloaded.
    """
    path = cache_folder() / "weights" / "inception-2015-12-05.pth"
    if path.exists():  # its digest is checked when it is read
        return path
    try:
        return download(URL, path, SHA256)
    except DownloadError as error:
        raise FeatureError(
            f"{error}. Download it elsewhere and pass it with weights=PATH, or use extractor=effnet-lite0, which needs "
            "no download but whose numbers are not FIDs"
        ) from error
