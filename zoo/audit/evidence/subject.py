"""The subject of an audit: anything that draws images and, where it can, scores them or makes them from latents."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from zoo.audit.evidence.images import ImageSet
from zoo.audit.evidence.stored import store
from zoo.audit.findings.finding import NotApplicable
from zoo.errors import UserError
from zoo.rendering.pictures import to_uint8
from zoo.sampling.protocol import RowNetworks
from zoo.training.seeding import seeded

CHUNK = 256  # largest number of images in one pass
CHUNK_VALUES = 2**21  # largest number of values (pixels times channels) in one pass, which bounds a network's memory
FIRST_CHUNK = 16  # images in the first pass, while the size of the subject's images is not known


@runtime_checkable
class Subject(Protocol):
    """The least that can be audited: an object that draws images.

    A subject may have any of the following as well; a question that needs something else is skipped, with the reason in
    the report.

    - `num_classes`; `sample` then takes `labels`; and `class_names`, in the order of their numbers;
    - `score(images, labels=None) -> (B,)`, the discriminator: the higher, the more real;
    - `zero`: the score that means "undecided", usually 0.0; None or absent for critics, whose scores have no absolute
      meaning;
    - `generate(latents, labels=None) -> images`, differentiable in the latents, with `sample_latent(n)` or
      `latent_dim` (latents are then standard normal);
    - `state_dict()`, for the question about the weights;
    - `available`: the number of different images, where there is a limit.
    """

    def sample(self, n: int) -> Tensor:
        """Draw images (n, C, H, W) in [-1, 1]; `seed` and `labels` are passed where they are accepted."""
        ...


class SubjectAdapter:
    """One interface to every subject: it calls it in chunks, seeded and in eval mode, and checks what it returns.

    The modes of modules, `requires_grad` of parameters and the random state are the same after each call.

    Args:
        subject: anything with `sample(n)`.
        name: name of the subject in the report; empty for the name of its class.
    """

    def __init__(self, subject: Any, name: str = "") -> None:
        if not callable(getattr(subject, "sample", None)):
            raise UserError(
                f"an audit's subject is anything with sample(n), or a folder of images; got a {type(subject).__name__}"
            )
        self.subject = subject
        self.name = name or type(subject).__name__
        self.num_classes = int(getattr(subject, "num_classes", 0) or 0)
        self.class_names = tuple(getattr(subject, "class_names", ()) or ())

    # --- abilities ---------------------------------------------------------------------------------------------------

    @property
    def scores(self) -> bool:
        """Whether the subject has a discriminator."""
        return callable(getattr(self.subject, "score", None))

    @property
    def generates(self) -> bool:
        """Whether the subject makes images from given latents."""
        has_latents = hasattr(self.subject, "sample_latent") or hasattr(self.subject, "latent_dim")
        return callable(getattr(self.subject, "generate", None)) and has_latents

    @property
    def zero(self) -> float | None:
        """The score that means undecided; None for a critic."""
        zero = getattr(self.subject, "zero", None)
        return None if zero is None else float(zero)

    @property
    def available(self) -> int | None:
        """The number of different images that the subject can draw; None without a limit."""
        available = getattr(self.subject, "available", None)
        return None if available is None else int(available)

    @property
    def device(self) -> torch.device:
        """The device of the subject's parameters; the CPU if it has none."""
        parameters = getattr(self.subject, "parameters", None)
        first = next(iter(parameters()), None) if callable(parameters) else None
        return torch.device("cpu") if first is None else first.device

    def image_shape(self, seed: int) -> tuple[int, int, int]:
        """Return the shape (C, H, W) of the subject's images, of which one is drawn."""
        labels = torch.zeros(1, dtype=torch.long) if self.num_classes else None
        channels, height, width = self.sample(1, seed, labels).shape[1:]
        return channels, height, width

    def weights(self) -> dict[str, Tensor]:
        """Return the tensors of the subject by name.

        Raises:
            NotApplicable: when the subject has no `state_dict`.
        """
        if not callable(getattr(self.subject, "state_dict", None)):
            raise NotApplicable("the subject shows no weights: give it a state_dict()")
        return dict(self.subject.state_dict())

    # --- calls -------------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def sample(self, n: int, seed: int, labels: Tensor | None = None) -> Tensor:
        """Draw images (n, C, H, W) in [-1, 1] on the CPU.

        Args:
            n: number of images.
            seed: seed of all random draws.
            labels: classes (n,), for a subject with classes.

        Raises:
            UserError: when the subject returns something else than n images in this range.
        """
        return torch.cat(list(self.sample_parts(n, seed, labels)))

    @torch.no_grad()
    def sample_parts(self, n: int, seed: int, labels: Tensor | None = None) -> Iterator[Tensor]:
        """Draw the images of `sample` in parts (B, C, H, W), so that not all of them are in memory at once."""
        with self._eval_mode(), seeded(seed, self.device, all_devices=True):
            for size, images in self._draw(n, seed, labels):
                if not isinstance(images, Tensor) or images.ndim != 4 or len(images) != size:
                    got = tuple(images.shape) if isinstance(images, Tensor) else type(images).__name__
                    raise UserError(f"sample({size}) must give a tensor ({size}, C, H, W); {self.name} gave {got}")
                yield as_floats(images.detach().cpu(), f"sample({n}) of {self.name}")

    def sample_set(self, n: int, seed: int, labels: Tensor | None = None) -> ImageSet:
        """Draw the images of `sample` as a set of images kept as bytes."""
        parts = (to_uint8(part) for part in self.sample_parts(n, seed, labels))
        return ImageSet("generated", store(parts, n, f"the images of {self.name}"), labels)

    @torch.no_grad()
    def score(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Score images with the discriminator in eval mode.

        Args:
            images: images (N, C, H, W) in [-1, 1].
            labels: classes (N,); used only if the subject has classes.

        Returns:
            Scores (N,) on the CPU.

        Raises:
            NotApplicable: when the subject has no discriminator.
        """
        if not self.scores:
            raise NotApplicable("the subject has no discriminator: give it score(images) -> (B,)")
        scores = []
        size = images_at_once(images[0].numel()) if len(images) else CHUNK
        with self._eval_mode():
            for first in range(0, len(images), size):
                x = images[first : first + size].to(self.device)
                y = None if labels is None or not self.num_classes else labels[first : first + size].to(self.device)
                scores.append(self._score(x, y).detach().float().flatten().cpu())
        return torch.cat(scores)

    def generate(self, latents: Tensor, labels: Tensor | None = None, networks: RowNetworks | None = None) -> Tensor:
        """Make images from latents in one pass, with gradients. Call it inside `frozen()`.

        Args:
            latents: latents (B, Z) on the subject's device.
            labels: classes (B,), for a subject with classes.
            networks: the network that draws each row, from `choose_networks`; None for the only one.

        Returns:
            Images (B, C, H, W).

        Raises:
            NotApplicable: when the subject makes no images from given latents.
        """
        if not self.generates:
            raise NotApplicable(
                "the subject makes no images from given latents: give it generate(latents) and sample_latent(n) or "
                "latent_dim"
            )
        return self._generate(latents, labels, networks)

    @torch.no_grad()
    def render(self, latents: Tensor, labels: Tensor | None = None, networks: RowNetworks | None = None) -> Tensor:
        """Make images from any number of latents, in eval mode and without gradients.

        Args:
            latents: latents (N, Z).
            labels: classes (N,), for a subject with classes.
            networks: the network that draws each row, from `choose_networks`; None for the only one.

        Returns:
            Images (N, C, H, W), clamped to [-1, 1], on the CPU.
        """
        chunks: list[Tensor] = []
        done = 0
        with self._eval_mode():
            while done < len(latents):
                rows = slice(done, done + (images_at_once(chunks[0][0].numel()) if chunks else FIRST_CHUNK))
                y = None if labels is None else labels[rows].to(self.device)
                images = self.generate(latents[rows].to(self.device), y, None if networks is None else networks[rows])
                chunks.append(images.detach().float().clamp(-1, 1).cpu())
                done = rows.stop
        return torch.cat(chunks)

    def sample_latent(self, n: int, seed: int) -> Tensor:
        """Draw latents (n, Z) from the subject's own distribution; standard normal if it has only `latent_dim`."""
        with seeded(seed, self.device, all_devices=True):
            if hasattr(self.subject, "sample_latent"):
                latents: Tensor = self.subject.sample_latent(n)
                return latents
            return torch.randn(n, int(self.subject.latent_dim), device=self.device)

    def choose_networks(self, n: int, seed: int) -> RowNetworks | None:
        """Choose the network that draws each of n images; None for a subject with a single one."""
        return None

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Keep all modules in eval mode and compute no gradients of parameters while the context is open."""
        with self._eval_mode():
            parameters = list(self.subject.parameters()) if isinstance(self.subject, nn.Module) else []
            trainable = [parameter for parameter in parameters if parameter.requires_grad]
            for parameter in trainable:
                parameter.requires_grad_(False)
            try:
                yield
            finally:
                for parameter in trainable:
                    parameter.requires_grad_(True)

    @contextmanager
    def _eval_mode(self) -> Iterator[None]:
        """Keep all modules in eval mode while the context is open."""
        if not isinstance(self.subject, nn.Module):
            yield
            return
        modes = [(module, module.training) for module in self.subject.modules()]
        self.subject.eval()
        try:
            yield
        finally:
            for module, mode in modes:
                module.training = mode

    # --- how the subject itself is called, which an adapter of a library may override --------------------------------

    def _draw(self, n: int, seed: int, labels: Tensor | None) -> Iterator[tuple[int, Any]]:
        """Call `sample` and yield the numbers asked for with what it returns.

        It is called once, but for a module in chunks, since it may not have the memory for n images at once.
        """
        accepted = inspect.signature(self.subject.sample).parameters
        any_name = any(p.kind is p.VAR_KEYWORD for p in accepted.values())
        options: dict[str, Any] = {}
        if "seed" in accepted or any_name:
            options["seed"] = seed
        if labels is not None:
            options["labels"] = labels
        if isinstance(self.subject, nn.Module):
            yield from self._draw_chunks(n, options)
        else:
            yield n, self.subject.sample(n, **options)

    def _draw_chunks(self, n: int, options: dict[str, Any]) -> Iterator[tuple[int, Any]]:
        """Call `sample` for a few images at a time; the seed of a chunk is increased by the number drawn before it."""
        done, at_once = 0, FIRST_CHUNK
        while done < n:
            size = min(n - done, at_once)
            own = dict(options)
            if "seed" in own:
                own["seed"] += done
            if "labels" in own:
                own["labels"] = options["labels"][done : done + size]
            images = self.subject.sample(size, **own)
            yield size, images  # refused by `sample_parts` if it is no tensor of so many images
            at_once = images_at_once(images[0].numel())
            done += size

    def _score(self, images: Tensor, labels: Tensor | None) -> Tensor:
        """Score images (B, C, H, W) of classes (B,) or None."""
        scores: Tensor = self.subject.score(images) if labels is None else self.subject.score(images, labels)
        return scores

    def _generate(self, latents: Tensor, labels: Tensor | None, networks: RowNetworks | None) -> Tensor:
        """Make images from latents (B, Z) of classes (B,) or None; `networks` is None here."""
        images: Tensor = self.subject.generate(latents) if labels is None else self.subject.generate(latents, labels)
        return images


class FolderSubject:
    """A folder of generated images as a subject: each image is drawn at most once.

    Args:
        images: images (N, C, H, W) in [-1, 1], as read from the folder.
        labels: classes (N,), or None.
    """

    def __init__(self, images: Tensor, labels: Tensor | None = None) -> None:
        self.images, self.labels = images, labels

    @property
    def available(self) -> int:
        """The number of images in the folder."""
        return len(self.images)

    def sample(self, n: int, *, seed: int = 0) -> Tensor:
        """Return images (n, C, H, W) in an order that depends on the seed.

        Raises:
            UserError: when there are fewer.
        """
        if n > len(self.images):
            raise UserError(f"{n:,} generated images were asked for, there are {len(self.images):,}")
        order = torch.randperm(len(self.images), generator=torch.Generator().manual_seed(seed))
        return self.images[order[:n]]


def images_at_once(values: int) -> int:
    """Return how many images of so many values (channels times pixels) go through a network in one pass."""
    return max(1, min(CHUNK, CHUNK_VALUES // values))


def as_floats(images: Tensor, what: str) -> Tensor:
    """Return images as float in [-1, 1]; those in uint8 are converted.

    Args:
        images: images of any shape.
        what: name of the images in the message.

    Raises:
        UserError: when a value of other images than uint8 is outside [-1, 1] or not finite.
    """
    if images.dtype == torch.uint8:
        return images.float() / 127.5 - 1
    return checked_range(images.float(), what)


def checked_range(images: Tensor, what: str) -> Tensor:
    """Return images if they are finite and in [-1, 1], with a margin for rounding.

    Args:
        images: float images of any shape.
        what: name of the images in the message.

    Raises:
        UserError: when a value is outside this range or not finite.
    """
    low, high = (float(v) for v in images.aminmax()) if images.numel() else (0.0, 0.0)
    if not (low >= -1.01 and high <= 1.01):
        hint = " Divide by 127.5 and subtract 1." if high > 2 else ""
        raise UserError(f"{what}: images are float in [-1, 1]; got values from {low:g} to {high:g}.{hint}")
    return images
