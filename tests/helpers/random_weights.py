"""Files of random weights in the formats of the published ones, which are too large for a test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn


def random_inception(path: Path) -> Path:
    """Write random weights of the Inception network of 2015, in the format of torch-fidelity and pytorch-fid."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    with torch.random.fork_rng(devices=[]), pytest.MonkeyPatch.context() as patch:
        torch.manual_seed(0)
        patch.setattr(FeatureExtractorInceptionV3, "load_state_dict", lambda *args: None)
        patch.setattr("torch_fidelity.feature_extractor_inceptionv3.load_state_dict_from_url", lambda *a, **k: {})
        network = FeatureExtractorInceptionV3("random", ["2048"])
    torch.save(network.state_dict(), path)
    return path


def random_torchvision_inception(path: Path) -> Path:
    """Write random weights of torchvision's Inception, with those of its auxiliary classifier as in the file."""
    from torchvision.models import inception_v3

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = inception_v3(weights=None, init_weights=False)
    torch.save(network.state_dict(), path)
    return path


def random_dinov2(path: Path) -> Path:
    """Write random weights of DINOv2 ViT-S/14 in the authors' format: positions of 37 x 37 patches, and a mask."""
    import timm

    with torch.device("meta"):
        network = timm.create_model("vit_small_patch14_dinov2", img_size=518, num_classes=0)
    state = _drawn(network)
    torch.save({**state, "mask_token": torch.zeros(1, 384)}, path)
    return path


def random_clip(path: Path) -> Path:
    """Write random weights of CLIP ViT-B/32 under OpenAI's names, with a tensor of the text encoder, as in its file.

    Like OpenAI's, they are exact in half precision, to which torch-fidelity rounds them.
    """
    from torch_fidelity.feature_extractor_clip import CLIPVisual

    with torch.device("meta"):
        network = CLIPVisual(512, 224, 12, 768, 32)
    state = {name: tensor.half().float() for name, tensor in _drawn(network).items()}
    torch.save({**state, "text_projection": torch.zeros(512, 512)}, path)
    return path


def _drawn(network: nn.Module) -> dict[str, Tensor]:
    """Draw tensors that keep the size of activations; each a little off from where an untrained network has it."""
    generator = torch.Generator().manual_seed(0)
    state: dict[str, Tensor] = {}
    for name, tensor in network.state_dict().items():
        noise = torch.randn(tensor.shape, generator=generator)
        is_scale = tensor.ndim == 1 and name.endswith(("weight", "gamma"))
        fan_in = tensor[0].numel() if tensor.ndim > 1 else 1
        state[name] = 1 + 0.1 * noise if is_scale else noise / fan_in**0.5 if tensor.ndim > 1 else 0.1 * noise
    return state


def watch(network: nn.Module, names: list[str]) -> dict[str, Tensor]:
    """Return a mapping that is filled with the outputs of layers, by name, when a network is called."""
    seen: dict[str, Tensor] = {}

    def keep(name: str) -> Any:
        def hook(module: nn.Module, given: Any, output: Tensor) -> None:
            seen[name] = output

        return hook

    for name in names:
        network.get_submodule(name).register_forward_hook(keep(name))
    return seen
