"""The smallest working loss, layer and model."""

from __future__ import annotations

from tests.helpers.additions.addition import Addition

LOSS = Addition(
    "loss",
    lines=(
        (
            "zoo/training/objectives.py",
            "OBJECTIVES: dict[str, type[Objective]] = {",
            '''class Exponential(Objective):
    """Exponential loss."""

    undecided = 0.0

    def discriminator_value(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return E[exp(-r)] + E[exp(f)]."""
        return (-real).exp().mean() + fake.exp().mean()

    def generator_value(self, fake: Tensor) -> Tensor:
        """Return E[exp(-f)]."""
        return (-fake).exp().mean()

''',
        ),
        ("zoo/training/objectives.py", '    "hinge": Hinge,', '    "exponential": Exponential,'),
    ),
    use="""
model = zoo.DCGAN(16, 1, width=4, objective="exponential")
zero = torch.zeros(3)
assert model.objective.discriminator_value(zero, zero) == 2
assert model.objective.generator_value(zero) == 1
""",
)
LAYER = Addition(
    "layer",
    files={
        "zoo/layers/channel_scale.py": '''"""Scale of each channel, learnt."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ChannelScale(nn.Module):
    """Multiply each channel by a learnt factor: (B, C, H, W) to the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Scale the channels."""
        return x * self.factor[:, None, None]
'''
    },
    use="""
from zoo.layers.channel_scale import ChannelScale
layer = ChannelScale(2)
torch.nn.init.constant_(layer.factor, 3.0)
assert torch.equal(layer(torch.ones(1, 2, 4, 4)), torch.full((1, 2, 4, 4), 3.0))
""",
)
MODEL = Addition(
    "model",
    files={
        "zoo/models/linear_gan.py": '''"""A GAN of two linear maps."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from zoo.gan import GAN
from zoo.training.objectives import Hinge


class Generator(nn.Module):
    """Linear generator."""

    def __init__(self, resolution: int, channels: int, latent_dim: int) -> None:
        super().__init__()
        self.map = nn.Linear(latent_dim, channels * resolution**2)
        self.shape = (channels, resolution, resolution)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return images (B, C, H, W) of latents (B, Z)."""
        return self.map(z).tanh().unflatten(1, self.shape)


class Discriminator(nn.Module):
    """Linear discriminator."""

    def __init__(self, pixels: int) -> None:
        super().__init__()
        self.map = nn.Linear(pixels, 1)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return logits (B,) of images (B, C, H, W)."""
        return self.map(images.flatten(1)).flatten()


class LinearGAN(GAN):
    """GAN of two linear maps. Unconditional."""

    def __init__(self, resolution: int = 16, channels: int = 1, latent_dim: int = 8, **training: Any) -> None:
        sizes = {"resolution": resolution, "channels": channels, "latent_dim": latent_dim}
        discriminator = Discriminator(channels * resolution**2)
        super().__init__(Generator(**sizes), discriminator, Hinge(), **sizes, **training)
        self.save_hyperparameters(logger=False)
''',
        "recipes/linear_gan_digits.yaml": """# Two linear maps on scikit-learn's digits.
seed: 0
images: 128
model: {class: LinearGAN}
data: {class: Digits, batch_size: 64}
trainer: {accelerator: cpu, precision: 32-true}
callbacks:
  SaveEvery: {every: 128}
""",
    },
    lines=(
        ("zoo/config/class_names.py", '    "MixGAN": ', '    "LinearGAN": "zoo.models.linear_gan.LinearGAN",'),
        ("zoo/__init__.py", '    "MixGAN": ', '    "LinearGAN": "zoo.models.linear_gan",'),
        ("zoo/__init__.py", '    "MixGAN",', '    "LinearGAN",'),
        (
            "zoo/__init__.py",
            "    from zoo.models.mix.mixgan import MixGAN",
            "    from zoo.models.linear_gan import LinearGAN",
        ),
    ),
    use="""
run = zoo.fit("linear_gan_digits", out="run")
assert type(run.model) is zoo.LinearGAN and run.model.images_seen == 128
loaded = zoo.load_run("run")
assert torch.equal(loaded.sample(4, seed=0), run.model.eval().sample(4, seed=0))
folder = loaded.save_pretrained("release")
assert type(zoo.from_pretrained("./release")) is zoo.LinearGAN
""",
)
