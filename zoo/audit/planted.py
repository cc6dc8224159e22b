"""Generators with a known fault, made from real images, and `Honest`, one without a fault, to calibrate the audit."""

from __future__ import annotations

import math
import sys

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from zoo.audit.evidence.subject import FolderSubject
from zoo.errors import UserError
from zoo.rendering.pictures import to_uint8


class Honest(FolderSubject):
    """A perfect generator: real images that are in neither set of the audit, each drawn at most once.

    Args:
        images: images (N, C, H, W) in [-1, 1].
        labels: classes (N,), or None.
    """


class Finite:
    """A generator with exactly k images, drawn uniformly with replacement.

    Args:
        images: images (N, C, H, W) in [-1, 1] from which the k are chosen.
        k: number of images that the generator can draw.
        seed: seed of the choice.
    """

    def __init__(self, images: Tensor, k: int, seed: int = 0) -> None:
        if k > len(images):
            raise UserError(f"k: at most as many as there are images, {len(images):,}; got {k:,}")
        self.images = images[torch.randperm(len(images), generator=_rng(seed))[:k]]

    def sample(self, n: int, *, seed: int = 0) -> Tensor:
        """Draw images (n, C, H, W) with replacement."""
        return self.images[torch.randint(len(self.images), (n,), generator=_rng(seed))]


class Memoriser:
    """A generator whose samples are, to a given share, copies of training images, exact or slightly changed.

    Args:
        train: training images (N, C, H, W) in [-1, 1].
        share: share of copies among the samples, in (0, 1].
        honest: images (M, C, H, W) for the other samples, each used at most once.
        shift: largest shift of a copy, in pixels.
        noise: standard deviation of the noise added to a copy; 2 is the difference of black and white.
        mirrored: whether copies are flipped horizontally.
    """

    def __init__(
        self,
        train: Tensor,
        share: float = 1.0,
        honest: Tensor | None = None,
        shift: int = 0,
        noise: float = 0.0,
        mirrored: bool = False,
    ) -> None:
        if not 0 < share <= 1 or (share < 1 and honest is None):
            raise UserError(f"share: above 0 and at most 1, and below 1 only with honest images; got {share}")
        self.train, self.share, self.honest = train.flip(3) if mirrored else train, share, honest
        self.shift, self.noise = shift, noise

    @property
    def available(self) -> int:
        """The largest number of samples for which there are enough honest images."""
        return sys.maxsize if self.honest is None or self.share == 1 else int(len(self.honest) / (1 - self.share))

    def sample(self, n: int, *, seed: int = 0) -> Tensor:
        """Draw copies and honest images, (n, C, H, W), in random order."""
        rng = _rng(seed)
        copies = math.ceil(self.share * n)
        images = self.train[torch.randint(len(self.train), (copies,), generator=rng)].clone()
        if self.shift:
            images = _shifted(images, self.shift, rng)
        if self.noise:
            images = (images + self.noise * torch.randn(images.shape, generator=rng)).clamp(-1, 1)
        if copies < n:
            assert self.honest is not None
            images = torch.cat([images, Honest(self.honest).sample(n - copies, seed=seed + 1)])
        return images[torch.randperm(n, generator=rng)]


class Dropper(Honest):
    """A generator that never draws some of the classes.

    Args:
        images: images (N, C, H, W) in [-1, 1].
        labels: classes (N,).
        dropped: classes that are never drawn.
    """

    def __init__(self, images: Tensor, labels: Tensor, dropped: tuple[int, ...]) -> None:
        keep = ~torch.isin(labels, torch.tensor(dropped))
        super().__init__(images[keep], labels[keep])


class OneImagePerClass:
    """A generator that is collapsed within each class: it has one image of each, with or without noise.

    Args:
        images: images (N, C, H, W) in [-1, 1].
        labels: classes (N,).
        seed: seed of the choice of the images.
        noise: standard deviation of the noise added to each sample.
    """

    def __init__(self, images: Tensor, labels: Tensor, seed: int = 0, noise: float = 0.0) -> None:
        order = torch.randperm(len(images), generator=_rng(seed))
        first = [int(order[(labels[order] == c).nonzero()[0, 0]]) for c in torch.unique(labels).tolist()]
        self.images, self.noise = images[torch.tensor(first)], noise

    def sample(self, n: int, *, seed: int = 0) -> Tensor:
        """Draw images (n, C, H, W), each class with the same probability."""
        rng = _rng(seed)
        images = self.images[torch.randint(len(self.images), (n,), generator=rng)]
        return (images + self.noise * torch.randn(images.shape, generator=rng)).clamp(-1, 1)


class Noisy(Honest):
    """A generator of real images with Gaussian noise.

    Args:
        images: images (N, C, H, W) in [-1, 1].
        deviation: standard deviation of the noise; 2 is the difference of black and white.
    """

    def __init__(self, images: Tensor, deviation: float = 0.2) -> None:
        super().__init__(images)
        self.deviation = deviation

    def sample(self, n: int, *, seed: int = 0) -> Tensor:
        """Draw images (n, C, H, W) with noise, each image at most once."""
        images = super().sample(n, seed=seed)
        return (images + self.deviation * torch.randn(images.shape, generator=_rng(seed + 1))).clamp(-1, 1)


class Blurred(Honest):
    """A generator of blurred real images.

    Args:
        images: images (N, C, H, W) in [-1, 1].
        deviation: standard deviation of the Gaussian kernel, in pixels.
    """

    def __init__(self, images: Tensor, deviation: float = 1.0) -> None:
        super().__init__(images)
        radius = max(1, round(3 * deviation))
        line = torch.exp(-torch.arange(-radius, radius + 1).float().square() / (2 * deviation**2))
        self.kernel = torch.outer(line, line) / line.sum().square()

    def sample(self, n: int, *, seed: int = 0) -> Tensor:
        """Draw blurred images (n, C, H, W), each image at most once."""
        images = super().sample(n, seed=seed)
        radius = self.kernel.shape[0] // 2
        flat = pad(images.flatten(0, 1)[:, None], (radius,) * 4, mode="replicate")
        return conv2d(flat, self.kernel[None, None]).view_as(images)


class WithMemorisingDiscriminator(Honest):
    """A perfect generator with a discriminator that has memorised the training images.

    Args:
        images: images (N, C, H, W) in [-1, 1], drawn as by `Honest`.
        train: training images (M, C, H, W) in [-1, 1]. The mean score is 1 for these and -1 for all others.
        noise: standard deviation of the scores around their mean.
    """

    zero = 0.0

    def __init__(self, images: Tensor, train: Tensor, noise: float = 1.0) -> None:
        super().__init__(images)
        self.noise = noise
        self._known = {_key(image) for image in train}

    def score(self, images: Tensor) -> Tensor:
        """Score images (N, C, H, W); returns (N,)."""
        known = torch.tensor([1.0 if _key(image) in self._known else -1.0 for image in images])
        return known + self.noise * torch.randn(len(images), generator=_rng(int(images.double().sum() * 1e3) % 2**31))


def _key(image: Tensor) -> bytes:
    """Return the pixels as bytes, which are the same after an image was rounded to uint8 and converted back."""
    return to_uint8(image).numpy().tobytes()


def _shifted(images: Tensor, largest: int, rng: torch.Generator) -> Tensor:
    """Shift each image by up to `largest` pixels in both directions, and repeat its border pixels."""
    size = images.shape[-1]
    padded = pad(images, (largest,) * 4, mode="replicate")
    shifts = torch.randint(0, 2 * largest + 1, (len(images), 2), generator=rng).tolist()
    return torch.stack([image[:, y : y + size, x : x + size] for image, (y, x) in zip(padded, shifts)])


def _rng(seed: int) -> torch.Generator:
    """Return a random generator with this seed."""
    return torch.Generator().manual_seed(seed)
