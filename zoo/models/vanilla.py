"""The first GAN: Goodfellow et al. 2014, "Generative Adversarial Nets", arXiv:1406.2661, for small images and points.

As in the paper's section 5: fully connected networks, rectifiers in the generator, maxout and dropout in the
discriminator. Differences: Adam instead of SGD with momentum, and the generator ends in tanh, since images are in
[-1, 1] here (for points in the plane its last layer is linear). The paper's text gives no widths; they are arguments.
With `batch_norm=True`, `layers=4`, `width=400`, `discriminator_layers=3`, `discriminator_width=200`, `dropout=0` and
`initial_deviation=0.02` these are the networks of PacGAN's ring and grid (Lin et al. 2018, arXiv:1712.04086).
"""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor, nn

from zoo.errors import require_at_least
from zoo.models.packed import Packed
from zoo.training.objectives import objective as objective_named


class Maxout(nn.Module):
    """Maxout layer (Goodfellow et al. 2013, arXiv:1302.4389): `max_k (W_k x + b_k)` for each unit."""

    def __init__(self, inputs: int, outputs: int, pieces: int) -> None:
        super().__init__()
        self.pieces = pieces
        self.linear = nn.Linear(inputs, outputs * pieces)

    def forward(self, x: Tensor) -> Tensor:
        """Map features (B, inputs) to (B, outputs)."""
        values: Tensor = self.linear(x)
        return values.view(x.shape[0], -1, self.pieces).amax(2)


class Generator(nn.Module):
    """Generator of linear layers and rectifiers, from a latent to all pixels of an image."""

    def __init__(
        self, resolution: int, channels: int, latent_dim: int, layers: int, width: int, batch_norm: bool
    ) -> None:
        super().__init__()
        shape = (channels, resolution, resolution)
        body: list[nn.Module] = []
        for inputs in [latent_dim] + [width] * (layers - 1):
            body += [nn.Linear(inputs, width, bias=not batch_norm)]
            body += [nn.BatchNorm1d(width)] if batch_norm else []
            body += [nn.ReLU(True)]
        squash = [nn.Tanh()] if resolution > 1 else []
        self.body = nn.Sequential(*body, nn.Linear(width, math.prod(shape)), *squash, nn.Unflatten(1, shape))

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return images (B, C, H, W) in [-1, 1], or unbounded points (B, C, 1, 1), from latents (B, Z)."""
        images: Tensor = self.body(z)
        return images


class Discriminator(nn.Module):
    """Discriminator of maxout layers with dropout, from all pixels to one logit."""

    def __init__(self, inputs: int, layers: int, width: int, pieces: int, dropout: float) -> None:
        super().__init__()
        body: list[nn.Module] = []
        for size in [inputs] + [width] * (layers - 1):
            body += [Maxout(size, width, pieces)]
            body += [nn.Dropout(dropout)] if dropout else []
        self.body = nn.Sequential(nn.Flatten(), *body, nn.Linear(width, 1))

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return logits (B,) of images (B, C, H, W)."""
        scores: Tensor = self.body(images)
        return scores.flatten()


class VanillaGAN(Packed):
    """The GAN of 2014: two multilayer perceptrons. Unconditional.

    Args:
        resolution: height and width of the images, in pixels; 1 with two channels for points in the plane.
        channels: channels of the images.
        latent_dim: length of the latents, which are standard normal.
        layers: number of hidden layers of the generator.
        width: units of each hidden layer of the generator.
        batch_norm: whether the generator's hidden layers have batch norm (not in the paper).
        discriminator_layers: number of hidden layers of the discriminator.
        discriminator_width: units of each hidden layer of the discriminator.
        pieces: number of linear maps of each maxout unit.
        dropout: probability of dropping a unit of the discriminator; 0 for none.
        initial_deviation: standard deviation of the initial weights, with biases 0; 0 keeps PyTorch's initialisation.
        objective: `non_saturating`, `saturating` (the minimax game), `hinge`, `least_squares` or
            `relativistic`.
        packing: number of images that the discriminator scores together (PacGAN); 1 scores each by itself. Every pass
            needs a multiple of this many images.
        num_classes: must be 0; the argument exists so that recipes can name it.
        training: settings of the training loop, see `zoo.GAN`.

    Example:
        >>> import zoo
        >>> model = zoo.VanillaGAN(resolution=8, width=16)
        >>> images = model.sample(4, seed=0)
        >>> images.shape, bool(images.abs().max() <= 1)
        (torch.Size([4, 1, 8, 8]), True)
    """

    loss_settings = ("objective",)

    def __init__(
        self,
        resolution: int = 16,
        channels: int = 1,
        latent_dim: int = 100,
        layers: int = 2,
        width: int = 512,
        batch_norm: bool = False,
        discriminator_layers: int = 2,
        discriminator_width: int = 240,
        pieces: int = 5,
        dropout: float = 0.5,
        initial_deviation: float = 0.0,
        objective: str = "non_saturating",
        num_classes: int = 0,
        packing: int = 1,
        **training: Any,
    ) -> None:
        if num_classes:
            raise ValueError(f"a VanillaGAN is unconditional: num_classes must be 0; got {num_classes}. Use zoo.DCGAN")
        require_at_least(
            1, layers=layers, width=width, pieces=pieces, latent_dim=latent_dim, channels=channels, packing=packing
        )
        require_at_least(1, discriminator_layers=discriminator_layers, discriminator_width=discriminator_width)
        require_at_least(0, initial_deviation=initial_deviation)
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must lie in [0, 1); got {dropout}")
        generator = Generator(resolution, channels, latent_dim, layers, width, batch_norm)
        pixels = channels * resolution**2
        discriminator = Discriminator(packing * pixels, discriminator_layers, discriminator_width, pieces, dropout)
        super().__init__(
            generator,
            discriminator,
            objective_named(objective),
            resolution=resolution,
            channels=channels,
            latent_dim=latent_dim,
            **training,
        )
        self.pack(packing)
        if initial_deviation:
            for module in (*generator.modules(), *discriminator.modules()):
                if isinstance(module, nn.Linear):
                    nn.init.normal_(module.weight, 0.0, initial_deviation)
                    if module.bias is not None:
                        nn.init.zeros_(module.bias)
            self.average.load_state_dict(generator.state_dict())
        self.save_hyperparameters(logger=False)
