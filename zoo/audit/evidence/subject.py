"""What is audited: anything that draws images, and, where it can, scores them or makes them from latents."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from zoo.audit.findings.finding import NotApplicable
from zoo.errors import UserError
from zoo.sampling.protocol import RowNetworks
from zoo.training.batch import Batch

CHUNK = 256  # images in one pass, at most
VALUES = 2**21  # pixels times channels in one pass: fewer images where they are large, which bounds a network's memory
FIRST = 16  # images in the first pass of a subject whose images have a size that is not known yet


@runtime_checkable
class Subject(Protocol):
    """The least that can be audited: a way to draw images.

    A subject may further have any of these; what it lacks is left out of the audit, with the reason in the report.

    - `num_classes`, and then `sample` takes `labels`;
    - `score(images, labels=None) -> (B,)`, the discriminator: the higher, the more real;
    - `zero`: the score that means "undecided", usually 0.0; None (also where it is absent) for critics, whose scores
      have no absolute meaning;
    - `generate(latents, labels=None) -> images`, differentiable in the latents, with `sample_latent(n)` or
      `latent_dim` (then latents are standard normal);
    - `state_dict()`, for the health of the weights.
    """

    def sample(self, n: int) -> Tensor:
        """Images (n, C, H, W) in [-1, 1]; the arguments `seed` and `labels` are passed where they are accepted."""
        ...


class Questioned:
    """A subject in one shape, whatever it was: everything in chunks, seeded, without gradients, nothing left changed.

    Args:
        subject: anything with `sample(n)`.
        name: for the report.
    """

    def __init__(self, subject: Any, name: str = "") -> None:
        if not callable(getattr(subject, "sample", None)):
            raise UserError(
                f"an audit's subject is anything with sample(n), or a folder of images; got a {type(subject).__name__}"
            )
        self.subject = subject
        self.name = name or type(subject).__name__
        self.num_classes = int(getattr(subject, "num_classes", 0) or 0)
        # A model of this zoo, known by its shape: `score` and `generate` take other arguments there.
        self._ours = isinstance(subject, nn.Module) and hasattr(subject, "average") and hasattr(subject, "objective")

    # --- what it can -------------------------------------------------------------------------------------------------

    @property
    def scores(self) -> bool:
        """Whether it has a discriminator."""
        return callable(getattr(self.subject, "score", None))

    @property
    def generates(self) -> bool:
        """Whether it makes images from given latents."""
        known = hasattr(self.subject, "sample_latent") or hasattr(self.subject, "latent_dim")
        return callable(getattr(self.subject, "generate", None)) and known

    @property
    def zero(self) -> float | None:
        """The score that means undecided; None for a critic."""
        if self._ours:
            undecided: float | None = self.subject.objective.undecided
            return undecided
        found = getattr(self.subject, "zero", None)
        return None if found is None else float(found)

    @property
    def device(self) -> torch.device:
        """Where its parameters are; the CPU when it has none."""
        parameters = getattr(self.subject, "parameters", None)
        first = next(iter(parameters()), None) if callable(parameters) else None
        return torch.device("cpu") if first is None else first.device

    def weights(self) -> dict[str, Tensor]:
        """Its tensors by name.

        Raises:
            NotApplicable: when it shows none.
        """
        if not callable(getattr(self.subject, "state_dict", None)):
            raise NotApplicable("the subject shows no weights: give it a state_dict()")
        return dict(self.subject.state_dict())

    # --- what it does ------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def sample(self, n: int, seed: int, labels: Tensor | None = None) -> Tensor:
        """Images (n, C, H, W) in [-1, 1] on the CPU.

        Raises:
            UserError: when what comes back are no images in this range, or not as many.
        """
        accepted = inspect.signature(self.subject.sample).parameters
        any_name = any(p.kind is p.VAR_KEYWORD for p in accepted.values())
        words: dict[str, Any] = {}
        if "seed" in accepted or any_name:
            words["seed"] = seed
        if labels is not None:
            words["labels"] = labels
        if self._ours:
            words["batch_size"] = images_at_once(self.subject.channels * self.subject.resolution**2)
        in_passes = isinstance(self.subject, nn.Module) and not self._ours
        with self._still(), _seeded(seed, self.device):
            images = self._in_passes(n, words) if in_passes else self.subject.sample(n, **words)
        if not isinstance(images, Tensor) or images.ndim != 4 or len(images) != n:
            got = tuple(images.shape) if isinstance(images, Tensor) else type(images).__name__
            raise UserError(f"sample({n}) must give a tensor ({n}, C, H, W); {self.name} gave {got}")
        return checked_range(images.detach().float().cpu(), f"sample({n}) of {self.name}")

    def _in_passes(self, n: int, words: dict[str, Any]) -> Tensor:
        """A network's images, a few at a time: n at once could be more than the memory holds."""
        found: list[Tensor] = []
        done = 0
        while done < n:
            many = min(n - done, images_at_once(found[0][0].numel()) if found else FIRST)
            now = dict(words)
            if "seed" in now:
                now["seed"] += done
            if "labels" in now:
                now["labels"] = words["labels"][done : done + many]
            images: Tensor = self.subject.sample(many, **now)
            if not isinstance(images, Tensor) or len(images) != many:  # told by the caller
                return images
            found.append(images.detach().cpu())
            done += many
        return torch.cat(found)

    @torch.no_grad()
    def score(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Scores (N,) on the CPU of images in [-1, 1]; in eval mode.

        Raises:
            NotApplicable: without a discriminator.
        """
        if not self.scores:
            raise NotApplicable("the subject has no discriminator: give it score(images) -> (B,)")
        found = []
        many = images_at_once(images[0].numel()) if len(images) else CHUNK
        with self._still():
            for first in range(0, len(images), many):
                x = images[first : first + many].to(self.device)
                y = None if labels is None or not self.num_classes else labels[first : first + many].to(self.device)
                if self._ours:
                    scores = self.subject.score(Batch(x, y))
                else:
                    scores = self.subject.score(x) if y is None else self.subject.score(x, y)
                found.append(scores.detach().float().flatten().cpu())
        return torch.cat(found)

    def generate(self, latents: Tensor, labels: Tensor | None = None, networks: RowNetworks | None = None) -> Tensor:
        """Images of latents (B, Z), with gradients, at once; call it inside `still()`.

        Args:
            latents: on the subject's device.
            labels: classes (B,), where it has any.
            networks: of a model of this zoo, the network that draws each row, see `choose_networks`.
        """
        if not self.generates:
            raise NotApplicable(
                "the subject makes no images from given latents: give it generate(latents) and sample_latent(n) or "
                "latent_dim"
            )
        if self._ours:
            networks = RowNetworks([self.subject.average]) if networks is None else networks
            images = networks.generate(self.subject, latents, labels)
            if images.shape[-1] != self.subject.resolution:  # a network that is still growing
                images = interpolate(images, size=self.subject.resolution, mode="nearest")
        else:
            images = self.subject.generate(latents) if labels is None else self.subject.generate(latents, labels)
        return images

    @torch.no_grad()
    def render(self, latents: Tensor, labels: Tensor | None = None, networks: RowNetworks | None = None) -> Tensor:
        """Images (N, C, H, W) in [-1, 1] of latents (N, Z), on the CPU; in chunks, in eval mode."""
        found: list[Tensor] = []
        done = 0
        with self._still():
            while done < len(latents):
                rows = slice(done, done + (images_at_once(found[0][0].numel()) if found else FIRST))
                y = None if labels is None else labels[rows].to(self.device)
                images = self.generate(latents[rows].to(self.device), y, None if networks is None else networks[rows])
                found.append(images.detach().float().clamp(-1, 1).cpu())
                done = rows.stop
        return torch.cat(found)

    def choose_networks(self, n: int, seed: int) -> RowNetworks | None:
        """Choose the network that draws each of n images, of a model of this zoo; None for any other subject."""
        if not self._ours:
            return None
        with _seeded(seed, self.device):
            networks: RowNetworks = self.subject.choose_networks(n)
            return networks

    def sample_latent(self, n: int, seed: int) -> Tensor:
        """Latents (n, Z) of its distribution."""
        with _seeded(seed, self.device):
            if hasattr(self.subject, "sample_latent"):
                latents: Tensor = self.subject.sample_latent(n)
                return latents
            return torch.randn(n, int(self.subject.latent_dim), device=self.device)

    @contextmanager
    def still(self) -> Iterator[None]:
        """Eval mode inside, with no gradients for the weights; modes are as they were afterwards."""
        with self._still():
            weights = [p for p in _parameters(self.subject) if p.requires_grad]
            for p in weights:
                p.requires_grad_(False)
            try:
                yield
            finally:
                for p in weights:
                    p.requires_grad_(True)

    @contextmanager
    def _still(self) -> Iterator[None]:
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


class FolderSubject:
    """A folder of generated images as a subject: each image is drawn at most once.

    Args:
        images: (N, C, H, W) in [-1, 1], as read from the folder.
        labels: classes (N,), or None.
    """

    def __init__(self, images: Tensor, labels: Tensor | None = None) -> None:
        self.images, self.labels = images, labels

    @property
    def available(self) -> int:
        """How many images there are."""
        return len(self.images)

    def sample(self, n: int, *, seed: int = 0) -> Tensor:
        """Images (n, C, H, W) in an order given by the seed.

        Raises:
            UserError: when there are fewer.
        """
        if n > len(self.images):
            raise UserError(f"{n:,} generated images were asked for, there are {len(self.images):,}")
        order = torch.randperm(len(self.images), generator=torch.Generator().manual_seed(seed))
        return self.images[order[:n]]


def images_at_once(values: int) -> int:
    """How many images of so many values go through a network in one pass."""
    return max(1, min(CHUNK, VALUES // values))


def as_subject(subject: Any, name: str = "", read: Callable[[Path], Tensor] | None = None) -> Questioned:
    """Anything that can be audited, in one shape.

    Args:
        subject: anything with `sample(n)`; a folder of images, when `read` is given; or a tensor of them.
        name: for the report.
        read: opens a folder.
    """
    if isinstance(subject, Questioned):
        return subject
    if isinstance(subject, Tensor):
        return Questioned(FolderSubject(checked_range(subject.float(), "the generated images")), name or "images")
    if isinstance(subject, str | Path) and read is not None:
        return Questioned(FolderSubject(read(Path(subject))), name or Path(subject).name)
    return Questioned(subject, name)


def checked_range(images: Tensor, what: str) -> Tensor:
    """Images if they are finite and in [-1, 1].

    Raises:
        UserError: otherwise.
    """
    low, high = (float(v) for v in images.aminmax()) if images.numel() else (0.0, 0.0)
    if not (low >= -1.01 and high <= 1.01):
        hint = " Divide by 127.5 and subtract 1." if high > 2 else ""
        raise UserError(f"{what}: images are float in [-1, 1]; got values from {low:g} to {high:g}.{hint}")
    return images


def _parameters(subject: Any) -> list[nn.Parameter]:
    return list(subject.parameters()) if isinstance(subject, nn.Module) else []


@contextmanager
def _seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed every device inside: a foreign generator may draw on one that its parameters, if it has any, do not tell.

    `zoo.training.seeding.seeded` seeds the device of a model of this zoo alone, which is faster and enough there.
    """
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
