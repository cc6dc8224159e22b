"""BigGAN-deep's generator against pytorch-pretrained-biggan, which runs DeepMind's TF-Hub weights.

    pip install .[parity]

The peer has the generator only, at 128, 256 and 512 px; here its smallest width, with random weights.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from zoo import hub

peer = pytest.importorskip("pytorch_pretrained_biggan", reason="pip install .[parity]")

LAYERS = {  # (doubles, multiples of the width in and out), as in the configurations published with the weights
    128: ("16,16 16,8 8,4 4,2 2,1", 8),
    256: ("16,16 16,8 8,8 8,4 4,2 2,1", 8),
    512: ("16,16 16,8 8,8 8,4 4,2 2,1 1,1", 8),
}


def peers_generator(resolution: int, width: int) -> nn.Module:
    """Randomise a network's weights and statistics, and run a few power iterations."""
    widths, attention = LAYERS[resolution]
    pairs = [tuple(map(int, pair.split(","))) for pair in widths.split()]
    layers = [layer for before, after in pairs for layer in ((False, before, before), (True, before, after))]
    config = peer.BigGANConfig(
        output_dim=resolution,
        z_dim=16,
        class_embed_dim=16,
        channel_width=width,
        num_classes=12,
        layers=layers,
        attention_layer_position=attention,
    )
    torch.manual_seed(0)
    model: nn.Module = peer.BigGAN(config)
    with torch.no_grad():
        for name, tensor in (*model.named_parameters(), *model.named_buffers()):
            if name.endswith(("gamma", "bn.weight", "bn.bias")):
                tensor.normal_(1.0, 0.3)
            elif "running_means" in name:
                tensor.normal_(0.0, 0.3)
            elif "running_vars" in name:
                tensor.uniform_(0.5, 2.0)
        for _ in range(3):
            model(*inputs(config, 2), 1.0)
    return model.eval()


def inputs(config: Any, n: int) -> tuple[torch.Tensor, torch.Tensor]:
    classes = torch.arange(n) % config.num_classes
    return torch.randn(n, config.z_dim).clamp(-2, 2), nn.functional.one_hot(classes, config.num_classes).float()


@pytest.mark.parametrize(
    ("resolution", "truncation"), [(128, 1.0), (128, 0.5), (128, 0.43), (128, 0.58), (256, 0.5), (512, 1.0)]
)
def test_the_same_weights_latents_and_classes_give_the_same_images(resolution: int, truncation: float) -> None:
    theirs = peers_generator(resolution, width=4)
    ours = hub.convert(theirs.state_dict(), "pytorch-pretrained-biggan", truncation=truncation)
    z, classes = inputs(theirs.config, 2)
    with torch.no_grad():
        expected = theirs(z, classes, truncation)
        images = ours.generate(ours.average, z, classes.argmax(1))
    assert expected.std() > 0.05
    torch.testing.assert_close(images, expected, rtol=0, atol=1e-5)
