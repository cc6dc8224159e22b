"""Subjects whose fault is known, made from real images: on them each alarm is proven, and on `Honest` each silence."""

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
    """Real images that are in neither set of the audit, each drawn at most once: the best generator there can be.

    Args:
        images: (N, C, H, W) in [-1, 1].
        labels: their classes (N,), or None.
    """


class Finite:
    """Exactly k images, drawn evenly with replacement.

    Args:
        images: (N, C, H, W) in [-1, 1] that the k are chosen from.
        k: how many.
        seed: of the choice.
    """

    def __init__(self, images: Tensor, k: int, seed: int = 0) -> None:
        if k > len(images):
            raise UserError(f"k: at most as many as there are images, {len(images):,}; got {k:,}")
        self.images = images[torch.randperm(len(images), generator=_rng(seed))[:k]]

    def sample(self, n: int, *, seed: int = 0) -> Tensor:
        """Images (n, C, H, W), the same ones again and again."""
        return self.images[torch.randint(len(self.images), (n,), generator=_rng(seed))]


class Memoriser:
    """Training images, with or without slight changes, for a share of what it draws; the rest is honest.

    Args:
        train: (N, C, H, W) in [-1, 1], the images it copies.
        share: of copies.
        honest: images (M, C, H, W) for the rest, each used at most once.
        shift: largest shift of a copy in pixels.
        noise: standard deviation added to a copy, in the range of 2 from black to white.
        mirrored: exchange left and right of every copy.
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
        """How many images can be drawn until the honest ones run out."""
        return sys.maxsize if self.honest is None or self.share == 1 else int(len(self.honest) / (1 - self.share))

    def sample(self, n: int, *, seed: int = 0) -> Tensor:
        """Images (n, C, H, W) in random order."""
        draw = _rng(seed)
        copies = math.ceil(self.share * n)
        images = self.train[torch.randint(len(self.train), (copies,), generator=draw)].clone()
        if self.shift:
            images = _shifted(images, self.shift, draw)
        if self.noise:
            images = (images + self.noise * torch.randn(images.shape, generator=draw)).clamp(-1, 1)
        if copies < n:
            assert self.honest is not None
            images = torch.cat([images, Honest(self.honest).sample(n - copies, seed=seed + 1)])
        return images[torch.randperm(n, generator=draw)]


class Dropper(Honest):
    """Honest images without some classes.

    Args:
        images: (N, C, H, W) in [-1, 1].
        labels: their classes (N,).
        dropped: the classes it never draws.
    """

    def __init__(self, images: Tensor, labels: Tensor, dropped: tuple[int, ...]) -> None:
        keep = ~torch.isin(labels, torch.tensor(dropped))
        super().__init__(images[keep], labels[keep])


class OneImagePerClass:
    """One image of each class, again and again: collapse inside the classes.

    Args:
        images: (N, C, H, W) in [-1, 1].
        labels: their classes (N,).
        seed: of the choice.
        noise: standard deviation added to each draw.
    """

    def __init__(self, images: Tensor, labels: Tensor, seed: int = 0, noise: float = 0.0) -> None:
        order = torch.randperm(len(images), generator=_rng(seed))
        first = [int(order[(labels[order] == c).nonzero()[0, 0]]) for c in torch.unique(labels).tolist()]
        self.images, self.noise = images[torch.tensor(first)], noise

    def sample(self, n: int, *, seed: int = 0) -> Tensor:
        """Images (n, C, H, W), classes evenly."""
        draw = _rng(seed)
        images = self.images[torch.randint(len(self.images), (n,), generator=draw)]
        return (images + self.noise * torch.randn(images.shape, generator=draw)).clamp(-1, 1)


class CollapsedClass(Honest):
    """Honest images, but for one class of which there is a single image, again and again.

    Args:
        images: (N, C, H, W) in [-1, 1].
        labels: their classes (N,).
        collapsed: the class.
        noise: standard deviation added to each draw of the single image.
    """

    def __init__(self, images: Tensor, labels: Tensor, collapsed: int, noise: float = 0.0) -> None:
        super().__init__(images, labels)
        places = (labels == collapsed).nonzero()[:, 0]
        draw = _rng(0)
        single = images[places[:1]]
        alike = single + noise * torch.randn(len(places), *images.shape[1:], generator=draw)
        self.images = images.index_copy(0, places, alike.clamp(-1, 1))


class Noisy(Honest):
    """Honest images with Gaussian noise.

    Args:
        images: (N, C, H, W) in [-1, 1].
        deviation: of the noise, in the range of 2 from black to white.
    """

    def __init__(self, images: Tensor, deviation: float = 0.2) -> None:
        super().__init__(images)
        self.deviation = deviation

    def sample(self, n: int, *, seed: int = 0) -> Tensor:
        """Different images with noise."""
        images = super().sample(n, seed=seed)
        return (images + self.deviation * torch.randn(images.shape, generator=_rng(seed + 1))).clamp(-1, 1)


class Blurred(Honest):
    """Honest images, blurred.

    Args:
        images: (N, C, H, W) in [-1, 1].
        deviation: of the Gaussian kernel, in pixels.
    """

    def __init__(self, images: Tensor, deviation: float = 1.0) -> None:
        super().__init__(images)
        reach = max(1, round(3 * deviation))
        line = torch.exp(-torch.arange(-reach, reach + 1).float().square() / (2 * deviation**2))
        self.kernel = torch.outer(line, line) / line.sum().square()

    def sample(self, n: int, *, seed: int = 0) -> Tensor:
        """Different images, blurred."""
        images = super().sample(n, seed=seed)
        reach = self.kernel.shape[0] // 2
        flat = pad(images.flatten(0, 1)[:, None], (reach,) * 4, mode="replicate")
        return conv2d(flat, self.kernel[None, None]).view_as(images)


class WithMemorisingDiscriminator(Honest):
    """An honest generator beside a discriminator that knows its training images by heart.

    Args:
        images: (N, C, H, W) in [-1, 1], drawn as by `Honest`.
        train: (M, C, H, W) in [-1, 1]; the discriminator gives these 1 and everything else -1, with some noise.
        noise: standard deviation of the scores.
    """

    zero = 0.0

    def __init__(self, images: Tensor, train: Tensor, noise: float = 1.0) -> None:
        super().__init__(images)
        self.noise = noise
        self._known = {_key(image) for image in train}

    def score(self, images: Tensor) -> Tensor:
        """Scores (N,)."""
        known = torch.tensor([1.0 if _key(image) in self._known else -1.0 for image in images])
        return known + self.noise * torch.randn(len(images), generator=_rng(int(images.double().sum() * 1e3) % 2**31))


def _key(image: Tensor) -> bytes:
    """Of the pixels as bytes, so that rounding to uint8 and back does not hide an image."""
    return to_uint8(image).numpy().tobytes()


def _shifted(images: Tensor, reach: int, draw: torch.Generator) -> Tensor:
    """Each image moved by up to `reach` pixels in both directions, edges repeated."""
    size = images.shape[-1]
    padded = pad(images, (reach,) * 4, mode="replicate")
    moves = torch.randint(0, 2 * reach + 1, (len(images), 2), generator=draw).tolist()
    return torch.stack([image[:, y : y + size, x : x + size] for image, (y, x) in zip(padded, moves)])


def _rng(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
