"""Inception networks of the FID, each with the resizing and scaling of the package that a protocol is named after."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zoo.errors import FeatureError
from zoo.features.base_extractor import Extractor
from zoo.features.resampling import pillow_resize, tensorflow1_resize, torch_resize
from zoo.features.weights import PublishedWeights, described, fill, load_tensors, named

URL = "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth"
SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
TORCHVISION = PublishedWeights(
    "https://download.pytorch.org/models/inception_v3_google-0cc3c7bd.pth", "0cc3c7bd", "inception_v3_google.pth"
)
SIZE = 299  # pixels of the network's input
SPATIAL_CHANNELS = 7  # of the spatial FID
LAYERS = (
    *("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "MaxPool_1", "Conv2d_3b_1x1", "Conv2d_4a_3x3", "MaxPool_2"),
    *("Mixed_5b", "Mixed_5c", "Mixed_5d", "Mixed_6a", "Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"),
    *("Mixed_7a", "Mixed_7b", "Mixed_7c", "AvgPool"),
)
"""Layers of torch-fidelity's module, in order."""
TORCHVISION_LAYERS = tuple(
    {"MaxPool_1": "maxpool1", "MaxPool_2": "maxpool2", "AvgPool": "avgpool"}.get(name, name) for name in LAYERS
)
"""Layers of torchvision's module, in order."""


class Inception(Extractor):
    """Pooled features (2048) and logits (1008, without the bias) of the network of FID and Inception Score.

    See Heusel et al. 2017 (arXiv:1706.08500) and Salimans et al. 2016 (arXiv:1606.03498). Network, weights and the
    TF1-compatible resizing to 299 px are those of torch-fidelity's `inception-v3-compat`: no half-pixel centres and no
    antialiasing, as in published numbers. Nothing is rounded after the resizing. The logits lack the last layer's bias,
    as in the original score.

    Only with these weights is the extractor named `inception`. A file with other weights is accepted, but its digest
    becomes part of the name, so that no number computed with it is mistaken for an FID.

    Args:
        weights: path of a local file; None uses the file in the cache, which is downloaded on first use (91 MB).
    """

    logits_width = 1008
    title = "inception"
    resizing = "TF1 bilinear to 299 px, no antialiasing"
    scaling = "uint8, (x - 128) / 128"
    agrees_with = "published FIDs (TTUR, torch-fidelity, StyleGAN, ADM, EDM)"

    def __init__(self, weights: str | None = None) -> None:
        build = _builder(self.title)
        path, digest, official = PublishedWeights(URL, SHA256, "inception-2015-12-05.pth").find(weights)
        state = load_tensors(path)
        super().__init__(
            named(self.title, digest, official),
            2048,
            {
                "network": "Inception v3 of 2015-12-05 (torch-fidelity inception-v3-compat)",
                "layer": "pool3, 2048-d; logits without bias, 1008 classes",
                "weights": f"sha256 {digest[:16]}" + ("" if official else ", not those of the published FID"),
                "resize": self.resizing,
                "input": self.scaling,
            },
            batch_size=32,
        )
        self.compares_with = self.agrees_with if official else ""
        self.network = _network(build, state, path).to(memory_format=torch.channels_last)
        self.freeze()

    def forward_pixels(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Compute features and logits; see `Extractor.forward_pixels`."""
        pixels = pixels.to(torch.uint8).contiguous(memory_format=torch.channels_last)
        features, logits = self.network(pixels)
        return features, logits

    def from_input(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Compute features and logits from the network's own input (B, 3, 299, 299)."""
        x = x.contiguous(memory_format=torch.channels_last)
        for name in LAYERS:
            x = getattr(self.network, name)(x)
        features = x.flatten(1)
        return features, features @ self.network.fc.weight.T


class InceptionClean(Inception):
    """Features and logits of the network of the FID, with the resizing of clean-fid ("clean-FID").

    See Parmar, Zhang and Zhu 2022 (arXiv:2104.11222), mode `clean` of the package clean-fid. Images are resized by
    Pillow's bicubic kernel with antialiasing in float, channel by channel, and clamped to [0, 255]; nothing is rounded
    after the resizing. Network and weights are those of `inception`.

    Args:
        weights: path of a local file; None uses the file in the cache, which is downloaded on first use (91 MB).
    """

    title = "inception-clean"
    resizing = "Pillow bicubic to 299 px in float, antialiased, clamped, not rounded"
    scaling = "uint8, (x - 128) / 128"
    agrees_with = "clean-FIDs (clean-fid, mode clean)"

    def forward_pixels(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Compute features and logits; see `Extractor.forward_pixels`."""
        x = pillow_resize(pixels, SIZE, SIZE, "bicubic", rounds=False).clamp(0, 255)
        return self.from_input((x - 128) / 128)


class InceptionLegacyPytorch(Inception):
    """Features and logits of the network of the FID, with the resizing of pytorch-fid.

    That is the package pytorch-fid, and the mode `legacy_pytorch` of clean-fid. Images are resized by torch's bilinear
    interpolation with half-pixel centres and without antialiasing, in float; nothing is rounded after the resizing. The
    input is scaled to [-1, 1], where the original network was fed (x - 128) / 128. Weights are those of `inception`.

    Args:
        weights: path of a local file; None uses the file in the cache, which is downloaded on first use (91 MB).
    """

    title = "inception-legacy-pytorch"
    resizing = "torch bilinear to 299 px, half-pixel centres, no antialiasing, not rounded"
    scaling = "uint8, 2 x / 255 - 1"
    agrees_with = "FIDs of pytorch-fid (clean-fid, mode legacy_pytorch)"

    def forward_pixels(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Compute features and logits; see `Extractor.forward_pixels`."""
        return self.from_input(2 * (torch_resize(pixels, SIZE) / 255) - 1)


class InceptionSpatial(Inception):
    """Maps of an inner layer of the network of the FID, of which positions are kept, for the spatial FID (sFID).

    These are the first seven channels of the first convolution of block `mixed_6` (torch-fidelity's `Mixed_6d`), after
    its ReLU: 7 x 17 x 17 = 2023 features, as in the evaluation of ADM (openai/guided-diffusion). Network, weights and
    resizing are those of `inception`. There are no logits.

    Args:
        weights: path of a local file; None uses the file in the cache, which is downloaded on first use (91 MB).
    """

    logits_width = 0
    title = "inception-spatial"
    agrees_with = "sFIDs of ADM (guided-diffusion) and of papers that use its evaluation"

    def __init__(self, weights: str | None = None) -> None:
        super().__init__(weights)
        self.width = SPATIAL_CHANNELS * 17 * 17
        self.protocol["layer"] = "mixed_6/conv, first 7 channels, 17 x 17 positions"

    def forward_pixels(self, pixels: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        """Compute the maps (B, 2023); see `Extractor.forward_pixels`."""
        return self.from_input((tensorflow1_resize(pixels, SIZE) - 128) / 128)

    def from_input(self, x: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        """Compute the maps (B, 2023) from the network's own input (B, 3, 299, 299)."""
        x = x.contiguous(memory_format=torch.channels_last)
        for name in LAYERS[: LAYERS.index("Mixed_6d")]:
            x = getattr(self.network, name)(x)
        maps: Tensor = self.network.Mixed_6d.branch1x1(x)
        return maps[:, :SPATIAL_CHANNELS].flatten(1), None


class InceptionTorchvision(Extractor):
    """Pooled features (2048) and logits (1000) of torchvision's Inception v3, another network than that of the FID.

    It was trained anew, has other weights, and averages and pools otherwise. Numbers are no FIDs, though some code that
    calls `torchvision.models.inception_v3` publishes them as such. Resizing and scaling are those of pytorch-fid with
    `use_fid_inception=False`: torch's bilinear interpolation without antialiasing, in float, and [-1, 1], which is what
    the network expects; nothing is rounded after the resizing.

    Args:
        weights: path of a local file; None uses the file in the cache, which is downloaded on first use (104 MB).
    """

    logits_width = 1000

    def __init__(self, weights: str | None = None) -> None:
        from torchvision.models import inception_v3

        path, digest, official = TORCHVISION.find(weights)
        state = load_tensors(path)
        super().__init__(
            named("inception-torchvision", digest, official),
            2048,
            {
                "network": "Inception v3 of torchvision",
                "layer": "pooled, 2048-d; logits of 1000 classes",
                "weights": described(digest, official),
                "resize": "torch bilinear to 299 px, half-pixel centres, no antialiasing, not rounded",
                "input": "uint8, 2 x / 255 - 1",
            },
            batch_size=32,
        )
        self.compares_with = "numbers of pytorch-fid with use_fid_inception=False" if official else ""
        with torch.device("meta"):
            network: Any = inception_v3(weights=None, init_weights=False)
        fill(network, state, path, "torchvision's Inception v3")
        network.AuxLogits = None
        self.network = network.to(memory_format=torch.channels_last)
        self.freeze()

    def forward_pixels(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Compute features and logits; see `Extractor.forward_pixels`."""
        x = (2 * (torch_resize(pixels, SIZE) / 255) - 1).contiguous(memory_format=torch.channels_last)
        for name in TORCHVISION_LAYERS:
            x = getattr(self.network, name)(x)
        features = x.flatten(1)
        return features, self.network.fc(features)


def _builder(name: str) -> Any:
    """Return torch-fidelity's class of the network.

    Raises:
        FeatureError: if the package is missing.
    """
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    except ImportError as error:
        raise FeatureError(
            f"extractor={name} needs {error.name}. Install it with pip install 'gan-zoo[metrics]'; "
            "extractor=effnet-lite0 needs no download"
        ) from error
    return FeatureExtractorInceptionV3


def _network(build: Any, state: dict[str, Tensor], path: Path) -> Any:
    """Return torch-fidelity's network with the given weights.

    Raises:
        FeatureError: if they are those of another network.
    """
    # torch-fidelity would unpickle arbitrary objects; it gets a file written here from verified tensors.
    safe = io.BytesIO()
    torch.save(state, safe)
    safe.seek(0)
    # The initial weights are replaced: keep the random state. A model around it may be built on the meta device.
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        try:
            return build("inception-v3-compat", ["2048", "logits_unbiased"], feature_extractor_weights_path=safe)
        except RuntimeError as error:  # names or shapes of another network
            raise FeatureError(
                f"{path} has no weights of this Inception network. Pass the file of torch-fidelity or pytorch-fid: "
                f"{URL}"
            ) from error
